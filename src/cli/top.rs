//! `driftless top`: what each component of the running agent does, second by second.

use super::Exit;
use super::apply_now;
use super::control::status::{ComponentStatus, Status};
use super::control::{Ask, At, Lost, Questions, Reply, complain};
use super::report::Colour;
use super::report::printable;
use super::shell::{Output, Shell};
use super::table::{Table, ago, bad, dash, size};
use anstyle::Style;
use std::fmt::Write;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// Puts the cursor at the top; what stood there is written over, so that nothing flickers.
const HOME: &str = "\x1b[H";
/// Clears the rest of a line, and of the screen.
const REST_OF_LINE: &str = "\x1b[K\n";
const REST_OF_SCREEN: &str = "\x1b[J";

/// Show what each component of the running agent does, second by second, until Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 0: Ctrl-C, or with --once that it was shown; 1: the agent has ended; 2: no agent runs.

Examples:
  driftless top
  driftless top --once")]
pub struct Args {
    /// Show one second, and end.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    at: At,
}

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    match watch(args, shell) {
        Ok(exit) => exit,
        Err(lost) => complain(&lost, Output::Text, shell),
    }
}

fn watch(args: &Args, shell: &mut Shell) -> Result<Exit, Lost> {
    let no_color = std::env::var("NO_COLOR").ok();
    let colour = Colour::choose(&io::stdout(), no_color.as_deref());
    let is_live = io::stdout().is_terminal() && !args.once;
    let mut questions = args.at.connect()?;
    let mut before = status(&mut questions)?;
    loop {
        std::thread::sleep(EVERY);
        let now = status(&mut questions)?;
        let text = draw(&before, &now, colour);
        let text = if is_live {
            format!("{HOME}{}{REST_OF_SCREEN}", text.replace('\n', REST_OF_LINE))
        } else {
            text
        };
        let shown = shell.show(&text);
        if args.once || shown.is_err() {
            return Ok(shell.end(shown, Exit::Success));
        }
        before = now;
    }
}

fn status(questions: &mut Questions) -> Result<Status, Lost> {
    questions.ask(&Ask::Status)?;
    match questions.next()? {
        Reply::Status(status) => Ok(*status),
        other => Err(Lost::unlike(&other)),
    }
}

const COLUMNS: [&str; 8] =
    ["COMPONENT", "STATE", "IN/S", "BYTES/S", "OUT/S", "BYTES/S", "WAITING", "ERRORS/S"];

fn draw(before: &Status, now: &Status, colour: Colour) -> String {
    // Writing to a string cannot fail, so `ok` says all there is to say.
    let mut out = String::new();
    let seconds = (now.at_seconds - before.at_seconds).max(0.001);
    let at = now.at_seconds as u64;
    let began = ago(at, now.started_seconds as u64);
    let (host, problems) = (printable(&now.host), now.problems.len());
    let s = if problems == 1 { "" } else { "s" };
    writeln!(out, "{host}: process {}, began {began}, {problems} problem{s}", now.pid).ok();
    if let Some(last) = now.apply.as_ref().and_then(|apply| apply.last.as_ref()) {
        let when = ago(at, last.at_seconds as u64);
        writeln!(out, "last apply {when}: {}", apply_now::line(last).trim_end()).ok();
    }
    out.push('\n');
    let mut table = Table::new(2, &COLUMNS);
    for component in &now.components {
        // One that a reload has brought began at nothing.
        let same = before.components.iter().find(|it| it.name == component.name);
        let nothing = ComponentStatus::default();
        add(&mut table, same.unwrap_or(&nothing), component, seconds);
    }
    table.draw(colour, "", &mut out);
    out
}

fn add(table: &mut Table, before: &ComponentStatus, now: &ComponentStatus, seconds: f64) {
    let per_second = |now: u64, before: u64| (now.saturating_sub(before) as f64 / seconds).round();
    let count = |now, before| match per_second(now, before) {
        0.0 => dash(),
        rate => rate.to_string(),
    };
    let bytes = |now, before| match per_second(now, before) as u64 {
        0 => dash(),
        rate => size(rate),
    };
    let waiting = now.waiting_bytes + now.disk_bytes;
    let style = match now.state.as_str() {
        "running" => Style::new(),
        "ended" => Style::new().dimmed(),
        _ => bad(),
    };
    table.add(
        [
            printable(&now.name),
            now.state.clone(),
            count(now.received_events, before.received_events),
            bytes(now.received_bytes, before.received_bytes),
            count(now.sent_events, before.sent_events),
            bytes(now.sent_bytes, before.sent_bytes),
            if waiting == 0 { dash() } else { size(waiting) },
            count(now.errors, before.errors),
        ],
        style,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_time_that_has_passed() {
        let component = |events: u64| ComponentStatus {
            name: "logs.app".to_owned(),
            state: "running".to_owned(),
            sent_events: events,
            sent_bytes: events * 100,
            waiting_bytes: 2048,
            ..ComponentStatus::default()
        };
        let status = |at_seconds: f64, events: u64| Status {
            host: "web1".to_owned(),
            pid: 7,
            at_seconds,
            components: vec![component(events)],
            ..Status::default()
        };
        insta::assert_snapshot!(draw(&status(100.0, 50), &status(102.0, 1050), Colour::Never), @"
        web1: process 7, began 102 s ago, 0 problems

        COMPONENT  STATE    IN/S  BYTES/S  OUT/S   BYTES/S  WAITING  ERRORS/S
        logs.app   running     -        -    500  48.8 KiB  2.0 KiB         -
        ");
    }
}
