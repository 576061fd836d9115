//! The status as tables for people.

use super::status::Status;
use crate::cli::report::Colour;
use crate::cli::report::printable;
use crate::cli::table::{Table, ago, bad, dash, size};
use crate::sources::file::status::{FileState, FileStatus, SourceStatus};
use crate::topology::buffer::status::BufferStatus;
use anstyle::{AnsiColor, Style};
use std::fmt::Write;

const FILE_COLUMNS: [&str; 6] = ["FILE", "STATE", "SIZE", "READ TO", "BEHIND", "WRITTEN"];
const BUFFER_COLUMNS: [&str; 6] =
    ["BUFFER OF", "WAITING", "BATCHES", "RECORDS", "ON DISK", "DAMAGED"];

/// Draws it.
pub(super) fn draw(status: &Status, colour: Colour) -> String {
    // Writing to a string cannot fail, so `ok` says all there is to say.
    let mut out = String::new();
    if status.sources.is_empty() && status.buffers.is_empty() {
        let dir = status.data_dir.display();
        return format!("nothing was read yet: {dir} has neither checkpoints nor buffers\n");
    }
    for source in &status.sources {
        write_source(source, status.at_seconds, colour, &mut out);
    }
    if !status.buffers.is_empty() {
        let mut table = Table::new(1, &BUFFER_COLUMNS);
        status.buffers.iter().for_each(|buffer| add_buffer(&mut table, buffer));
        table.draw(colour, "", &mut out);
        for buffer in &status.buffers {
            if let Some(problem) = &buffer.problem {
                let place = format!("{}: {problem}", buffer.directory.display());
                writeln!(out, "{}", colour.paint(bad(), &printable(&place))).ok();
            }
        }
    }
    out
}

fn write_source(source: &SourceStatus, now: u64, colour: Colour, out: &mut String) {
    let lag: u64 = source.files.iter().filter_map(|file| file.lag_bytes).sum();
    let files = source.files.len();
    let s = if files == 1 { "" } else { "s" };
    let behind =
        if lag == 0 { "nothing behind".to_owned() } else { format!("{} behind", size(lag)) };
    let saved = source.saved_seconds.map(|at| format!(", saved {}", ago(now, at)));
    let headline = colour.paint(Style::new().bold(), &printable(&source.source));
    let saved = saved.unwrap_or_default();
    writeln!(out, "{headline}: {files} file{s}, {behind}{saved}").ok();
    let checkpoint = source.checkpoint.display();
    if let Some(problem) = &source.problem {
        let text = format!("  the checkpoint {checkpoint}: {problem}");
        writeln!(out, "{}", colour.paint(bad(), &printable(&text))).ok();
    }
    if source.damaged_lines > 0 {
        let lines = source.damaged_lines;
        let s = if lines == 1 { " is" } else { "s are" };
        let text = format!("  {lines} line{s} damaged in the checkpoint {checkpoint}");
        writeln!(out, "{}", colour.paint(bad(), &printable(&text))).ok();
    }
    if files > 0 {
        let mut table = Table::new(2, &FILE_COLUMNS);
        source.files.iter().for_each(|file| add_file(&mut table, file, now));
        table.draw(colour, "  ", out);
    }
    out.push('\n');
}

fn add_file(table: &mut Table, file: &FileStatus, now: u64) {
    let style = match file.state {
        FileState::Truncated | FileState::Unreadable => bad(),
        FileState::Gone => Style::new().dimmed(),
        _ if file.lag_bytes.is_some_and(|lag| lag > 0) => AnsiColor::Yellow.on_default(),
        _ => Style::new(),
    };
    let written = file.modified_seconds.map(|at| ago(now, at));
    table.add(
        [
            printable(&file.path),
            word(file.state).to_owned(),
            file.size_bytes.map_or_else(dash, size),
            read_to(file.offset_bytes, file.lag_bytes),
            file.lag_bytes.map_or_else(dash, size),
            written.unwrap_or_else(dash),
        ],
        style,
    );
    if let Some(found_at) = &file.found_at {
        let place = format!("  now {}", printable(&found_at.to_string_lossy()));
        table.add(
            [place, String::new(), String::new(), String::new(), String::new(), String::new()],
            style,
        );
    }
    let differ = file.sinks.iter().any(|sink| sink.offset_bytes != file.offset_bytes);
    for sink in file.sinks.iter().filter(|_| differ) {
        let removed = if sink.configured { "" } else { " (not in the config)" };
        table.add(
            [
                format!("  to {}{removed}", printable(&sink.sink)),
                String::new(),
                String::new(),
                read_to(sink.offset_bytes, sink.lag_bytes),
                sink.lag_bytes.map_or_else(dash, size),
                String::new(),
            ],
            Style::new().dimmed(),
        );
    }
}

fn add_buffer(table: &mut Table, buffer: &BufferStatus) {
    let is_bad = buffer.damaged_segments > 0 || buffer.problem.is_some();
    let style = match buffer.waiting_frames {
        _ if is_bad => bad(),
        0 => Style::new(),
        _ => AnsiColor::Yellow.on_default(),
    };
    let damaged = buffer.damaged_segments;
    table.add(
        [
            printable(&buffer.component),
            size(buffer.waiting_bytes),
            buffer.waiting_frames.to_string(),
            buffer.waiting_events.to_string(),
            size(buffer.disk_bytes),
            if damaged == 0 { dash() } else { damaged.to_string() },
        ],
        style,
    );
}

fn word(state: FileState) -> &'static str {
    match state {
        FileState::Active => "active",
        FileState::Rotated => "rotated",
        FileState::Pinned => "pinned",
        FileState::Compressed => "compressed",
        FileState::Truncated => "truncated",
        FileState::Gone => "gone",
        FileState::Unreadable => "unreadable",
    }
}

/// A place in a file, and how much of all there is lies before it.
fn read_to(offset: u64, lag: Option<u64>) -> String {
    // Rounded down, so that 100 % is said of nothing else.
    let percent = lag.map(|lag| match u128::from(offset) + u128::from(lag) {
        0 => 100,
        all => u128::from(offset) * 100 / all,
    });
    let percent = percent.map(|percent| format!(" ({percent} %)")).unwrap_or_default();
    format!("{}{percent}", size(offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::file::status::SinkStatus;

    const NOW: u64 = 1_800_000_000;

    fn sink(name: &str, offset_bytes: u64, lag_bytes: Option<u64>) -> SinkStatus {
        SinkStatus { sink: name.to_owned(), offset_bytes, lag_bytes, configured: name != "old" }
    }

    fn file(path: &str, state: FileState, size: Option<u64>, sinks: Vec<SinkStatus>) -> FileStatus {
        let counts = || sinks.iter().filter(|sink| sink.configured);
        FileStatus {
            path: path.to_owned(),
            state,
            found_at: (state == FileState::Pinned).then(|| "/data/pins/logs.app/7".into()),
            size_bytes: size,
            offset_bytes: counts().map(|sink| sink.offset_bytes).min().unwrap_or(0),
            lag_bytes: counts().filter_map(|sink| sink.lag_bytes).max(),
            modified_seconds: size.map(|size| NOW - size / 1000),
            seen_seconds: NOW,
            sinks,
        }
    }

    fn status() -> Status {
        let files = vec![
            file(
                "/log/app.log",
                FileState::Active,
                Some(1_258_291),
                vec![
                    sink("archive", 1_258_291, Some(0)),
                    sink("search", 1_200_000, Some(58_291)),
                    sink("old", 0, Some(1_258_291)),
                ],
            ),
            file("/log/idle.log", FileState::Active, Some(700), vec![sink("search", 700, Some(0))]),
            file("/log/gone\u{1b}[2J.log", FileState::Gone, None, vec![sink("search", 5, None)]),
            file(
                "/log/old.log",
                FileState::Pinned,
                Some(2000),
                vec![sink("search", 0, Some(2000))],
            ),
            file(
                "/log/x.gz",
                FileState::Compressed,
                Some(9_000),
                vec![sink("search", 90_000, None)],
            ),
        ];
        let app = SourceStatus {
            source: "logs.app".to_owned(),
            checkpoint: "/data/checkpoints/logs.app".into(),
            saved_seconds: Some(NOW - 3),
            problem: None,
            damaged_lines: 2,
            files,
        };
        let buffer = |component: &str, frames, damaged_segments| BufferStatus {
            component: component.to_owned(),
            segments: 2,
            disk_bytes: 3 << 20,
            waiting_frames: frames,
            waiting_events: frames * 100,
            waiting_bytes: frames * 10_000,
            damaged_segments,
            ..BufferStatus::default()
        };
        let buffers = vec![buffer("archive", 0, 0), buffer("search", 31, 1)];
        Status { data_dir: "/data".into(), at_seconds: NOW, sources: vec![app], buffers }
    }

    #[test]
    fn everything_stands_in_its_column() {
        insta::assert_snapshot!(draw(&status(), Colour::Never), @"
        logs.app: 5 files, 58.8 KiB behind, saved 3 s ago
          2 lines are damaged in the checkpoint /data/checkpoints/logs.app
          FILE                          STATE          SIZE          READ TO    BEHIND     WRITTEN
          /log/app.log                  active      1.1 MiB   1.1 MiB (95 %)  56.9 KiB  20 min ago
            to archive                                       1.1 MiB (100 %)       0 B
            to search                                         1.1 MiB (95 %)  56.9 KiB
            to old (not in the config)                             0 B (0 %)   1.1 MiB
          /log/idle.log                 active        700 B    700 B (100 %)       0 B         now
          /log/gone␛[2J.log             gone              -              5 B         -           -
          /log/old.log                  pinned      1.9 KiB        0 B (0 %)   1.9 KiB     2 s ago
            now /data/pins/logs.app/7
          /log/x.gz                     compressed  8.7 KiB         87.8 KiB         -     9 s ago

        BUFFER OF    WAITING  BATCHES  RECORDS  ON DISK  DAMAGED
        archive          0 B        0        0  3.0 MiB        -
        search     302.7 KiB       31     3100  3.0 MiB        1
        ");
    }

    #[test]
    fn colours_are_only_where_they_are_wanted() {
        assert!(!draw(&status(), Colour::Never).contains('\x1b'));
        assert!(draw(&status(), Colour::Always).contains("\x1b[31m"));
    }

    #[test]
    fn where_nothing_was_read_that_is_said() {
        let empty = Status { sources: Vec::new(), buffers: Vec::new(), ..status() };
        let expected = "nothing was read yet: /data has neither checkpoints nor buffers\n";
        assert_eq!(draw(&empty, Colour::Never), expected);
    }

    #[test]
    fn a_hundred_percent_is_said_of_nothing_else() {
        assert_eq!(read_to(0, Some(0)), "0 B (100 %)");
        assert_eq!(read_to(999_999, Some(1)), "976.5 KiB (99 %)");
        assert_eq!(read_to(u64::MAX, Some(u64::MAX)), "16383.9 PiB (50 %)");
        assert_eq!(read_to(5, None), "5 B");
    }
}
