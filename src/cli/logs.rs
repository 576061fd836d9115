//! `driftless logs`: a pipeline for the moment, without a config file.

mod explain;
mod status;
mod status_table;

use super::Exit;
use super::runtime::{Signals, Started, Told, WORKERS, run_topology};
use super::session::Session;
use super::shell::{LogFormat, LogLevel, Output, Shell};
use crate::event::tree::{Key, Node, SourceFile, Span, Value};
use clap::ValueEnum;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long the rest may take to drain after Ctrl-C.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Read, parse, filter and forward log files, or standard input, without a config.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true
)]
#[command(after_help = "\
A file that is named as a command is: `./status`, `./explain`.

Examples:
  driftless logs /var/log/syslog --keep \"message is search('(?i)error')\"
  driftless logs -f access.log --parse nginx_combined --keep 'status >= 500' --fields path,status
  journalctl -o json | driftless logs - --parse json --drop \"PRIORITY == '7'\" --to file:/tmp/out")]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Files and patterns; `-` for standard input.
    #[arg(required = true)]
    paths: Vec<String>,
    /// Go on with what is appended, until Ctrl-C.
    #[arg(short, long)]
    follow: bool,
    /// Where to begin; the beginning, or with -f the end.
    #[arg(long, value_enum)]
    from: Option<From>,
    /// What lines are made of: any format of the `parse` transform (`json`, `logfmt`, `syslog`,
    /// `nginx_combined`, `haproxy`, `cri`, …), or `regex:PATTERN` with named groups,
    /// `grok:PATTERN`, `csv:COLUMN,COLUMN`.
    #[arg(long, value_name = "FORMAT")]
    parse: Option<String>,
    /// Joins lines that belong together: `java`, `python`, `go`, `ruby`, `dotnet`, `cri`,
    /// `docker`, or `start=REGEX`, `continuation=REGEX`, `end=REGEX`.
    #[arg(long, value_name = "RULE")]
    multiline: Option<String>,
    /// Keep records for which this holds.
    #[arg(long, value_name = "EXPR")]
    keep: Option<String>,
    /// Leave out records for which this holds.
    #[arg(long, value_name = "EXPR")]
    drop: Option<String>,
    /// Keep only these fields.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    fields: Vec<String>,
    /// How records are written. Default: as they were read while nothing changed them, else as
    /// JSON.
    #[arg(long, value_name = "ENCODING", value_parser = ["text", "ndjson", "json", "logfmt"])]
    encoding: Option<String>,
    /// Where to: `stdout`, `file:PATH`, `http://…`, `https://…`, `s3://BUCKET/PREFIX` (keys and
    /// region from the environment, as AWS's own tools have them), `syslog://HOST:PORT` (TCP),
    /// `syslog+tls://…` or `syslog+udp://…`.
    #[arg(long, value_name = "URI", default_value = "stdout")]
    to: String,
}

/// What there is beside the pipeline for the moment.
#[derive(Debug, clap::Subcommand)]
enum Command {
    Explain(explain::Args),
    Status(status::Args),
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum From {
    Beginning,
    End,
}

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    match &args.command {
        Some(Command::Explain(args)) => explain::run(args, shell),
        Some(Command::Status(args)) => status::run(args, shell),
        None => stream(args, shell),
    }
}

fn stream(args: &Args, shell: &mut Shell) -> Exit {
    let topology = match pipeline(args) {
        Ok(topology) => topology,
        Err(message) => return shell.fail(&message),
    };
    let session = Session::new(&[]);
    let config = match session.load_node(topology, &shell.masker.clone()) {
        Ok(config) => config,
        Err(complaints) => return shell.complain(&complaints, Output::Text),
    };
    shell.start_logging(LogLevel::Warn, LogFormat::Text);
    let (mut environment, _tasks) = match session.environment(&config, shell, !args.follow) {
        Ok(made) => made,
        Err(message) => return shell.fail(&message),
    };
    environment.keeps_state = false;
    let work = async |started: Started, mut signals: Signals| {
        let mut topology = started?;
        let mut reader_gone = tokio::task::spawn_blocking(wait_until_nobody_reads);
        loop {
            tokio::select! {
                () = topology.finished() => return Ok(Exit::Success),
                // `| head` has seen enough, which is no failure.
                _ = &mut reader_gone => return Ok(Exit::Success),
                told = signals.next() => if told == Told::Stop { break },
            }
        }
        let drained = topology.stop(DRAIN_TIMEOUT).await;
        Ok(if drained { Exit::Success } else { Exit::Failed })
    };
    run_topology(WORKERS, &config.graph, Arc::new(environment), shell, work)
}

/// Returns once standard output is a pipe whose other end was closed; else never.
fn wait_until_nobody_reads() {
    let stdout = std::io::stdout();
    loop {
        let mut watched = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
        let gone = PollFlags::POLLERR | PollFlags::POLLHUP;
        let polled = poll(&mut watched, PollTimeout::NONE);
        let seen = watched[0].revents().unwrap_or(PollFlags::empty());
        if polled.is_ok() && seen.intersects(gone) {
            return;
        }
    }
}

/// The pipeline as a topology file would spell it out.
fn pipeline(args: &Args) -> Result<Node, String> {
    let mut steps: Vec<(&str, Node)> = Vec::new();
    if let Some(format) = &args.parse {
        let settings = match format.split_once(':') {
            Some((format @ ("regex" | "grok"), pattern)) => {
                vec![("format", Node::string(format)), ("pattern", argument("--parse", pattern))]
            }
            Some(("csv", columns)) => {
                let columns: Vec<&str> = columns.split(',').collect();
                vec![("format", Node::string("csv")), ("columns", list(&columns))]
            }
            _ => vec![("format", argument("--parse", format))],
        };
        steps.push(("parse", map(settings)));
    }
    for (name, flag, expression) in [("keep", "--keep", &args.keep), ("drop", "--drop", &args.drop)]
    {
        if let Some(expression) = expression {
            steps.push(("filter", map(vec![(name, argument(flag, expression))])));
        }
    }
    if !args.fields.is_empty() {
        steps.push(("keep_fields", map(vec![("fields", list(&args.fields))])));
    }
    let mut transforms = Vec::new();
    let mut last = "input".to_owned();
    for (at, (type_name, mut settings)) in steps.into_iter().enumerate() {
        let name = format!("step{}", at + 1);
        add(&mut settings, "type", Node::string(type_name));
        add(&mut settings, "inputs", list(&[last]));
        transforms.push((Key::from(name.as_str()), settings));
        last = name;
    }
    let mut sink = sink(args)?;
    add(&mut sink, "inputs", list(&[last]));
    Ok(map(vec![
        ("sources", map(vec![("input", source(args)?)])),
        ("transforms", Node::new(Value::Map(transforms))),
        ("sinks", map(vec![("output", sink)])),
    ]))
}

fn source(args: &Args) -> Result<Node, String> {
    let mut source =
        if args.paths == ["-"] { map(vec![("type", Node::string("stdin"))]) } else { files(args)? };
    if let Some(rule) = &args.multiline {
        let (name, value) = rule.split_once('=').unwrap_or(("mode", rule));
        if !["mode", "start", "continuation", "end"].contains(&name) {
            return Err(format!(
                "`--multiline {rule}`: expected a mode, or start=, continuation= or end= and a \
                 regular expression"
            ));
        }
        add(&mut source, "multiline", map(vec![(name, argument("--multiline", value))]));
    }
    Ok(source)
}

fn files(args: &Args) -> Result<Node, String> {
    let here = std::env::current_dir().map_err(|error| error.to_string())?;
    let mut include = Vec::new();
    for path in &args.paths {
        if path == "-" {
            return Err("`-` stands for standard input, which goes with no other path".to_owned());
        }
        let path = here.join(path);
        let is_pattern = path.to_string_lossy().contains(['*', '?', '[', '{']);
        if path.exists() {
            include.push(literally(&path));
        } else if is_pattern || args.follow {
            include.push(path.to_string_lossy().into_owned());
        } else {
            return Err(format!("`{}`: there is no such file", path.display()));
        }
    }
    let from = args.from.unwrap_or(if args.follow { From::End } else { From::Beginning });
    let from = if from == From::End { "end" } else { "beginning" };
    Ok(map(vec![
        ("type", Node::string("file")),
        ("include", list(&include)),
        ("read_from", Node::string(from)),
    ]))
}

/// The pattern that matches this path alone.
fn literally(path: &Path) -> String {
    let mut pattern = String::new();
    for character in path.to_string_lossy().chars() {
        if "*?[]{}!\\".contains(character) {
            pattern.extend(['[', character, ']']);
        } else {
            pattern.push(character);
        }
    }
    pattern
}

fn sink(args: &Args) -> Result<Node, String> {
    let mut sink = match args.to.split_once(':') {
        None if args.to == "stdout" => map(vec![("type", Node::string("console"))]),
        Some(("file", path)) => {
            let path = path.strip_prefix("//").unwrap_or(path);
            map(vec![("type", Node::string("file")), ("path", argument("--to", path))])
        }
        Some(("http" | "https", _)) => {
            map(vec![("type", Node::string("http")), ("url", argument("--to", &args.to))])
        }
        Some(("s3", rest)) => bucket(rest.trim_start_matches('/'))?,
        Some((scheme @ ("syslog" | "syslog+tls" | "syslog+udp"), rest)) => {
            let way = scheme.strip_prefix("syslog+").unwrap_or("tcp");
            let url = argument("--to", &format!("{way}:{rest}"));
            map(vec![("type", Node::string("syslog")), ("url", url)])
        }
        _ => {
            let to = &args.to;
            return Err(format!(
                "`--to {to}`: expected stdout, file:PATH, http://…, https://…, s3://BUCKET/PREFIX \
                 or syslog://HOST:PORT"
            ));
        }
    };
    if let Some(encoding) = &args.encoding {
        add(&mut sink, "encoding", Node::string(encoding));
    }
    Ok(sink)
}

/// The sink for `s3://BUCKET/PREFIX`, without its beginning.
fn bucket(rest: &str) -> Result<Node, String> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err("`--to s3://`: the bucket's name is missing".to_owned());
    }
    let prefix = match prefix.trim_end_matches('/') {
        "" => "{{ host }}/%Y/%m/%d/".to_owned(),
        prefix => format!("{prefix}/"),
    };
    let (bucket, prefix) = (argument("--to", bucket), argument("--to", &prefix));
    Ok(map(vec![("type", Node::string("s3")), ("bucket", bucket), ("prefix", prefix)]))
}

/// An argument as a text with a place, so that complaints point into it.
fn argument(flag: &str, text: &str) -> Node {
    let file = SourceFile::new(Path::new(flag).into(), text.to_owned());
    let span = Span { file: Arc::new(file), start: 0, end: text.len() };
    Node { value: Value::String(text.into()), span: Some(span) }
}

fn map(entries: Vec<(&str, Node)>) -> Node {
    let entries = entries.into_iter().map(|(name, node)| (Key::from(name), node));
    Node::new(Value::Map(entries.collect()))
}

fn list(items: &[impl AsRef<str>]) -> Node {
    Node::new(Value::List(items.iter().map(|item| Node::string(item.as_ref())).collect()))
}

fn add(node: &mut Node, name: &str, value: Node) {
    if let Value::Map(entries) = &mut node.value {
        entries.push((Key::from(name), value));
    }
}
