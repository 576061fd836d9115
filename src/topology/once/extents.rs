//! Extents: which bytes of which files the records of a request are.

use super::Spans;
use crate::event::log::{LogBatch, Origin, RecordRef};
use std::sync::Arc;

/// The extents of records, in the order in which they were added. Only those of records that can be
/// told apart for ever: of a content with a number.
#[derive(Clone, Debug, Default)]
pub struct Extents {
    origins: Vec<Arc<Origin>>,
    runs: Vec<Run>,
}

/// Bytes that follow each other.
#[derive(Clone, Copy, Debug)]
struct Run {
    origin: u32,
    begin: u64,
    end: u64,
}

/// How much there was at some time.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::topology) struct Size {
    origins: usize,
    runs: usize,
    /// Where the last run ended.
    end: u64,
}

/// A content of a source: the source's name and the content's number.
pub(super) type Content = (Arc<str>, u64);

impl Extents {
    /// Adds all records of a batch that no filter has left out.
    pub fn add_batch(&mut self, batch: &LogBatch) {
        if batch.origin.content == 0 {
            return;
        }
        match batch.extent().filter(|_| batch.is_uncut()) {
            Some((begin, end)) => self.add(&batch.origin, begin, end),
            None => batch.records().for_each(|record| self.add_record(&record)),
        }
    }

    /// Adds a record.
    pub fn add_record(&mut self, record: &RecordRef<'_>) {
        let batch = record.batch();
        if batch.origin.content != 0
            && let Some(extent) = batch.extent_of(record)
        {
            self.add(&batch.origin, extent.begin, extent.end);
        }
    }

    fn add(&mut self, origin: &Arc<Origin>, begin: u64, end: u64) {
        if !self.origins.last().is_some_and(|last| Arc::ptr_eq(last, origin)) {
            self.origins.push(Arc::clone(origin));
        }
        let at = u32::try_from(self.origins.len() - 1).unwrap_or(u32::MAX);
        match self.runs.last_mut() {
            Some(last) if last.origin == at && last.end == begin => last.end = end,
            _ => self.runs.push(Run { origin: at, begin, end }),
        }
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// What it takes in memory, about.
    pub fn bytes(&self) -> usize {
        self.runs.len() * size_of::<Run>()
    }

    pub(in crate::topology) fn size(&self) -> Size {
        let end = self.runs.last().map_or(0, |last| last.end);
        Size { origins: self.origins.len(), runs: self.runs.len(), end }
    }

    /// Takes back what was added since it was of this size.
    pub(in crate::topology) fn cut_back(&mut self, size: Size) {
        self.origins.truncate(size.origins);
        self.runs.truncate(size.runs);
        if let Some(last) = self.runs.last_mut() {
            last.end = size.end;
        }
    }

    /// The same, sorted by content.
    pub(super) fn by_content(&self) -> Vec<(Content, Spans)> {
        let mut contents: Vec<(Content, Spans)> = Vec::new();
        let mut of_run = (u32::MAX, 0);
        for run in &self.runs {
            let Some(origin) = self.origins.get(run.origin as usize) else { continue };
            if of_run.0 != run.origin {
                let same =
                    |known: &Content| known.1 == origin.content && *known.0 == *origin.source;
                let known = contents.iter().position(|(content, _)| same(content));
                let at = known.unwrap_or_else(|| {
                    let content = (Arc::clone(&origin.source), origin.content);
                    contents.push((content, Spans::default()));
                    contents.len() - 1
                });
                of_run = (run.origin, at);
            }
            contents[of_run.1].1.add(run.begin, run.end);
        }
        contents
    }
}
