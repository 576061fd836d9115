//! `reduce`: makes one record of several that belong together.

mod group;
#[cfg(test)]
mod tests;

use crate::event::log::{GroupBy, LogBatch, RecordRef};
use crate::event::{Batch, Kinds};
use crate::expr::condition::{Bound, Condition, Verdict};
use crate::topology::component::{
    BuildContext, Fault, Outputs, Remember, Transform, TransformConfig,
};
use crate::topology::settings::Period;
use group::{Group, Rules};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// Makes one record of several that belong together: the lines of one request, the steps of one
/// job.
///
/// ```yaml
/// requests:
///   type: reduce
///   key: [request_id]
///   end: status is defined         # this one is the last of its request
///   expire_after: 30s              # or none came for so long
///   merge: {message: concat, bytes: sum, step: array}
///   count: lines
///   inputs: [parsed]
/// ```
///
/// A field keeps the value of the first record that has it, unless `merge` says otherwise. The
/// merged record has the time and the place of its first one. No record counts as delivered before
/// the one that it went into; after a failure all of them are read again. Times are those of
/// arrival.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Fields whose values records that belong together have in common. Without any all records do
    /// that come one after the other.
    #[serde(default)]
    pub key: Vec<String>,
    /// A record for which this holds is the first of its group; what is there of the group before
    /// is given on.
    #[serde(default)]
    pub start: Option<Condition>,
    /// A record for which this holds is the last of its group.
    #[serde(default)]
    pub end: Option<Condition>,
    /// A group to which nothing was added for so long is complete.
    #[serde(default = "half_a_minute")]
    pub expire_after: Period,
    /// A group of so many records is complete.
    #[serde(default = "max_records")]
    pub max_records: u64,
    /// So many groups at a time; beyond that the oldest is given on as it is.
    #[serde(default = "max_groups")]
    pub max_groups: usize,
    /// How the values of a field become one.
    #[serde(default)]
    pub merge: IndexMap<String, Strategy>,
    /// What stands between texts that are put together by `concat`.
    #[serde(default = "line_feed")]
    pub separator: String,
    /// Name of a field that gets the number of records.
    #[serde(default)]
    pub count: Option<String>,
}

/// How several values become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// The first one.
    First,
    /// The last one.
    Last,
    /// The sum of those that are numbers.
    Sum,
    /// The smallest of those that are numbers.
    Min,
    /// The largest of those that are numbers.
    Max,
    /// All of them as text, with `separator` between them.
    Concat,
    /// A list of them.
    Array,
    /// How many there are.
    Count,
}

fn half_a_minute() -> Period {
    Period(Duration::from_secs(30))
}

fn max_records() -> u64 {
    1000
}

fn max_groups() -> usize {
    10_000
}

fn line_feed() -> String {
    "\n".into()
}

impl TransformConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn remembers(&self) -> bool {
        true
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>, Fault> {
        let constants = cx.env.constants.load();
        Ok(Box::new(Reduce::new(self, &constants).map_err(Fault::fatal)?))
    }
}

/// Between two looks for groups that are complete.
const LOOK_EVERY: Duration = Duration::from_millis(100);

struct Reduce {
    by: GroupBy,
    start: Option<Bound>,
    end: Option<Bound>,
    expire_after: Duration,
    max_records: u64,
    max_groups: usize,
    rules: Rules,
    now: Duration,
    /// By number, and so the oldest first.
    groups: BTreeMap<u64, Group>,
    by_key: HashMap<Box<[u8]>, u64>,
    next: u64,
    /// Before this no group can have been without a record for long enough.
    look_at: Option<Duration>,
    bytes: usize,
    scratch: Vec<u8>,
}

impl Reduce {
    fn new(config: &Config, constants: &Map<String, Json>) -> Result<Self, String> {
        let bind = |name: &str, condition: &Option<Condition>| {
            let bound = condition.as_ref().map(|condition| condition.bind(constants)).transpose();
            bound.map_err(|error| format!("`{name}`: {error}"))
        };
        if config.expire_after.0.is_zero() {
            return Err("`expire_after` is 0s, expected a time such as `30s`".into());
        }
        if config.max_records == 0 || config.max_groups == 0 {
            return Err("`max_records` and `max_groups` are 1 or more".into());
        }
        Ok(Self {
            by: GroupBy::new(&config.key),
            start: bind("start", &config.start)?,
            end: bind("end", &config.end)?,
            expire_after: config.expire_after.0,
            max_records: config.max_records,
            max_groups: config.max_groups,
            rules: Rules {
                merge: config.merge.clone(),
                separator: config.separator.clone(),
                count: config.count.clone(),
            },
            now: Duration::ZERO,
            groups: BTreeMap::new(),
            by_key: HashMap::new(),
            next: 0,
            look_at: None,
            bytes: 0,
            scratch: Vec::new(),
        })
    }

    fn take(&mut self, batch: &LogBatch, out: &mut Outputs) {
        let judge = |bound: &Option<Bound>| bound.as_ref().map(|bound| bound.judge(batch));
        let (starts, ends) = (judge(&self.start), judge(&self.end));
        let unclear = [&starts, &ends].into_iter().flatten().flatten();
        out.count_errors(unclear.filter(|it| **it == Verdict::Unclear).count() as u64);
        let holds = |verdicts: &Option<Vec<Verdict>>, at: usize| {
            verdicts.as_ref().is_some_and(|all| all.get(at) == Some(&Verdict::Holds))
        };
        for (at, record) in batch.records().enumerate() {
            self.scratch.clear();
            self.by.write(&record, &mut self.scratch);
            if holds(&starts, at)
                && let Some(number) = self.by_key.get(self.scratch.as_slice()).copied()
            {
                self.give_on(number, out);
            }
            let number = self.add(&record, out);
            let full = self.groups.get(&number).is_some_and(|it| it.records >= self.max_records);
            if full || holds(&ends, at) {
                self.give_on(number, out);
            }
        }
    }

    /// Adds a record to the group whose key is in `scratch`, and gives the group's number.
    fn add(&mut self, record: &RecordRef<'_>, out: &mut Outputs) -> u64 {
        let known = self.by_key.get(self.scratch.as_slice()).copied();
        let number = known.unwrap_or_else(|| {
            if self.groups.len() >= self.max_groups
                && let Some((oldest, _)) = self.groups.first_key_value()
            {
                self.give_on(*oldest, out);
            }
            let number = self.next;
            self.next += 1;
            let key: Box<[u8]> = self.scratch.as_slice().into();
            self.by_key.insert(key.clone(), number);
            self.groups.insert(number, Group::new(record, key, out.number()));
            number
        });
        if let Some(group) = self.groups.get_mut(&number) {
            let before = if known.is_some() { group.bytes } else { 0 };
            group.add(record, self.now, &self.rules);
            self.bytes = (self.bytes + group.bytes).saturating_sub(before);
        }
        let complete_at = self.now + self.expire_after;
        self.look_at = Some(self.look_at.map_or(complete_at, |at| at.min(complete_at)));
        number
    }

    fn give_on(&mut self, number: u64, out: &mut Outputs) {
        if let Some(group) = self.groups.remove(&number) {
            self.by_key.remove(&group.key);
            self.bytes -= group.bytes.min(self.bytes);
            out.emit(Batch::Logs(group.into_record(&self.rules).into_batch()));
        }
    }

    fn give_on_the_complete(&mut self, out: &mut Outputs) {
        let (now, after) = (self.now, self.expire_after);
        let complete = |group: &Group| now.saturating_sub(group.last_at) >= after;
        let numbers: Vec<u64> =
            self.groups.iter().filter(|(_, it)| complete(it)).map(|(number, _)| *number).collect();
        for number in numbers {
            self.give_on(number, out);
        }
        let next = self.groups.values().map(|group| group.last_at + after).min();
        self.look_at = next.map(|at| at.max(now + LOOK_EVERY));
    }
}

impl Transform for Reduce {
    fn transform(&mut self, batch: Batch, out: &mut Outputs) -> Result<(), Fault> {
        match batch {
            Batch::Logs(logs) => self.take(&logs, out),
            other => out.emit(other),
        }
        Ok(())
    }

    fn memory(&mut self) -> Option<&mut dyn Remember> {
        Some(self)
    }
}

impl Remember for Reduce {
    fn tick(&mut self, now: Duration, out: &mut Outputs) -> Result<(), Fault> {
        self.now = now;
        if self.look_at.is_some_and(|at| at <= now) {
            self.give_on_the_complete(out);
        }
        Ok(())
    }

    fn due(&self) -> Option<Duration> {
        self.look_at
    }

    fn flush(&mut self, out: &mut Outputs) -> Result<(), Fault> {
        while let Some((number, _)) = self.groups.first_key_value() {
            self.give_on(*number, out);
        }
        self.look_at = None;
        Ok(())
    }

    fn held_since(&self) -> Option<u64> {
        self.groups.first_key_value().map(|(_, group)| group.batch)
    }

    fn held_bytes(&self) -> usize {
        self.bytes
    }

    fn relieve(&mut self, out: &mut Outputs) -> Result<(), Fault> {
        if let Some((number, _)) = self.groups.first_key_value() {
            self.give_on(*number, out);
        }
        Ok(())
    }
}
