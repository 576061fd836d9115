//! `exec`: what programs say that are run for it: in Prometheus's format, or as Nagios plugins do. No
//! collector of `node_exporter`'s.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector};
use super::families::{Families, labels};
use super::nagios;
use crate::event::exposition_read::read;
use crate::event::metric::Family;
use crate::event::secret::{Masker, SecretText};
use crate::host::brief::{End, Programs};
use crate::host::clock;
use crate::host::program::Program;
use crate::host::roots::Roots;
use crate::topology::settings::Period;

/// What a program prints beyond this is left out.
const MOST_BYTES: u64 = 4 << 20;
/// Programs that run at the same time, at most.
const TOGETHER: usize = 8;

/// Programs to run.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// By the name that their metrics have in the label `name`.
    pub commands: BTreeMap<String, Command>,
}

/// A program to run.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program and its arguments. There is no shell; `[sh, -c, ...]` is one. A secret is
    /// refused here, since all users of a host can read arguments.
    pub command: Vec<String>,
    /// What it prints.
    #[serde(default)]
    pub format: Format,
    /// How long it may take. Then it is killed, with all that it has started.
    #[serde(default = "timeout")]
    pub timeout: Period,
    /// How long what it said holds: it is run when a scrape or the source's `interval` comes after
    /// that.
    #[serde(default = "interval")]
    pub interval: Period,
    /// Environment variables, beside those of the agent.
    #[serde(default)]
    pub environment: BTreeMap<String, SecretText>,
}

/// What a program prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Metrics in Prometheus's text format or in OpenMetrics, without times. It exits with 0.
    #[default]
    Prometheus,
    /// What a plugin of Nagios does: a line for people, performance data behind a `|`, and the exit
    /// status 0 (ok), 1 (warning), 2 (critical) or 3 (unknown).
    Nagios,
}

fn timeout() -> Period {
    Period(Duration::from_secs(10))
}

fn interval() -> Period {
    Period(Duration::from_secs(60))
}

impl Options {
    /// Refuses what must not be run.
    ///
    /// # Errors
    /// What is wrong, in a user's words and without secrets.
    pub fn check(&self, masker: &Masker) -> Result<(), String> {
        for (name, command) in &self.commands {
            let wrong = |what: String| format!("`options`: `exec`: `{name}`: {what}");
            command.program().check(masker).map_err(|why| wrong(format!("`command`: {why}")))?;
            if command.timeout.0.is_zero() {
                return Err(wrong("`timeout` is 0s; expected a time such as `10s`".to_owned()));
            }
            let bad = |name: &&String| name.is_empty() || name.contains(['=', '\0']);
            if let Some(variable) = command.environment.keys().find(bad) {
                let what = format!("`{variable}` is no name of an environment variable");
                return Err(wrong(what));
            }
        }
        Ok(())
    }
}

impl Command {
    fn program(&self) -> Program {
        let environment = self.environment.clone().into_iter().collect();
        Program { environment, stderr: false, ..Program::new(self.command.clone()) }
    }
}

/// Runs the programs, and holds what they said.
pub struct Exec {
    members: Vec<Member>,
    programs: Programs,
}

struct Member {
    name: String,
    command: Command,
    /// When it was run last, and what came of it.
    last: Option<(Instant, Ran)>,
}

/// A run.
struct Ran {
    families: Vec<Family>,
    /// Of a plugin.
    status: Option<f64>,
    is_good: bool,
    took: Duration,
    /// When it ended, since the epoch.
    at: Duration,
}

impl Exec {
    /// The collector; `roots` do not matter for programs.
    pub fn new(_: &Roots, options: &Options, programs: &Programs) -> Self {
        let commands = options.commands.clone().into_iter();
        let members = commands.map(|(name, command)| Member { name, command, last: None });
        Self { members: members.collect(), programs: programs.clone() }
    }
}

impl Member {
    fn is_due(&self) -> bool {
        let interval = self.command.interval.0;
        self.last.as_ref().is_none_or(|(when, _)| when.elapsed() >= interval)
    }

    fn run(&mut self, programs: &Programs) {
        let begun = Instant::now();
        let end = programs.run(&self.command.program(), MOST_BYTES, self.command.timeout.0);
        if programs.are_over() {
            // Nobody wants to know any more, and that it was killed is no news.
            return;
        }
        let understood = match (&end, self.command.format) {
            (Err(error), _) => Err(format!("it cannot be run: {error}")),
            (Ok(End::TimedOut), _) => {
                Err(format!("it had not ended after {}, and was killed", self.command.timeout))
            }
            (Ok(End::Itself { status, text }), Format::Prometheus) => match status.success() {
                true => metrics(text, &self.name).map(|families| (families, None)),
                false => Err(format!("it failed with {status}")),
            },
            (Ok(End::Itself { status, text }), Format::Nagios) => {
                let state = status.code().filter(|code| (0..=3).contains(code));
                let state = state.ok_or_else(|| format!("it ended with {status}, expected 0 to 3"));
                state.map(|state| (nagios::families(text, &self.name), Some(f64::from(state))))
            }
        };
        let was_good = self.last.as_ref().is_none_or(|(_, ran)| ran.is_good);
        let is_good = understood.is_ok();
        let (families, status) = understood.unwrap_or_else(|complaint| {
            if was_good {
                let name = self.name.as_str();
                tracing::warn!(name, complaint, "a program of the collector `exec` tells nothing");
            }
            // What does not answer is unknown.
            (Vec::new(), (self.command.format == Format::Nagios).then_some(nagios::UNKNOWN))
        });
        let (took, at) = (begun.elapsed(), clock::now());
        self.last = Some((begun, Ran { families, status, is_good, took, at }));
    }
}

fn metrics(text: &str, name: &str) -> Result<Vec<Family>, String> {
    let help = format!("Metric told by `{name}`");
    let families = read(text, &help).map_err(|fault| fault.to_string())?;
    let mut samples = families.iter().flat_map(|family| &family.samples);
    if samples.any(|sample| sample.timestamp_ms.is_some()) {
        return Err("samples have times of their own; a scrape gives them its own".to_owned());
    }
    Ok(families)
}

impl Collector for Exec {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let Self { members, programs } = self;
        let mut due: Vec<&mut Member> = members.iter_mut().filter(|it| it.is_due()).collect();
        for some in due.chunks_mut(TOGETHER) {
            thread::scope(|scope| {
                for member in some {
                    scope.spawn(|| member.run(programs));
                }
            });
        }
        let mut families = Families::default();
        for Member { name, last, .. } in members.iter() {
            let Some((_, ran)) = last else { continue };
            let labels = labels([("name", name)]);
            families.gauge(
                "driftless_exec_success",
                "Whether the program ran and was understood: 1 yes, 0 no.",
                labels.clone(),
                if ran.is_good { 1.0 } else { 0.0 },
            );
            families.gauge(
                "driftless_exec_duration_seconds",
                "How long the program's last run took.",
                labels.clone(),
                ran.took.as_secs_f64(),
            );
            families.gauge(
                "driftless_exec_timestamp_seconds",
                "When the program's last run ended, in seconds since the epoch.",
                labels.clone(),
                ran.at.as_secs_f64(),
            );
            if let Some(status) = ran.status {
                families.gauge(
                    "driftless_plugin_status",
                    "What the plugin said: 0 ok, 1 warning, 2 critical, 3 unknown.",
                    labels,
                    status,
                );
            }
            for family in &ran.families {
                for sample in &family.samples {
                    families.add_sample(family, sample.clone());
                }
            }
        }
        if families.is_empty() {
            return Err(CollectError::NoData);
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::exposition;
    use serde_json::{Value, json};

    fn sh(script: &str, more: Value) -> Value {
        let mut command = json!({ "command": ["/bin/sh", "-c", script] });
        let Value::Object(more) = more else { panic!("settings are a mapping") };
        command.as_object_mut().unwrap().extend(more);
        command
    }

    fn collector(commands: &Value) -> Exec {
        let options = serde_json::from_value(json!({ "commands": commands })).unwrap();
        Exec::new(&Roots::live(), &options, &Programs::default())
    }

    fn told(collector: &mut Exec) -> Vec<String> {
        let mut families = Vec::new();
        collector.collect(&mut families).unwrap();
        families.sort_by(|a, b| a.name.cmp(&b.name));
        let mut text = Vec::new();
        exposition::encode(&families, &mut text);
        let text = String::from_utf8(text).unwrap();
        let changing = ["duration_seconds", "timestamp_seconds", "# "];
        let lines = text.lines().filter(|line| !changing.iter().any(|it| line.contains(it)));
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn metrics_and_plugins_are_told_beside_each_other() {
        let plugin = "echo 'DISK WARNING - 81% | /var=81%;80;90;0;100 t=1.5s'; exit 1";
        let mut exec = collector(&json!({
            "queue": sh("echo '# TYPE queue gauge'; echo 'queue{name=\"a\"} 7'", json!({})),
            "disk": sh(plugin, json!({ "format": "nagios" })),
        }));
        assert_eq!(
            told(&mut exec),
            [
                r#"driftless_exec_success{name="disk"} 1"#,
                r#"driftless_exec_success{name="queue"} 1"#,
                r#"driftless_plugin_status{name="disk"} 1"#,
                r#"driftless_plugin_value{label="/var",name="disk",unit="%"} 81"#,
                r#"driftless_plugin_value{label="t",name="disk",unit="s"} 1.5"#,
                r#"queue{name="a"} 7"#,
            ]
        );
    }

    #[test]
    fn a_program_that_hangs_fails_or_raves_costs_only_itself() {
        let soon = json!({ "timeout": "300ms" });
        let plugin = json!({ "timeout": "300ms", "format": "nagios" });
        let mut exec = collector(&json!({
            "fails": sh("echo a 1; exit 1", json!({})),
            "good": sh("echo b 2", json!({})),
            "hangs": sh("echo c 3; sleep 1000", soon),
            "none": { "command": ["/no/such/program"] },
            "raves": sh("echo one two three", json!({})),
            "sleeps": sh("sleep 1000", plugin.clone()),
            "times": sh("echo d 1 1441205977284", json!({})),
            "wrong": sh("exit 7", plugin),
        }));
        let told = told(&mut exec);
        let good = r#"driftless_exec_success{name="good"} 1"#;
        let of_success = told.iter().filter(|line| line.starts_with("driftless_exec_success"));
        assert_eq!(of_success.filter(|line| line.ends_with(" 1")).collect::<Vec<_>>(), [good]);
        assert!(told.contains(&"b 2".to_owned()));
        for name in ["sleeps", "wrong"] {
            assert!(told.contains(&format!("driftless_plugin_status{{name=\"{name}\"}} 3")));
        }
        assert_eq!(told.len(), 8 + 1 + 2, "{told:#?}");
    }

    #[test]
    fn what_it_said_holds_for_its_interval() {
        let dir = tempfile::tempdir().unwrap();
        let count = dir.path().join("count");
        let script = format!("echo x >> {}; echo a 1", count.display());
        let runs = || std::fs::read_to_string(&count).unwrap().lines().count();
        let mut exec = collector(&json!({ "a": sh(&script, json!({ "interval": "1h" })) }));
        for _ in 0..3 {
            assert!(told(&mut exec).contains(&"a 1".to_owned()));
        }
        assert_eq!(runs(), 1);
        let mut exec = collector(&json!({ "a": sh(&script, json!({ "interval": "0s" })) }));
        told(&mut exec);
        told(&mut exec);
        assert_eq!(runs(), 3);
    }

    #[test]
    fn a_secret_among_the_arguments_and_no_command_at_all_are_refused() {
        let check = |commands: Value, masker: &Masker| {
            let options: Options = serde_json::from_value(json!({ "commands": commands })).unwrap();
            options.check(masker).err().unwrap_or_default()
        };
        let nothing = Masker::default();
        let empty = check(json!({ "a": { "command": [] } }), &nothing);
        assert_eq!(empty, "`options`: `exec`: `a`: `command`: there is no command to run");
        let zero = json!({ "a": sh("true", json!({ "timeout": "0s" })) });
        assert!(check(zero, &nothing).contains("`timeout` is 0s"));
        assert_eq!(check(json!({ "a": sh("true", json!({})) }), &nothing), "");
    }
}
