//! Patterns, and looking for them in a whole chunk at once.
//!
//! Asking a pattern about each line costs more than the lines do. Where a match cannot reach
//! over a line's end, one search goes through the whole chunk and only its hits are looked at.

use super::ir::Pattern;
use crate::event::log::LogBatch;
use memchr::memmem::Finder;
use memchr::{memchr, memrchr};
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, ClassBytes, ClassUnicode, Hir, HirKind, Look};

/// Memory for a compiled pattern.
const SIZE_LIMIT: usize = 4 << 20;

/// Where a match must begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Anywhere,
}

/// Compiles a pattern.
pub(super) fn pattern(text: &str, anchor: Anchor) -> Result<Pattern, String> {
    let reason = |error: String| {
        let line = error.lines().last().unwrap_or_default().trim();
        line.strip_prefix("error: ").unwrap_or(line).to_owned()
    };
    let hir = ParserBuilder::new().utf8(false).build().parse(text);
    let hir = hir.map_err(|error| reason(error.to_string()))?;
    let many = match anchor {
        Anchor::Anywhere => within_a_line(&hir),
        Anchor::Start => None,
    };
    let text = match anchor {
        Anchor::Anywhere => text.to_owned(),
        // Printed from its parsed form, since the text may hold flags and comments that reach
        // over what is put around it.
        Anchor::Start => format!("\\A(?:{hir})"),
    };
    let regex = compile(&text).map_err(|error| reason(error.to_string()))?;
    Ok(Pattern { regex, many: many.and_then(|hir| compile(&hir.to_string()).ok()) })
}

fn compile(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(SIZE_LIMIT).build()
}

/// A pattern that finds in a text of many lines what `hir` finds in single ones; `None` where
/// there is none: it matches nothing at all somewhere, asks for the text's start or end, or
/// spells out a line feed.
fn within_a_line(hir: &Hir) -> Option<Hir> {
    if hir.properties().minimum_len().is_none_or(|len| len == 0) {
        return None;
    }
    without_line_feed(hir)
}

/// Takes the line feed out of all classes.
fn without_line_feed(hir: &Hir) -> Option<Hir> {
    Some(match hir.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) if literal.0.contains(&b'\n') => return None,
        HirKind::Literal(literal) => Hir::literal(literal.0.clone()),
        HirKind::Class(Class::Unicode(class)) => {
            let line_feed = regex_syntax::hir::ClassUnicodeRange::new('\n', '\n');
            let mut class = class.clone();
            class.difference(&ClassUnicode::new([line_feed]));
            Hir::class(Class::Unicode(class))
        }
        HirKind::Class(Class::Bytes(class)) => {
            let line_feed = regex_syntax::hir::ClassBytesRange::new(b'\n', b'\n');
            let mut class = class.clone();
            class.difference(&ClassBytes::new([line_feed]));
            Hir::class(Class::Bytes(class))
        }
        // Line ends are no word characters, so that words end there as they do at a text's end.
        HirKind::Look(
            look @ (Look::WordAscii
            | Look::WordUnicode
            | Look::WordAsciiNegate
            | Look::WordUnicodeNegate),
        ) => Hir::look(*look),
        HirKind::Look(_) => return None,
        HirKind::Repetition(repetition) => {
            let mut repetition = repetition.clone();
            repetition.sub = Box::new(without_line_feed(&repetition.sub)?);
            Hir::repetition(repetition)
        }
        HirKind::Capture(capture) => without_line_feed(&capture.sub)?,
        HirKind::Concat(parts) => {
            Hir::concat(parts.iter().map(without_line_feed).collect::<Option<_>>()?)
        }
        HirKind::Alternation(parts) => {
            Hir::alternation(parts.iter().map(without_line_feed).collect::<Option<_>>()?)
        }
    })
}

/// What to look for in a chunk.
pub(super) enum Search<'s> {
    Pattern { many: &'s Regex, one: &'s Regex },
    Part(&'s Finder<'static>),
}

impl Search<'_> {
    /// One past some byte of the next hit from `at` on; a hit is never empty.
    fn next(&self, chunk: &[u8], at: usize) -> Option<usize> {
        match self {
            Self::Pattern { many, .. } => many.shortest_match_at(chunk, at),
            Self::Part(finder) => {
                let found = finder.find(chunk.get(at..)?)?;
                Some(at + found + finder.needle().len())
            }
        }
    }

    /// Whether a hit in `line`, at its very end or before, is one in the message. A carriage
    /// return at the end is no part of that: a hit that took it in may be none.
    fn counts(&self, at_end: bool, line: &[u8]) -> bool {
        match line.strip_suffix(b"\r") {
            Some(message) if at_end => self.is_in(message),
            _ => true,
        }
    }

    fn is_in(&self, line: &[u8]) -> bool {
        match self {
            Self::Pattern { one, .. } => one.is_match(line),
            Self::Part(finder) => finder.find(line).is_some(),
        }
    }
}

/// Keeps the records of a plain batch whose line has a hit, or those whose line has none.
pub(super) fn filter(batch: &mut LogBatch, search: &Search<'_>, keep_hits: bool) {
    if keep_hits && batch.is_uncut() {
        return keep_lines_with_hits(batch, search);
    }
    let chunk = batch.chunk().clone();
    let mut hit = search.next(&chunk, 0);
    batch.retain_spans(|start, end| {
        // Hits in lines that an earlier filter left out are passed over.
        if hit.is_some_and(|hit| hit <= start) {
            hit = search.next(&chunk, start);
        }
        let here = hit.is_some_and(|at| {
            at <= end && search.counts(at == end, chunk.get(start..end).unwrap_or_default())
        });
        here == keep_hits
    });
}

/// Looks at no line but those with a hit.
fn keep_lines_with_hits(batch: &mut LogBatch, search: &Search<'_>) {
    let chunk = batch.chunk().clone();
    let mut kept = Vec::new();
    let mut at = 0;
    while let Some(hit) = search.next(&chunk, at) {
        let start = memrchr(b'\n', &chunk[at..hit]).map_or(at, |n| at + n + 1);
        let end = memchr(b'\n', &chunk[hit..]).map_or(chunk.len(), |n| hit + n);
        if search.counts(hit == end, &chunk[start..end]) {
            kept.push((start, end));
        }
        at = end + 1;
        if at >= chunk.len() {
            break;
        }
    }
    batch.keep_lines(kept.into_iter());
}
