//! `dedupe`: leaves out records that were seen a short while ago.

use crate::event::log::{GroupBy, Kept, KeptRecord, LogBatch, Origin, RecordRef};
use crate::event::{Batch, Kinds};
use crate::topology::component::{
    BuildContext, Fault, Outputs, Remember, Transform, TransformConfig,
};
use crate::topology::settings::Period;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

/// Leaves out records that say what another one has said a short while ago. The first one passes
/// at once; what is left out counts as delivered.
///
/// ```yaml
/// once: {type: dedupe, window: 1m, inputs: [app]}
/// quiet:
///   type: dedupe
///   fields: [level, message]     # what makes two records the same
///   window: 10m
///   count: repeated              # how often it came again, told at the window's end
///   inputs: [parsed]
/// ```
///
/// A window begins with the first record and does not grow with further ones, so that something
/// that is said for ever is heard of once a window. A line that is read again after a failure is
/// no duplicate of itself, and passes. Times are those of arrival.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Fields that make two records the same. Without any all of the record counts: its line, or
    /// its fields once a transform has changed them.
    #[serde(default)]
    pub fields: Vec<String>,
    /// For how long after the first one the others are left out.
    #[serde(default = "minute")]
    pub window: Period,
    /// How many different records are remembered; beyond that the oldest is forgotten. One takes
    /// about 100 bytes.
    #[serde(default = "max_keys")]
    pub max_keys: usize,
    /// Name of a field. At the window's end the last of the records that were left out, if there
    /// are any, passes with their number in this field.
    #[serde(default)]
    pub count: Option<String>,
}

fn minute() -> Period {
    Period(Duration::from_secs(60))
}

fn max_keys() -> usize {
    10_000
}

impl TransformConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn remembers(&self) -> bool {
        true
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Transform>, Fault> {
        Ok(Box::new(Dedupe::new(self).map_err(Fault::fatal)?))
    }
}

/// What stands for a record's content: two hashes that no input can foresee.
type Content = (u64, u64);

struct Dedupe {
    by: GroupBy,
    window: Duration,
    max_keys: usize,
    count: Option<String>,
    now: Duration,
    seen: HashMap<Content, Seen>,
    /// What is in `seen`, the oldest first.
    order: VecDeque<Content>,
    hashers: (RandomState, RandomState),
    scratch: Vec<u8>,
}

/// A content that was seen.
struct Seen {
    since: Duration,
    /// The record that passed.
    first: (Arc<Origin>, u64),
    /// Those that did not, where they are counted.
    again: Option<Again>,
}

struct Again {
    count: u64,
    /// The batch of the first one.
    batch: u64,
    last: KeptRecord,
}

impl Dedupe {
    fn new(config: &Config) -> Result<Self, String> {
        if config.window.0.is_zero() {
            return Err("`window` is 0s, expected a time such as `1m`".into());
        }
        if config.max_keys == 0 {
            return Err("`max_keys` is 0, expected 1 or more".into());
        }
        Ok(Self {
            by: GroupBy::new(&config.fields),
            window: config.window.0,
            max_keys: config.max_keys,
            count: config.count.clone(),
            now: Duration::ZERO,
            seen: HashMap::new(),
            order: VecDeque::new(),
            hashers: Default::default(),
            scratch: Vec::new(),
        })
    }

    fn content(&mut self, record: &RecordRef<'_>) -> Content {
        let line = if !self.by.is_empty() {
            self.scratch.clear();
            self.by.write(record, &mut self.scratch);
            self.scratch.as_slice()
        } else if record.is_untouched() {
            record.message()
        } else {
            self.scratch.clear();
            for (name, value) in record.fields() {
                self.scratch.extend_from_slice(name.as_bytes());
                self.scratch.push(0);
                value.write_display(&mut self.scratch);
                self.scratch.push(0);
            }
            self.scratch.as_slice()
        };
        let hash = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            hasher.write(line);
            hasher.finish()
        };
        (hash(&self.hashers.0), hash(&self.hashers.1))
    }

    /// Whether the record passes.
    fn passes(&mut self, record: &RecordRef<'_>, batch: u64, out: &mut Outputs) -> bool {
        let content = self.content(record);
        let origin = &record.batch().origin;
        if let Some(seen) = self.seen.get_mut(&content) {
            let (first, offset) = &seen.first;
            if *offset == record.offset() && *first == *origin {
                return true;
            }
            if self.count.is_some() {
                seen.count(record, batch);
            }
            return false;
        }
        while self.order.len() >= self.max_keys {
            self.forget_oldest(out);
        }
        let first = (Arc::clone(origin), record.offset());
        self.seen.insert(content, Seen { since: self.now, first, again: None });
        self.order.push_back(content);
        true
    }

    fn forget_oldest(&mut self, out: &mut Outputs) {
        let Some(content) = self.order.pop_front() else { return };
        let again = self.seen.remove(&content).and_then(|seen| seen.again);
        if let (Some(mut again), Some(name)) = (again, &self.count) {
            again.last.set(name, Kept::Int(i64::try_from(again.count).unwrap_or(i64::MAX)));
            out.emit(Batch::Logs(again.last.into_batch()));
        }
    }

    fn oldest_since(&self) -> Option<Duration> {
        Some(self.seen.get(self.order.front()?)?.since)
    }
}

impl Seen {
    fn count(&mut self, record: &RecordRef<'_>, batch: u64) {
        match &mut self.again {
            Some(again) => {
                let last = &again.last;
                let here = last.origin == record.batch().origin;
                // A line that is read again counts once.
                if !here || record.offset() > last.offset {
                    again.count += 1;
                    again.last = KeptRecord::of(record);
                }
            }
            None => self.again = Some(Again { count: 1, batch, last: KeptRecord::of(record) }),
        }
    }
}

impl Transform for Dedupe {
    fn transform(&mut self, batch: Batch, out: &mut Outputs) -> Result<(), Fault> {
        let Batch::Logs(mut logs) = batch else {
            out.emit(batch);
            return Ok(());
        };
        let number = out.number();
        let passes = self.judge(&logs, number, out);
        if passes.contains(&false) {
            let mut passes = passes.into_iter();
            logs.retain_spans(|_, _| passes.next() != Some(false));
        }
        out.emit(Batch::Logs(logs));
        Ok(())
    }

    fn memory(&mut self) -> Option<&mut dyn Remember> {
        Some(self)
    }
}

impl Dedupe {
    fn judge(&mut self, logs: &LogBatch, number: u64, out: &mut Outputs) -> Vec<bool> {
        logs.records().map(|record| self.passes(&record, number, out)).collect()
    }
}

impl Remember for Dedupe {
    fn tick(&mut self, now: Duration, out: &mut Outputs) -> Result<(), Fault> {
        self.now = now;
        while self.oldest_since().is_some_and(|since| now.saturating_sub(since) >= self.window) {
            self.forget_oldest(out);
        }
        Ok(())
    }

    fn due(&self) -> Option<Duration> {
        // Without a count there is nothing to say then, and forgetting can wait.
        self.count.as_ref()?;
        self.oldest_since().map(|since| since + self.window)
    }

    fn flush(&mut self, out: &mut Outputs) -> Result<(), Fault> {
        while !self.order.is_empty() {
            self.forget_oldest(out);
        }
        Ok(())
    }

    fn held_since(&self) -> Option<u64> {
        self.count.as_ref()?;
        self.seen.values().filter_map(|seen| seen.again.as_ref().map(|again| again.batch)).min()
    }

    fn held_bytes(&self) -> usize {
        if self.count.is_none() {
            return 0;
        }
        let again = self.seen.values().filter_map(|seen| seen.again.as_ref());
        again.map(|again| again.last.bytes()).sum()
    }

    fn relieve(&mut self, out: &mut Outputs) -> Result<(), Fault> {
        // The oldest quarter, so that this is not needed again at once.
        for _ in 0..self.order.len().div_ceil(4) {
            self.forget_oldest(out);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    struct Run(Dedupe, u64);

    impl Run {
        fn new(yaml: &str) -> Self {
            let config: Config = serde_yaml::from_str(yaml).unwrap();
            Self(Dedupe::new(&config).unwrap(), 0)
        }

        /// What comes out, as text or with its count, when `text` comes at a time in seconds.
        fn at(&mut self, seconds: u64, offset: u64, text: &str) -> Vec<String> {
            let chunk = Bytes::copy_from_slice(text.as_bytes());
            let batch = LogBatch::from_lines(&chunk, Arc::default(), offset, 0);
            let mut out = Outputs::of(self.1);
            self.1 += 1;
            self.0.tick(Duration::from_secs(seconds), &mut out).unwrap();
            self.0.transform(Batch::Logs(batch), &mut out).unwrap();
            shown(&mut out)
        }
    }

    fn shown(out: &mut Outputs) -> Vec<String> {
        let mut lines = Vec::new();
        for (_, batch) in out.take().0 {
            let Batch::Logs(logs) = batch else { panic!("no logs") };
            lines.extend(logs.records().map(|record| {
                let mut text = Vec::new();
                record.get("message").unwrap().write_display(&mut text);
                if let Some(count) = record.get("n") {
                    text.push(b'*');
                    count.write_display(&mut text);
                }
                String::from_utf8(text).unwrap()
            }));
        }
        lines
    }

    #[test]
    fn the_same_passes_once_a_window() {
        let mut run = Run::new("window: 10s");
        assert_eq!(run.at(0, 0, "a\nb\na\na\r\n"), ["a", "b"]);
        assert_eq!(run.at(9, 100, "a\nc\n"), ["c"]);
        assert_eq!(run.at(10, 200, "a\n"), ["a"], "the window did not grow");
        assert_eq!(run.0.held_since(), None);
    }

    #[test]
    fn a_line_that_is_read_again_is_not_its_own_duplicate() {
        let mut run = Run::new("window: 10s");
        assert_eq!(run.at(0, 0, "a\nb\na\n"), ["a", "b"]);
        assert_eq!(run.at(1, 0, "a\nb\na\n"), ["a", "b"]);
        assert_eq!(run.at(2, 6, "a\nb\n"), Vec::<String>::new());
    }

    #[test]
    fn what_was_left_out_is_counted_and_told_at_the_windows_end() {
        let mut run = Run::new("{window: 10s, count: n}");
        assert_eq!(run.at(0, 0, "a\nb\n"), ["a", "b"]);
        assert_eq!(run.0.held_since(), None);
        assert_eq!(run.at(1, 10, "a\na\n"), Vec::<String>::new());
        assert_eq!(run.at(2, 10, "a\na\n"), Vec::<String>::new(), "read again");
        assert_eq!(run.0.held_since(), Some(1));
        assert!(run.0.held_bytes() > 0);
        assert_eq!(run.0.due(), Some(Duration::from_secs(10)));
        assert_eq!(run.at(10, 30, "c\n"), ["a*2", "c"]);
        assert_eq!(run.0.held_since(), None);
    }

    #[test]
    fn the_end_tells_what_is_left_to_tell() {
        let mut run = Run::new("count: n");
        run.at(0, 0, "a\na\na\nb\n");
        let mut out = Outputs::default();
        run.0.flush(&mut out).unwrap();
        assert_eq!(shown(&mut out), ["a*2"]);
        assert_eq!(run.0.held_since(), None);
    }

    #[test]
    fn only_so_much_is_remembered() {
        let mut run = Run::new("max_keys: 2");
        assert_eq!(run.at(0, 0, "a\nb\nc\nb\na\n"), ["a", "b", "c", "a"]);
        assert_eq!(run.0.seen.len(), 2);
    }

    #[test]
    fn fields_decide_what_is_the_same() {
        let mut run = Run::new("fields: [nope]");
        assert_eq!(run.at(0, 0, "a\nb\n"), ["a"], "both lack it");
        let config: Config = serde_yaml::from_str("max_keys: 0").unwrap();
        assert!(Dedupe::new(&config).is_err());
    }
}
