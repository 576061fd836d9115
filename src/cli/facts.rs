//! `driftless facts`: what this host is, and how it is.

mod check;
mod exporter;
mod exporter_flags;
mod facter;
mod table;
mod web_config;

use super::Exit;
use super::shell::{Output, Shell};
use crate::event::exposition;
use crate::event::fault::{Diagnostic, nearest};
use crate::expr::value::to_json;
use crate::host::facts::{Facts, facts_value};
use crate::host::roots::Roots;
use crate::sinks::apply::ansible_facts;
use crate::sources::host_metrics::options::Options;
use crate::sources::host_metrics::runner::Collectors;
use crate::topology::settings::Period;
use clap::ValueEnum;
use serde_json::{Map, Value};
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

/// Show what this host is: all facts, or those named.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
#[command(after_help = "\
Names are those of conditions without `facts.` in front. With --format ansible and facter
they are these programs' names; with --format prometheus they are collectors, and `default`
is the default set.

Examples:
  driftless facts
  driftless facts os cpu.count
  driftless facts interfaces --format yaml
  driftless facts ansible_os_family --format ansible
  driftless facts loadavg meminfo --format prometheus --watch")]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Facts, or parts of them: `os`, `os.family`.
    names: Vec<String>,
    /// How they are written. Default: as a table.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Whom the result is for; `json` is the same as `--format json`.
    #[arg(long, value_enum, default_value_t, conflicts_with = "format")]
    output: Output,
    /// Show them again and again until interrupted.
    #[arg(long)]
    watch: bool,
    /// How often, with --watch.
    #[arg(long, default_value = "2s", requires = "watch")]
    interval: Period,
}

/// What there is beside showing facts.
#[derive(Debug, clap::Subcommand)]
enum Command {
    Check(check::Args),
    Exporter(exporter::Args),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line a value, for people.
    #[default]
    Table,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// JSON under Ansible's names, as its module `setup` gives it.
    Ansible,
    /// JSON under Facter's names, as `facter -j` gives it.
    Facter,
    /// The host's metrics, as a scrape of the agent gives them.
    Prometheus,
}

/// A shorter pause would show nothing but ourselves.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// A fact of more entries is told in short among all others.
const MANY: usize = 50;

/// Goes to the top left corner and clears the screen from there.
const CLEAR: &str = "\x1b[H\x1b[J";

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    match &args.command {
        Some(Command::Check(args)) => check::run(args, shell),
        Some(Command::Exporter(args)) => exporter::run(args, shell),
        None => print(args, shell),
    }
}

fn print(args: &Args, shell: &mut Shell) -> Exit {
    let format = match args.output {
        Output::Json => Format::Json,
        Output::Text => args.format.unwrap_or_default(),
    };
    let mut show = match look(args, format) {
        Ok(show) => show,
        Err(complaint) => return shell.complain(&[complaint], args.output),
    };
    let redraws = args.watch && io::stdout().is_terminal();
    loop {
        let text = match show() {
            Ok(text) => text,
            Err(complaint) => return shell.complain(&[complaint], args.output),
        };
        let begin = if redraws { CLEAR } else { "" };
        let written = shell.show(&format!("{begin}{text}"));
        if !args.watch || written.is_err() {
            return shell.end(written, Exit::Success);
        }
        std::thread::sleep(args.interval.0.max(SHORTEST_PAUSE));
    }
}

/// Looks at the host anew at each call and says what it saw.
type Show = Box<dyn FnMut() -> Result<String, Diagnostic>>;

fn look(args: &Args, format: Format) -> Result<Show, Diagnostic> {
    if format == Format::Prometheus {
        let names = args.names.iter().map(String::as_str);
        let names: Vec<&str> =
            if args.names.is_empty() { vec!["default"] } else { names.collect() };
        let collectors = Collectors::new(&Roots::live(), &Options::default(), names);
        let mut collectors =
            collectors.map_err(|unknown| hinted(unknown.to_string(), unknown.nearest))?;
        return Ok(Box::new(move || {
            let mut text = Vec::new();
            exposition::encode(&collectors.collect(|_| true), &mut text);
            Ok(String::from_utf8_lossy(&text).into_owned())
        }));
    }
    let names = args.names.clone();
    let mut facts = Arc::new(Facts::of_this_host());
    Ok(Box::new(move || {
        facts = Arc::new(facts.again());
        let selected = match format {
            Format::Ansible => select_named(&ansible(&facts), &names)?,
            Format::Facter => select_named(&facter::facts(&facts), &names)?,
            Format::Table if names.is_empty() => in_short(facts.all()),
            _ => select(&facts, &names)?,
        };
        write(&selected, format)
    }))
}

/// The facts named, by their names as they were given; all where none is named.
fn select(facts: &Facts, names: &[String]) -> Result<Value, Diagnostic> {
    if names.is_empty() {
        return Ok(facts.all());
    }
    let named = |path: &String| {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        let Some(fact) = facts.get(name) else {
            return Err(hinted(
                format!("there is no fact `{name}`"),
                nearest(name, Facts::names()),
            ));
        };
        let value = if rest.is_empty() { Some(fact) } else { part(fact, rest) };
        let value = value.ok_or_else(|| no_such_part(name, fact, rest))?;
        Ok((path.clone(), value.clone()))
    };
    Ok(Value::Object(names.iter().map(named).collect::<Result<Map<_, _>, _>>()?))
}

/// Facts of many entries, such as packages, are only counted in a table of all.
fn in_short(mut facts: Value) -> Value {
    for (name, fact) in facts.as_object_mut().into_iter().flatten() {
        if let Some(entries) = fact.as_object().map(Map::len).filter(|entries| *entries > MANY) {
            *fact = format!("{entries} of them; `driftless facts {name}` shows them").into();
        }
    }
    facts
}

/// What `setup` would return.
fn ansible(facts: &Arc<Facts>) -> Value {
    let known = ansible_facts::value(&facts_value(facts));
    let names = known.try_iter().into_iter().flatten().map(|name| name.to_string());
    let fact = |name: String| {
        let value = known.get_attr(&name).ok().filter(|value| !value.is_undefined())?;
        Some((format!("ansible_{name}"), to_json(&value)))
    };
    Value::Object(names.filter_map(fact).collect())
}

/// Those named of facts that are known already; all where none is named.
fn select_named(facts: &Value, names: &[String]) -> Result<Value, Diagnostic> {
    if names.is_empty() {
        return Ok(facts.clone());
    }
    let named = |path: &String| {
        let found = part(facts, path).ok_or_else(|| {
            let known = facts.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
            hinted(format!("there is no fact `{path}`"), nearest(path, known))
        })?;
        Ok((path.clone(), found.clone()))
    };
    Ok(Value::Object(names.iter().map(named).collect::<Result<Map<_, _>, _>>()?))
}

/// What stands under `path`, whose steps are parted by dots. Names may have dots of their own
/// (`eth0.100`), so the longest that fits is taken.
fn part<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let entries = value.as_object()?;
    entries.get(path).or_else(|| {
        path.rmatch_indices('.')
            .find_map(|(at, _)| part(entries.get(&path[..at])?, &path[at + 1..]))
    })
}

fn no_such_part(name: &str, fact: &Value, rest: &str) -> Diagnostic {
    let message = format!("the fact `{name}` has no `{rest}`");
    match fact.as_object() {
        Some(entries) => hinted(message, nearest(rest, entries.keys().map(String::as_str))),
        None => Diagnostic::new(message, None).hint(format!("it is a single value: `{name}`")),
    }
}

fn hinted(message: String, nearest: Option<&str>) -> Diagnostic {
    let complaint = Diagnostic::new(message, None);
    match nearest {
        Some(nearest) => complaint.hint(format!("did you mean `{nearest}`?")),
        None => complaint.hint("`driftless facts` shows all facts with their names"),
    }
}

fn write(facts: &Value, format: Format) -> Result<String, Diagnostic> {
    let unwritable = |error: &dyn std::error::Error| Diagnostic::new(error.to_string(), None);
    match format {
        Format::Json | Format::Ansible | Format::Facter => serde_json::to_string_pretty(facts)
            .map(|text| text + "\n")
            .map_err(|error| unwritable(&error)),
        Format::Yaml => serde_yaml::to_string(facts).map_err(|error| unwritable(&error)),
        Format::Table | Format::Prometheus => Ok(table::draw(facts)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn facts() -> Facts {
        Facts::new(Roots::below(Path::new("tests/fixtures/host")))
    }

    fn selected(names: &[&str]) -> Result<Value, Diagnostic> {
        select(&facts(), &names.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn a_name_may_lead_into_a_fact() {
        let found = selected(&["os.family", "cpu.count"]).unwrap();
        assert_eq!(found["os.family"], "debian");
        assert_eq!(found["cpu.count"], 2);
    }

    #[test]
    fn names_with_dots_in_them_are_found() {
        let value = serde_json::json!({"eth0.100": {"mtu": 1500}, "eth0": {"mtu": 9000}});
        assert_eq!(part(&value, "eth0.100.mtu"), Some(&Value::from(1500)));
        assert_eq!(part(&value, "eth0.mtu"), Some(&Value::from(9000)));
        assert_eq!(part(&value, "eth0.mtu.x"), None);
    }

    #[test]
    fn a_misspelt_name_is_refused_with_the_one_that_is_meant() {
        let hint = |name: &str| selected(&[name]).unwrap_err().hint.unwrap();
        assert_eq!(hint("memry"), "did you mean `memory`?");
        assert_eq!(hint("os.famly"), "did you mean `family`?");
        assert_eq!(hint("arch.bits"), "it is a single value: `arch`");
    }
}
