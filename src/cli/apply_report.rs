//! How `driftless apply` tells what it does: a line a task, diffs, the sums.

use super::report::{Colour, printable};
use super::shell::Output;
use crate::sinks::apply::executor::{Observer, Wish};
use crate::sinks::apply::report::{ChangeReport, ItemReport, Recap, Report, Status, TaskReport};
use anstyle::{AnsiColor, Style};
use serde_json::json;
use std::io::{self, BufRead as _, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Longer names are cut while their task runs, so that the line can be taken away again.
const WIDEST_NAME: usize = 70;

/// How much is told, and to whom.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    pub(super) output: Output,
    pub(super) colour: Colour,
    /// Whether diffs are shown.
    pub(super) diffs: bool,
    /// Whether somebody watches, so that what goes on just now is worth a line.
    pub(super) is_watched: bool,
}

/// Tasks that take longer say how long.
const WORTH_TELLING: Duration = Duration::from_millis(100);

/// Whether somebody is asked before each task.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Steps {
    All,
    Asked,
}

/// Tells how a run goes on, and ends it when `interrupted` says so.
pub(super) struct Progress<'a> {
    pub(super) out: &'a mut (dyn Write + Send),
    pub(super) manner: Manner,
    pub(super) interrupted: &'a AtomicBool,
    pub(super) steps: Steps,
}

impl Observer for Progress<'_> {
    fn play(&mut self, name: &str) {
        let told = match self.manner.output {
            Output::Text => {
                let name = self.manner.colour.paint(Style::new().bold(), &printable(name));
                writeln!(self.out, "play     {name}")
            }
            Output::Json => write_json(self.out, &json!({"play": name})),
        };
        told.and_then(|()| self.out.flush()).ok();
    }

    fn asks(&mut self, name: &str) -> Wish {
        if self.steps == Steps::All {
            return Wish::Run;
        }
        // Who does not answer wants nothing to be done.
        write!(self.out, "run `{}`? [y]es, [n]o, [a]ll: ", printable(name))
            .and_then(|()| self.out.flush())
            .ok();
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).ok();
        match answer.trim() {
            "y" | "Y" | "yes" => Wish::Run,
            "a" | "A" | "all" | "c" | "C" | "continue" => {
                self.steps = Steps::All;
                Wish::Run
            }
            _ => Wish::Skip,
        }
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    fn started(&mut self, name: &str, _: bool) {
        if self.manner.is_watched {
            let name: String = printable(name).chars().take(WIDEST_NAME).collect();
            // Who does not listen any more misses nothing that matters.
            write!(self.out, "\r\x1b[K{name} ...").and_then(|()| self.out.flush()).ok();
        }
    }

    fn finished(&mut self, task: &TaskReport) -> Result<(), String> {
        if self.manner.is_watched {
            write!(self.out, "\r\x1b[K").ok();
        }
        let told = match self.manner.output {
            Output::Text => write_task(self.out, task, self.manner),
            Output::Json => write_json(self.out, &json!(task)),
        };
        told.and_then(|()| self.out.flush()).ok();
        if self.interrupted.load(Ordering::Relaxed) {
            return Err("interrupted".into());
        }
        Ok(())
    }
}

fn write_json(out: &mut dyn Write, value: &serde_json::Value) -> io::Result<()> {
    writeln!(out, "{value}")
}

/// What the turns of a loop have to say. Why one was left out, or is not known yet, many of them
/// would say in the same words.
fn write_items(out: &mut dyn Write, items: &[ItemReport]) -> io::Result<()> {
    let tells = |item: &&ItemReport| !matches!(item.status, Status::Skipped | Status::Unknown);
    for item in items.iter().filter(tells) {
        let lines = item.message.iter().flat_map(|message| message.lines());
        for (number, line) in lines.enumerate() {
            let label = if number == 0 { format!("{}: ", item.label) } else { String::new() };
            writeln!(out, "         {}{}", printable(&label), printable(line))?;
        }
    }
    Ok(())
}

fn write_task(out: &mut dyn Write, task: &TaskReport, manner: Manner) -> io::Result<()> {
    let colour = manner.colour;
    let (word, style) = match task.status {
        Status::Failed if task.ignored => ("ignored", AnsiColor::Yellow.on_default()),
        Status::Failed if task.rescued => ("rescued", AnsiColor::Yellow.on_default()),
        Status::Failed => ("failed", AnsiColor::Red.on_default().bold()),
        Status::Changed => ("changed", AnsiColor::Yellow.on_default()),
        Status::Ok => ("ok", AnsiColor::Green.on_default()),
        Status::Skipped => ("skipped", Style::new().dimmed()),
        Status::Unknown => ("unknown", AnsiColor::Cyan.on_default()),
    };
    let word = colour.paint(style, &format!("{word:<8}"));
    let name = printable(&task.name);
    let what = if task.handler { " (handler)" } else { "" };
    let why = match (&task.message, task.status) {
        (Some(why), Status::Skipped | Status::Unknown) => format!(": {}", printable(why)),
        _ => String::new(),
    };
    let took = match task.duration {
        short if short < WORTH_TELLING => String::new(),
        long => colour.paint(Style::new().dimmed(), &format!(" ({:.1} s)", long.as_secs_f64())),
    };
    writeln!(out, "{word} {name}{what}{why}{took}")?;
    for change in &task.changes {
        write_change(out, change, manner)?;
    }
    if task.items.is_empty() && why.is_empty() {
        for line in task.message.iter().flat_map(|message| message.lines()) {
            writeln!(out, "         {}", printable(line))?;
        }
    }
    write_items(out, &task.items)?;
    if task.status == Status::Failed
        && let Some(place) = &task.place
    {
        writeln!(out, "         at {}", printable(place))?;
    }
    if let Some(hint) = &task.hint {
        writeln!(out, "         hint: {}", printable(hint))?;
    }
    Ok(())
}

fn write_change(out: &mut dyn Write, change: &ChangeReport, manner: Manner) -> io::Result<()> {
    writeln!(out, "         {}", printable(&change.summary))?;
    let Some(diff) = change.diff.as_ref().filter(|_| manner.diffs) else { return Ok(()) };
    for line in diff.lines() {
        let style = match line.as_bytes().first() {
            Some(b'+') => AnsiColor::Green.on_default(),
            Some(b'-') => AnsiColor::Red.on_default(),
            Some(b'@') => AnsiColor::Cyan.on_default(),
            _ => Style::new(),
        };
        writeln!(out, "{}", manner.colour.paint(style, &printable(line)))?;
    }
    Ok(())
}

/// Tells what a whole run came to.
pub(super) fn write_end(
    out: &mut dyn Write,
    report: &Report,
    took: Duration,
    manner: Manner,
) -> io::Result<()> {
    if manner.output == Output::Json {
        let end = json!({
            "recap": report.recap(),
            "revision": report.revision,
            "dry_run": report.dry_run,
            "not_run": report.not_run,
            "pending_handlers": report.pending_handlers,
            "stopped": report.stopped,
            "duration_seconds": took.as_secs_f64(),
        });
        return write_json(out, &end);
    }
    let list = |names: &[String]| printable(&names.join(", "));
    if let Some(why) = &report.stopped {
        writeln!(out, "stopped: {}", printable(why))?;
    }
    if !report.not_run.is_empty() {
        writeln!(out, "not run: {}", list(&report.not_run))?;
    }
    if !report.pending_handlers.is_empty() {
        writeln!(
            out,
            "handlers that were notified and not run: {}",
            list(&report.pending_handlers)
        )?;
    }
    let sums = sums(&report.recap(), report.dry_run);
    writeln!(out, "\n{sums} in {:.2} s", took.as_secs_f64())
}

fn sums(recap: &Recap, is_dry_run: bool) -> String {
    let changed = if is_dry_run { "would change" } else { "changed" };
    let parts = [
        (recap.ok, "ok"),
        (recap.changed, changed),
        (recap.unknown, "unknown before they run"),
        (recap.failed, if is_dry_run { "would fail" } else { "failed" }),
        (recap.rescued, "failed and rescued"),
        (recap.ignored, "failed and ignored"),
        (recap.skipped, "skipped"),
    ];
    let shown = parts.iter().filter(|(count, word)| *count > 0 || *word == changed);
    shown.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}
