//! `driftless status`: how the running agent is.

use super::Exit;
use super::apply_now;
use super::control::status::{ApplyStatus, ComponentStatus, Status};
use super::control::{Ask, At, Lost, Reply, complain};
use super::report::Colour;
use super::report::printable;
use super::shell::{Output, Shell};
use super::table::{Table, ago, bad, dash, size};
use crate::expr::promql::Labels;
use crate::topology::standings::Standing;
use anstyle::{AnsiColor, Style};
use std::fmt::Write;
use std::io;

/// Show how the running agent is: its components, its config and the revision that it follows, and
/// the desired state.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 0: the agent is well; 1: something is wrong, which stands at the end; 2: none
runs. A check of the host's metrics that is critical does not count: `driftless facts
check` is for that.

Examples:
  driftless status
  driftless status --output json | jq '.components[] | select(.state != \"running\")'")]
pub struct Args {
    #[command(flatten)]
    at: At,
    /// Whom the result is for.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    let status = match args.at.ask(&Ask::Status) {
        Ok(Reply::Status(status)) => status,
        Ok(other) => return complain(&Lost::unlike(&other), args.output, shell),
        Err(lost) => return complain(&lost, args.output, shell),
    };
    let shown = match args.output {
        Output::Json => shell.print_json(&status),
        Output::Text => {
            let no_color = std::env::var("NO_COLOR").ok();
            let colour = Colour::choose(&io::stdout(), no_color.as_deref());
            shell.print(&draw(&status, colour))
        }
    };
    if status.problems.is_empty() { shown } else { Exit::Failed }
}

/// So many checks are shown to people.
const MOST_CHECKS: usize = 50;

const COLUMNS: [&str; 10] = [
    "COMPONENT",
    "TYPE",
    "STATE",
    "IN",
    "IN BYTES",
    "OUT",
    "OUT BYTES",
    "ERRORS",
    "WAITING",
    "BEHIND",
];

/// Draws it for people.
fn draw(status: &Status, colour: Colour) -> String {
    // Writing to a string cannot fail, so `ok` says all there is to say.
    let mut out = String::new();
    let now = status.at_seconds as u64;
    let headline = format!("driftless {} on {}", status.version, printable(&status.host));
    let headline = colour.paint(Style::new().bold(), &headline);
    let began = ago(now, status.started_seconds as u64);
    writeln!(out, "{headline}: process {}, began {began}", status.pid).ok();
    writeln!(out, "state in {}", printable(&status.data_dir)).ok();
    if let Some(revision) = &status.revision {
        writeln!(out, "revision {}", printable(revision)).ok();
    }
    if let Some(load) = &status.last_load {
        let outcome = if load.complaints.is_empty() { "taken" } else { "refused" };
        let when = ago(now, load.at_seconds as u64);
        let (taken, refused) = (status.loads_taken, status.loads_refused);
        writeln!(out, "config {outcome} {when} (anew: {taken} taken, {refused} refused)").ok();
    }
    if let Some(apply) = &status.apply {
        write_apply(apply, now, &mut out);
    }
    out.push('\n');
    let mut table = Table::new(3, &COLUMNS);
    status.components.iter().for_each(|component| add(&mut table, component));
    table.draw(colour, "", &mut out);
    write_checks(&status.checks, now, colour, &mut out);
    if !status.problems.is_empty() {
        out.push('\n');
    }
    for problem in &status.problems {
        writeln!(out, "{}", colour.paint(bad(), &printable(problem))).ok();
    }
    out
}

fn write_apply(apply: &ApplyStatus, now: u64, out: &mut String) {
    let last = match &apply.last {
        Some(last) => {
            let when = ago(now, last.at_seconds as u64);
            format!("last run {when}: {}", apply_now::line(last).trim_end())
        }
        None => "no run yet".to_owned(),
    };
    let next = apply.next_seconds.map(|next| (next as u64).saturating_sub(now));
    let next = match next {
        _ if apply.running => ", one is under way".to_owned(),
        Some(seconds) => format!(", the next in {seconds} s"),
        None => String::new(),
    };
    writeln!(out, "apply: {last}{next}").ok();
    for task in &apply.drifted {
        writeln!(out, "  drifted: {}", printable(task)).ok();
    }
}

/// A table of them; of those that are at its end, which are well as a rule, only how many there are.
fn write_checks(checks: &[Standing], now: u64, colour: Colour, out: &mut String) {
    if checks.is_empty() {
        return;
    }
    out.push('\n');
    let mut table = Table::new(4, &["CHECK", "SERIES", "STATE", "SINCE", "VALUE"]);
    for check in checks.iter().take(MOST_CHECKS) {
        let style = match check.state.as_str() {
            "critical" | "firing" => bad(),
            "warning" | "unknown" => AnsiColor::Yellow.on_default(),
            _ => Style::new(),
        };
        let series =
            if check.series == Labels::default() { dash() } else { check.series.to_string() };
        let since = check.since_seconds.map_or_else(dash, |since| ago(now, since as u64));
        let value = check.value.map_or_else(dash, rounded);
        let row = [printable(&check.check), printable(&series), check.state.clone(), since, value];
        table.add(row, style);
    }
    table.draw(colour, "", out);
    let more = checks.len().saturating_sub(MOST_CHECKS);
    if more > 0 {
        writeln!(out, "and {more} more, none worse than `{}`", checks[MOST_CHECKS].state).ok();
    }
}

/// With six digits at most behind the point.
fn rounded(value: f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

fn add(table: &mut Table, component: &ComponentStatus) {
    let style = match component.state.as_str() {
        "running" if component.errors == 0 => Style::new(),
        "running" => AnsiColor::Yellow.on_default(),
        "ended" => Style::new().dimmed(),
        _ => bad(),
    };
    let count = |number: u64| if number == 0 { dash() } else { number.to_string() };
    let bytes = |number: u64| if number == 0 { dash() } else { size(number) };
    table.add(
        [
            printable(&component.name),
            component.type_name.clone(),
            component.state.clone(),
            count(component.received_events),
            bytes(component.received_bytes),
            count(component.sent_events),
            bytes(component.sent_bytes),
            count(component.errors),
            bytes(component.waiting_bytes + component.disk_bytes),
            component.behind_bytes.map_or_else(String::new, size),
        ],
        style,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::runs::Recap;

    const NOW: f64 = 1_800_000_000.0;

    fn component(name: &str, type_name: &str, state: &str, events: u64) -> ComponentStatus {
        ComponentStatus {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            state: state.to_owned(),
            received_events: events,
            received_bytes: events * 100,
            ..ComponentStatus::default()
        }
    }

    #[test]
    fn an_operator_sees_what_runs_what_waits_and_what_is_wrong() {
        let recap = Recap {
            at_seconds: NOW - 60.0,
            duration_seconds: 0.25,
            tasks: vec![("ok".to_owned(), 12), ("changed".to_owned(), 0)],
            ..Recap::default()
        };
        let status = Status {
            version: "0.1.0".to_owned(),
            pid: 7,
            host: "web1".to_owned(),
            data_dir: "/var/lib/driftless".to_owned(),
            at_seconds: NOW,
            started_seconds: NOW - 300.0,
            problems: vec!["logs.out is failing: refused".to_owned()],
            revision: Some("0123456789abcdef".to_owned()),
            refused: None,
            loads_taken: 2,
            loads_refused: 0,
            last_load: None,
            secrets_failed: None,
            components: vec![
                component("logs.app", "file", "running", 0),
                ComponentStatus {
                    errors: 3,
                    waiting_bytes: 2048,
                    ..component("logs.out", "http", "failing", 1234)
                },
            ],
            apply: Some(ApplyStatus {
                running: false,
                last: Some(recap),
                next_seconds: Some(NOW + 1740.0),
                drifted: vec!["apply.yml:3: motd".to_owned()],
                repairs: 0,
            }),
            checks: vec![
                Standing {
                    check: "root disk".to_owned(),
                    series: [("mountpoint", "/")].into_iter().collect(),
                    state: "critical".to_owned(),
                    since_seconds: Some(NOW - 120.0),
                    value: Some(4.25),
                    ..Standing::default()
                },
                Standing {
                    check: "load".to_owned(),
                    state: "pending".to_owned(),
                    ..Standing::default()
                },
            ],
        };
        insta::assert_snapshot!(draw(&status, Colour::Never), @r#"
        driftless 0.1.0 on web1: process 7, began 5 min ago
        state in /var/lib/driftless
        revision 0123456789abcdef
        apply: last run 60 s ago: 12 ok (0.25 s), the next in 1740 s
          drifted: apply.yml:3: motd

        COMPONENT  TYPE  STATE      IN   IN BYTES  OUT  OUT BYTES  ERRORS  WAITING  BEHIND
        logs.app   file  running     -          -    -          -       -        -
        logs.out   http  failing  1234  120.5 KiB    -          -       3  2.0 KiB

        CHECK      SERIES            STATE     SINCE      VALUE
        root disk  {mountpoint="/"}  critical  2 min ago   4.25
        load       -                 pending   -              -

        logs.out is failing: refused
        "#);
    }
}
