//! Prints what is wrong with what a user wrote. No other place does.

use crate::event::fault::Diagnostic;
use crate::event::secret::Masker;
use crate::event::tree::Span;
use anstyle::{AnsiColor, Style};
use regex::Regex;
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;

/// More of a line than this wraps on most terminals, and then the caret points at nothing.
const WIDEST_SNIPPET: usize = 160;

/// Whether a report is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// With ANSI escapes.
    Always,
    /// Plain text.
    Never,
}

impl Colour {
    /// Colours for a terminal only, and never where `no_color` (the variable `NO_COLOR`) says
    /// anything.
    pub fn choose(stream: &impl IsTerminal, no_color: Option<&str>) -> Self {
        let refused = no_color.is_some_and(|value| !value.is_empty());
        if stream.is_terminal() && !refused { Self::Always } else { Self::Never }
    }

    pub(super) fn paint(self, style: Style, text: &str) -> String {
        match self {
            Self::Always => format!("{style}{text}{style:#}"),
            Self::Never => text.to_owned(),
        }
    }
}

/// The same without secrets.
pub(super) fn masked(complaints: &[Diagnostic], masker: &Masker) -> Vec<Diagnostic> {
    // Before control characters are replaced, which would hide a secret from the masker.
    let mask = |text: &str| masker.mask(text).into_owned();
    let masked = complaints.iter().map(|complaint| Diagnostic {
        message: mask(&complaint.message),
        hint: complaint.hint.as_deref().map(mask),
        ..complaint.clone()
    });
    masked.collect()
}

/// Writes the complaints for people, sorted by file and place, each with its line.
///
/// # Errors
/// Those of `out`.
pub fn write_text(out: &mut dyn Write, faults: &[Diagnostic], colour: Colour) -> io::Result<()> {
    let red = AnsiColor::Red.on_default().bold();
    write_all(out, &colour.paint(red, "error:"), faults, colour)
}

/// Writes what is worth knowing and no fault, in the same form.
///
/// # Errors
/// Those of `out`.
pub fn write_notes(out: &mut dyn Write, notes: &[Diagnostic], colour: Colour) -> io::Result<()> {
    let yellow = AnsiColor::Yellow.on_default().bold();
    write_all(out, &colour.paint(yellow, "note:"), notes, colour)
}

fn write_all(
    out: &mut dyn Write,
    word: &str,
    faults: &[Diagnostic],
    colour: Colour,
) -> io::Result<()> {
    let cyan = AnsiColor::Cyan.on_default().bold();
    let bold = Style::new().bold();
    for fault in sorted(faults) {
        let place = fault.span.as_ref().map(|span| format!("{span}: ")).unwrap_or_default();
        let headline = printable(&format!("{place}{}", fault.message));
        writeln!(out, "{word} {}", colour.paint(bold, &headline))?;
        if let Some(span) = &fault.span {
            write_snippet(out, span, colour)?;
        }
        if let Some((span, what)) = &fault.related {
            let note = printable(&format!("{span}: {what}"));
            writeln!(out, " {} {note}", colour.paint(cyan, "note:"))?;
        }
        if let Some(hint) = &fault.hint {
            writeln!(out, " {} {}", colour.paint(cyan, "hint:"), printable(hint))?;
        }
    }
    Ok(())
}

/// Writes the same for machines: one JSON list.
///
/// # Errors
/// Those of `out`.
pub fn write_json(out: &mut dyn Write, faults: &[Diagnostic]) -> io::Result<()> {
    write_records(out, None, faults)
}

/// Writes [`write_notes`] for machines: one JSON list, whose items say that they are notes.
///
/// # Errors
/// Those of `out`.
pub fn write_json_notes(out: &mut dyn Write, notes: &[Diagnostic]) -> io::Result<()> {
    write_records(out, Some("note"), notes)
}

fn write_records(
    out: &mut dyn Write,
    level: Option<&str>,
    faults: &[Diagnostic],
) -> io::Result<()> {
    let records = sorted(faults).into_iter().map(|fault| Record { level, ..Record::new(fault) });
    serde_json::to_writer_pretty(&mut *out, &records.collect::<Vec<_>>())?;
    writeln!(out)
}

#[derive(Serialize)]
struct Record<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<&'a str>,
    message: &'a str,
    #[serde(flatten)]
    place: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    related: Option<Related<'a>>,
}

#[derive(Serialize)]
struct Place {
    file: String,
    line: usize,
    column: usize,
}

#[derive(Serialize)]
struct Related<'a> {
    message: &'a str,
    #[serde(flatten)]
    place: Place,
}

impl<'a> Record<'a> {
    fn new(fault: &'a Diagnostic) -> Self {
        Self {
            level: None,
            message: &fault.message,
            place: fault.span.as_ref().map(Place::new),
            hint: fault.hint.as_deref(),
            related: fault
                .related
                .as_ref()
                .map(|(span, message)| Related { message, place: Place::new(span) }),
        }
    }
}

impl Place {
    fn new(span: &Span) -> Self {
        let (line, column) = span.line_column();
        Self { file: span.file.path.display().to_string(), line, column }
    }
}

/// By file and place; what has no place comes first, in the order given.
fn sorted(faults: &[Diagnostic]) -> Vec<&Diagnostic> {
    let mut faults: Vec<_> = faults.iter().collect();
    faults
        .sort_by_key(|fault| fault.span.as_ref().map(|span| (span.file.path.clone(), span.start)));
    faults
}

fn write_snippet(out: &mut dyn Write, span: &Span, colour: Colour) -> io::Result<()> {
    let (line, column) = span.line_column();
    let line_text = span.line_text();
    let before: String = line_text.chars().take(column - 1).collect();
    let text: Vec<char> = without_passwords(line_text).chars().collect();
    if text.is_empty() {
        return Ok(());
    }
    let at = without_passwords(&before).chars().count().min(text.len());
    let from = if at > WIDEST_SNIPPET / 2 && text.len() > WIDEST_SNIPPET {
        at - WIDEST_SNIPPET / 2
    } else {
        0
    };
    let shown: String = text.iter().skip(from).take(WIDEST_SNIPPET).collect();
    let marked = span.file.text.get(span.start..span.end).unwrap_or_default();
    let length = without_passwords(marked.lines().next().unwrap_or_default()).chars().count();
    let length = length.clamp(1, (WIDEST_SNIPPET - (at - from)).max(1));
    let number = line.to_string();
    let (gutter, indent) = (" ".repeat(number.len()), " ".repeat(at - from));
    let (blue, red) = (AnsiColor::Blue.on_default(), AnsiColor::Red.on_default().bold());
    let bar = colour.paint(blue, "|");
    writeln!(out, " {} {bar} {}", colour.paint(blue, &number), printable(&shown))?;
    writeln!(out, " {gutter} {bar} {indent}{}", colour.paint(red, &"^".repeat(length)))
}

/// A line without the passwords in its URLs, which no masker knows: they are shown when they are
/// refused.
fn without_passwords(line: &str) -> Cow<'_, str> {
    static LOGIN: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"(://[^\s/@:'"]*:)[^\s/'"]+@"#).ok());
    LOGIN.as_ref().map_or(Cow::Borrowed(line), |login| login.replace_all(line, "${1}***@"))
}

/// Text of files, and names of them, must not steer the terminal. Every character keeps its column:
/// a control character is shown by its picture (`␊` for the end of a line).
pub(super) fn printable(text: &str) -> String {
    let visible = |c: char| match c {
        '\t' => ' ',
        // The block of pictures has the order of what it shows.
        '\0'..' ' => char::from_u32('\u{2400}' as u32 + c as u32).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        // Direction marks turn a line around, so that it reads as something else.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tree::SourceFile;
    use std::path::Path;
    use std::sync::Arc;

    fn span(path: &str, text: &str, marked: &str) -> Span {
        let start = text.find(marked).unwrap();
        let file = Arc::new(SourceFile::new(Path::new(path).into(), text.to_owned()));
        Span { file, start, end: start + marked.len() }
    }

    fn text(faults: &[Diagnostic], colour: Colour) -> String {
        let mut out = Vec::new();
        write_text(&mut out, faults, colour).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn faults() -> Vec<Diagnostic> {
        let logs = "outputs:\n  to_s3:\n    inputs: [ngnix]\n";
        vec![
            Diagnostic::new(
                "the key `a` is here twice",
                Some(span("logs.yml", "a: 1\na: 2", "a: 2")),
            )
            .related(Some(span("logs.yml", "a: 1\na: 2", "a: 1")), "the first one"),
            Diagnostic::new(
                "`to_s3` reads from `ngnix`, and there is no such component",
                Some(span("agent.yml", logs, "ngnix")),
            )
            .hint("did you mean `nginx`?"),
            Diagnostic::new("`a.yml` cannot be read: permission denied", None),
        ]
    }

    #[test]
    fn each_complaint_shows_its_line_and_the_way_out() {
        insta::assert_snapshot!(text(&faults(), Colour::Never), @r"
    error: `a.yml` cannot be read: permission denied
    error: agent.yml:3:14: `to_s3` reads from `ngnix`, and there is no such component
     3 |     inputs: [ngnix]
       |              ^^^^^
     hint: did you mean `nginx`?
    error: logs.yml:2:1: the key `a` is here twice
     2 | a: 2
       | ^^^^
     note: logs.yml:1:1: the first one
    ");
    }

    #[test]
    fn machines_get_the_same_as_json() {
        let mut out = Vec::new();
        write_json(&mut out, &faults()).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r#"
    [
      {
        "message": "`a.yml` cannot be read: permission denied"
      },
      {
        "message": "`to_s3` reads from `ngnix`, and there is no such component",
        "file": "agent.yml",
        "line": 3,
        "column": 14,
        "hint": "did you mean `nginx`?"
      },
      {
        "message": "the key `a` is here twice",
        "file": "logs.yml",
        "line": 2,
        "column": 1,
        "related": {
          "message": "the first one",
          "file": "logs.yml",
          "line": 1,
          "column": 1
        }
      }
    ]
    "#);
    }

    #[test]
    fn a_file_cannot_steer_the_terminal() {
        let fault = Diagnostic::new("bad \x1b[2J", Some(span("a.yml", "\tx\x1b]0;y\x07", "x")));
        insta::assert_snapshot!(text(&[fault], Colour::Never), @r"
    error: a.yml:1:2: bad ␛[2J
     1 |  x␛]0;y␇
       |  ^
    ");
    }

    #[test]
    fn a_password_in_an_url_is_not_shown_and_the_mark_stays_below_its_place() {
        let line = "a: {url: \"https://me:hunter2@x.org/\", to: http://me@x.org:80/, no: yes}";
        let shown = |marked| {
            text(&[Diagnostic::new("no", Some(span("a.yml", line, marked)))], Colour::Never)
        };
        insta::assert_snapshot!(shown("\"https://me:hunter2@x.org/\"") + &shown("no: yes"), @r#"
        error: a.yml:1:10: no
         1 | a: {url: "https://me:***@x.org/", to: http://me@x.org:80/, no: yes}
           |          ^^^^^^^^^^^^^^^^^^^^^^^
        error: a.yml:1:64: no
         1 | a: {url: "https://me:***@x.org/", to: http://me@x.org:80/, no: yes}
           |                                                            ^^^^^^^
        "#);
    }

    #[test]
    fn a_very_long_line_is_cut_around_the_place() {
        let long = format!("{}HERE{}", "a".repeat(5000), "b".repeat(5000));
        let shown =
            text(&[Diagnostic::new("no", Some(span("a.yml", &long, "HERE")))], Colour::Never);
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines.iter().all(|line| line.len() < 200));
        assert_eq!(lines[1].find("HERE"), lines[2].find("^^^^"));
    }

    #[test]
    fn a_span_over_many_lines_marks_its_first_line_only() {
        let fault =
            Diagnostic::new("`a` takes text", Some(span("a.yml", "ü: b:\n  c:\n", "b:\n  c:")));
        insta::assert_snapshot!(text(&[fault], Colour::Never), @r"
    error: a.yml:1:4: `a` takes text
     1 | ü: b:
       |    ^^
    ");
    }

    #[test]
    fn colours_are_for_terminals_and_can_be_refused() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(Colour::choose(&file, None), Colour::Never);
        assert!(text(&faults(), Colour::Always).contains("\x1b["));
        assert!(!text(&faults(), Colour::Never).contains('\x1b'));
    }
}
