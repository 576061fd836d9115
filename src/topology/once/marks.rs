//! How far sources are for good: what they tell the journals of sinks.

use super::extents::Content;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What all sources and journals of a process tell each other, and what the graph says of the ways
/// between them.
#[derive(Debug, Default)]
pub struct Deliveries(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By sink: the sources of which each record comes to it once and can be told again.
    ways: HashMap<Arc<str>, HashSet<Arc<str>>>,
    /// By sink: how far its checkpoint is for good, for each content that its journal tells of.
    watched: HashMap<Arc<str>, HashMap<Content, u64>>,
    /// Sources of which somebody wants to know all.
    asked: HashSet<Arc<str>>,
}

impl Deliveries {
    /// The graph is another one. Given for each sink are the sources of which each record comes to
    /// it once and can be told again.
    pub(crate) fn lead(&self, ways: HashMap<Arc<str>, HashSet<Arc<str>>>) {
        self.state().ways = ways;
    }

    /// Whether each record of `source` comes to `sink` once, and can be told again.
    pub fn is_once(&self, sink: &str, source: &str) -> bool {
        self.state().ways.get(sink).is_some_and(|sources| sources.contains(source))
    }

    /// Whether somebody wants to know how things are with all that this source has, since he may
    /// have missed it. A source answers with [`Self::saved_all`].
    pub fn is_asked(&self, source: &str) -> bool {
        self.state().asked.contains(source)
    }

    /// The source has saved, for good, how far sinks are: content, name of the sink, offset.
    pub fn saved<'s>(&self, source: &str, marks: impl Iterator<Item = (u64, &'s str, u64)>) {
        self.state().note(source, marks);
    }

    /// As [`Self::saved`], of all contents that the source knows. What is not among them never
    /// comes again.
    pub fn saved_all<'s>(&self, source: &str, marks: impl Iterator<Item = (u64, &'s str, u64)>) {
        let mut state = self.state();
        state.asked.remove(source);
        let known = state.note(source, marks);
        for watched in state.watched.values_mut() {
            for ((of, content), mark) in watched.iter_mut() {
                if **of == *source && !known.contains(content) {
                    *mark = u64::MAX;
                }
            }
        }
    }

    /// A sink's journal wants to hear of a content; of what was said before, too, where it asks.
    pub(super) fn watch(&self, sink: &Arc<str>, content: &Content, asks: bool) {
        let mut state = self.state();
        if asks {
            state.asked.insert(Arc::clone(&content.0));
        }
        let watched = state.watched.entry(Arc::clone(sink)).or_default();
        watched.entry(content.clone()).or_default();
    }

    /// Forgets the contents that no entry of the sink tells of any more.
    pub(super) fn watch_only(&self, sink: &str, is_watched: impl Fn(&Content) -> bool) {
        if let Some(watched) = self.state().watched.get_mut(sink) {
            watched.retain(|content, _| is_watched(content));
        }
    }

    /// How far the checkpoint is for good.
    pub(super) fn mark(&self, sink: &str, content: &Content) -> u64 {
        let state = self.state();
        state.watched.get(sink).and_then(|watched| watched.get(content)).copied().unwrap_or(0)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Notes marks of contents that are watched; gives all contents that were spoken of.
    fn note<'s>(
        &mut self,
        source: &str,
        marks: impl Iterator<Item = (u64, &'s str, u64)>,
    ) -> HashSet<u64> {
        if self.watched.is_empty() {
            return HashSet::new();
        }
        let source: Arc<str> = source.into();
        let mut known = HashSet::new();
        for (number, sink, offset) in marks {
            known.insert(number);
            let content = (Arc::clone(&source), number);
            let watched = self.watched.get_mut(sink);
            if let Some(mark) = watched.and_then(|watched| watched.get_mut(&content)) {
                *mark = (*mark).max(offset);
            }
        }
        known
    }
}
