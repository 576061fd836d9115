//! `driftless self-check`: whether this host gives the agent what it needs.

mod checks;

use super::Exit;
use super::control::At;
use super::report::Colour;
use super::report::printable;
use super::shell::{Output, Shell};
use super::table::bad;
use anstyle::{AnsiColor, Style};
use serde::Serialize;
use std::fmt::Write;
use std::io;

/// Check whether this host gives the agent what it needs: a config that loads, a data directory that
/// can be written, limits and features of the kernel, the clock, the programs that tasks call.
///
/// It looks, and changes nothing but for a file that it makes in the data directory and removes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 0: nothing is in the way, though there may be warnings; 1: something is.

Examples:
  driftless self-check
  driftless self-check --config ./config --output json")]
pub struct Args {
    #[command(flatten)]
    at: At,
    /// Whom the result is for.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Failed,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Finding {
    fn new(check: &'static str, verdict: Verdict, message: impl Into<String>) -> Self {
        Self { check, verdict, message: message.into(), hint: None }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    let findings = checks::all(&args.at, shell);
    let shown = match args.output {
        Output::Json => shell.print_json(&findings),
        Output::Text => {
            let no_color = std::env::var("NO_COLOR").ok();
            let colour = Colour::choose(&io::stdout(), no_color.as_deref());
            shell.print(&draw(&findings, colour))
        }
    };
    let has_failed = findings.iter().any(|finding| finding.verdict == Verdict::Failed);
    if has_failed { Exit::Failed } else { shown }
}

fn draw(findings: &[Finding], colour: Colour) -> String {
    // Writing to a string cannot fail, so `ok` says all there is to say.
    let mut out = String::new();
    let widest = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    for Finding { check, verdict, message, hint } in findings {
        let (word, style) = match verdict {
            Verdict::Ok => ("ok", Style::new()),
            Verdict::Warning => ("warning", AnsiColor::Yellow.on_default()),
            Verdict::Failed => ("failed", bad()),
        };
        let line = format!("{check:widest$}  {word:7}  {}", printable(message));
        writeln!(out, "{}", colour.paint(style, &line)).ok();
        if let Some(hint) = hint {
            writeln!(out, "{:widest$}           hint: {}", "", printable(hint)).ok();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_has_its_line_and_what_is_in_the_way_a_hint() {
        let findings = [
            Finding::new("config", Verdict::Ok, "it loads"),
            Finding::new("clock", Verdict::Warning, "nothing keeps it right").hint("run chrony"),
        ];
        assert_eq!(
            draw(&findings, Colour::Never),
            "config  ok       it loads\n\
             clock   warning  nothing keeps it right\n                 hint: run chrony\n"
        );
    }
}
