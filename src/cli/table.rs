//! Rows of texts below each other, for people, and what stands in them.

use super::report::Colour;
use anstyle::{AnsiColor, Style};
use std::fmt::Write;

/// Rows of texts.
pub(super) struct Table {
    /// How many columns stand left; the others are numbers, or read like them.
    left: usize,
    rows: Vec<Vec<String>>,
    styles: Vec<Style>,
}

impl Table {
    /// A table with these columns, the first `left` of which are texts.
    pub(super) fn new(left: usize, names: &[&str]) -> Self {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Self { left, rows: vec![names], styles: vec![Style::new().bold()] }
    }

    pub(super) fn add(&mut self, row: impl Into<Vec<String>>, style: Style) {
        self.rows.push(row.into());
        self.styles.push(style);
    }

    pub(super) fn draw(&self, colour: Colour, indent: &str, out: &mut String) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut widths = vec![0; columns];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        for (row, style) in self.rows.iter().zip(&self.styles) {
            let mut line = String::new();
            for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let gap = if at == 0 { "" } else { "  " };
                // Writing to a string cannot fail, so `ok` says all there is to say.
                if at < self.left {
                    write!(line, "{gap}{cell:width$}").ok();
                } else {
                    write!(line, "{gap}{cell:>width$}").ok();
                }
            }
            writeln!(out, "{indent}{}", colour.paint(*style, line.trim_end())).ok();
        }
    }
}

/// How what is wrong looks.
pub(super) fn bad() -> Style {
    AnsiColor::Red.on_default()
}

/// Stands where there is nothing to tell.
pub(super) fn dash() -> String {
    "-".to_owned()
}

/// A size that people can compare at a glance.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut tenths, mut unit) = (u128::from(bytes) * 10 / 1024, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// How long before `now` something was.
pub(super) fn ago(now: u64, at: u64) -> String {
    let seconds = now.saturating_sub(at);
    match seconds {
        0 => "now".to_owned(),
        1..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}
