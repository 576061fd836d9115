//! `throttle`: lets no more than so many records pass in a time.

use crate::event::log::{GroupBy, LogBatch};
use crate::event::{Batch, Kinds};
use crate::expr::condition::{Bound, Condition, Verdict};
use crate::topology::component::{
    BuildContext, Fault, Outputs, Remember, Transform, TransformConfig,
};
use crate::topology::settings::Period;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Lets no more than so many records pass in a time: all together, or for each value of some
/// fields. What is too much is dropped and counted with the reason `throttled`, or goes elsewhere.
///
/// ```yaml
/// calm: {type: throttle, limit: 100, window: 1s, inputs: [app]}
/// fair:
///   type: throttle
///   limit: 1000
///   window: 1m
///   key: [service, level]
///   exclude: level in ['error', 'fatal']
///   excess: route          # leaves through `fair.excess`
///   inputs: [parsed]
/// ```
///
/// The limit refills evenly over the window: after a pause `limit` records may pass at once, from
/// then on one every `window / limit`. The time is that of arrival, not the records' own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How many records may pass in each window.
    pub limit: u32,
    /// How long a window is.
    #[serde(default = "second")]
    pub window: Period,
    /// Fields whose values have a limit each. Without any there is one limit for all; `source` is
    /// the component that read the record.
    #[serde(default)]
    pub key: Vec<String>,
    /// Records for which this holds always pass, and do not count.
    #[serde(default)]
    pub exclude: Option<Condition>,
    /// What becomes of the records beyond the limit.
    #[serde(default)]
    pub excess: Excess,
    /// How many values of `key` are told apart at a time. While there are more, those that came
    /// last share one limit.
    #[serde(default = "max_keys")]
    pub max_keys: usize,
}

/// What becomes of the records beyond the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Excess {
    /// They are dropped and counted.
    #[default]
    Drop,
    /// They leave through the output `excess`.
    Route,
}

/// The named output of [`Excess::Route`].
const EXCESS: &str = "excess";

fn second() -> Period {
    Period(Duration::from_secs(1))
}

fn max_keys() -> usize {
    10_000
}

impl TransformConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn outputs(&self) -> Vec<Arc<str>> {
        if self.excess == Excess::Route { vec![EXCESS.into()] } else { Vec::new() }
    }

    fn remembers(&self) -> bool {
        true
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>, Fault> {
        let constants = cx.env.constants.load();
        Ok(Box::new(Throttle::new(self, &constants).map_err(Fault::fatal)?))
    }
}

struct Throttle {
    limit: f64,
    /// How many come back each second.
    per_second: f64,
    window: Duration,
    key: GroupBy,
    exclude: Option<Bound>,
    excess: Excess,
    excess_output: Arc<str>,
    max_keys: usize,
    now: Duration,
    buckets: HashMap<Box<[u8]>, Bucket>,
    /// For all values of `key` that found no place.
    rest: Bucket,
    prune_at: Duration,
    scratch: Vec<u8>,
}

/// What may still pass, as of some time.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Duration,
}

impl Throttle {
    fn new(config: &Config, constants: &Map<String, Json>) -> Result<Self, String> {
        if config.limit == 0 {
            return Err(
                "`limit` is 0, so that nothing could pass; a filter says that better".into()
            );
        }
        if config.window.0.is_zero() {
            return Err("`window` is 0s, expected a time such as `1s`".into());
        }
        let exclude = config.exclude.as_ref().map(|condition| condition.bind(constants));
        let limit = f64::from(config.limit);
        Ok(Self {
            limit,
            per_second: limit / config.window.0.as_secs_f64(),
            window: config.window.0,
            key: GroupBy::new(&config.key),
            exclude: exclude.transpose().map_err(|error| format!("`exclude`: {error}"))?,
            excess: config.excess,
            excess_output: EXCESS.into(),
            max_keys: config.max_keys.max(1),
            now: Duration::ZERO,
            buckets: HashMap::new(),
            rest: Bucket { left: limit, at: Duration::ZERO },
            prune_at: config.window.0,
            scratch: Vec::new(),
        })
    }

    /// For each record whether it passes, in order; `None` where all do.
    fn judge(&mut self, batch: &LogBatch, errors: &mut u64) -> Option<Vec<bool>> {
        if self.key.is_empty() && self.exclude.is_none() {
            // Lines need not be cut to be counted.
            return self.judge_together(batch.len());
        }
        let excluded = self.exclude.as_ref().map(|exclude| exclude.judge(batch));
        if let Some(verdicts) = &excluded {
            *errors += verdicts.iter().filter(|it| **it == Verdict::Unclear).count() as u64;
        }
        let mut passes = Vec::with_capacity(batch.len());
        for (at, record) in batch.records().enumerate() {
            let free = excluded.as_ref().is_some_and(|it| it.get(at) == Some(&Verdict::Holds));
            if free {
                passes.push(true);
                continue;
            }
            self.scratch.clear();
            self.key.write(&record, &mut self.scratch);
            passes.push(self.take_one());
        }
        passes.contains(&false).then_some(passes)
    }

    fn judge_together(&mut self, records: usize) -> Option<Vec<bool>> {
        let (limit, rate, now) = (self.limit, self.per_second, self.now);
        let passes: Vec<bool> = (0..records).map(|_| self.rest.take(limit, rate, now)).collect();
        passes.contains(&false).then_some(passes)
    }

    /// Takes one from the bucket of the key in `scratch`.
    fn take_one(&mut self) -> bool {
        let (limit, rate, now) = (self.limit, self.per_second, self.now);
        if let Some(bucket) = self.buckets.get_mut(self.scratch.as_slice()) {
            return bucket.take(limit, rate, now);
        }
        if self.buckets.len() >= self.max_keys {
            return self.rest.take(limit, rate, now);
        }
        let mut bucket = Bucket { left: limit, at: now };
        let passes = bucket.take(limit, rate, now);
        self.buckets.insert(self.scratch.as_slice().into(), bucket);
        passes
    }
}

impl Bucket {
    fn take(&mut self, limit: f64, per_second: f64, now: Duration) -> bool {
        let since = now.saturating_sub(self.at).as_secs_f64();
        self.left = (self.left + since * per_second).min(limit);
        self.at = now;
        let passes = self.left >= 1.0;
        if passes {
            self.left -= 1.0;
        }
        passes
    }
}

impl Transform for Throttle {
    fn transform(&mut self, batch: Batch, out: &mut Outputs) -> Result<(), Fault> {
        let Batch::Logs(mut batch) = batch else {
            out.emit(batch);
            return Ok(());
        };
        let mut errors = 0;
        let passes = self.judge(&batch, &mut errors);
        out.count_errors(errors);
        let Some(passes) = passes else {
            out.emit(Batch::Logs(batch));
            return Ok(());
        };
        let excess = passes.iter().filter(|passes| !**passes).count();
        if self.excess == Excess::Route {
            let mut beyond = batch.clone();
            let mut verdicts = passes.iter();
            beyond.retain_spans(|_, _| verdicts.next() == Some(&false));
            out.emit_to(&self.excess_output, Batch::Logs(beyond));
        } else {
            out.count_dropped("throttled", excess as u64);
        }
        let mut verdicts = passes.into_iter();
        batch.retain_spans(|_, _| verdicts.next() != Some(false));
        out.emit(Batch::Logs(batch));
        Ok(())
    }

    fn memory(&mut self) -> Option<&mut dyn Remember> {
        Some(self)
    }
}

/// It holds no records, only numbers.
impl Remember for Throttle {
    fn tick(&mut self, now: Duration, _: &mut Outputs) -> Result<(), Fault> {
        self.now = now;
        if now >= self.prune_at {
            self.prune_at = now + self.window;
            // After a whole window a bucket is full, and as good as a new one.
            self.buckets.retain(|_, bucket| now.saturating_sub(bucket.at) < self.window);
        }
        Ok(())
    }

    fn due(&self) -> Option<Duration> {
        None
    }

    fn flush(&mut self, _: &mut Outputs) -> Result<(), Fault> {
        Ok(())
    }

    fn held_since(&self) -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    /// What passes, and what leaves through `excess`, of the lines at each time in seconds.
    fn throttled(yaml: &str, arrivals: &[(f64, &str)]) -> (Vec<String>, Vec<String>, u64) {
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        let mut throttle = Throttle::new(&config, &Map::new()).unwrap();
        let (mut passed, mut excess, mut dropped) = (Vec::new(), Vec::new(), 0);
        for (at, text) in arrivals {
            let chunk = Bytes::copy_from_slice(text.as_bytes());
            let batch = LogBatch::from_lines(&chunk, Arc::default(), 0, 0);
            let mut out = Outputs::default();
            throttle.tick(Duration::from_secs_f64(*at), &mut out).unwrap();
            throttle.transform(Batch::Logs(batch), &mut out).unwrap();
            dropped += out.take_dropped().iter().map(|(_, count)| count).sum::<u64>();
            for (output, batch) in out.take().0 {
                let Batch::Logs(logs) = batch else { panic!("no logs") };
                let lines = logs.records().map(|it| String::from_utf8_lossy(it.raw()).into_owned());
                if output.is_empty() { passed.extend(lines) } else { excess.extend(lines) }
            }
        }
        (passed, excess, dropped)
    }

    #[test]
    fn the_limit_refills_evenly() {
        let arrivals = [(0.0, "1\n2\n3\n"), (0.4, "4\n"), (0.5, "5\n6\n"), (9.0, "7\n8\n9\n")];
        let (passed, _, dropped) = throttled("{limit: 2, window: 1s}", &arrivals);
        assert_eq!((passed.concat().as_str(), dropped), ("12578", 4));
    }

    #[test]
    fn each_key_has_its_own_limit_and_the_excluded_have_none() {
        let yaml = "{limit: 1, key: [message], exclude: message == 'free', excess: route}";
        let (passed, excess, dropped) = throttled(yaml, &[(0.0, "a\nb\na\nfree\nfree\nb\n")]);
        assert_eq!(passed, ["a", "b", "free", "free"]);
        assert_eq!((excess, dropped), (vec!["a".to_owned(), "b".to_owned()], 0));
    }

    #[test]
    fn keys_beyond_the_bound_share_a_limit_until_there_is_room_again() {
        let yaml = "{limit: 1, key: [message], max_keys: 2}";
        let (passed, ..) = throttled(yaml, &[(0.0, "a\nb\nc\nd\ne\n"), (1.5, "d\ne\n")]);
        assert_eq!(passed, ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn what_lets_nothing_pass_is_an_error() {
        for yaml in ["limit: 0", "{limit: 1, window: 0s}"] {
            let config: Config = serde_yaml::from_str(yaml).unwrap();
            assert!(Throttle::new(&config, &Map::new()).is_err(), "{yaml}");
        }
    }
}
