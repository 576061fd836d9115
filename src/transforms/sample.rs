//! `sample`: keeps a part of the records.

use crate::event::log::{GroupBy, LogBatch, RecordRef, Verdict as Fate};
use crate::event::{Batch, Kinds};
use crate::expr::condition::{Bound, Condition, Verdict};
use crate::topology::component::{BuildContext, Fault, Outputs, Transform, TransformConfig};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

/// Keeps one record out of so many, or so many per cent.
///
/// ```yaml
/// tenth: {type: sample, rate: 10, exclude: status >= 500, inputs: [parsed]}
/// traces: {type: sample, percent: 2.5, key: [trace_id], rate_field: sample_rate, inputs: [parsed]}
/// ```
///
/// Which records stay is decided by where they stand in their file, so that a line that is read
/// again meets the same fate; with a `key` by the values of these fields, so that all records of
/// one trace stay or go together. It is a part of many records, not every tenth of them in order.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// One out of so many stays. This or `percent` must be given.
    #[serde(default)]
    pub rate: Option<u64>,
    /// So many out of a hundred stay, from 0 to 100.
    #[serde(default)]
    pub percent: Option<f64>,
    /// Fields whose values decide, instead of the record's place in its file.
    #[serde(default)]
    pub key: Vec<String>,
    /// Records for which this holds always stay.
    #[serde(default)]
    pub exclude: Option<Condition>,
    /// Name of a field to add to the sampled records: how many records each stands for.
    #[serde(default)]
    pub rate_field: Option<String>,
}

impl TransformConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>, Fault> {
        let constants = cx.env.constants.load();
        Ok(Box::new(Sample::new(self, &constants).map_err(Fault::fatal)?))
    }
}

struct Sample {
    /// Of all 64-bit numbers, those below this one stay; `None` for all.
    below: Option<u64>,
    /// How many records one stands for.
    stands_for: Json,
    key: GroupBy,
    exclude: Option<Bound>,
    rate_field: Option<String>,
    scratch: Vec<u8>,
}

impl Sample {
    fn new(config: &Config, constants: &Map<String, Json>) -> Result<Self, String> {
        let (below, stands_for) = match (config.rate, config.percent) {
            (Some(1), None) => (None, 1.into()),
            (Some(rate), None) if rate > 1 => (Some(u64::MAX / rate), rate.into()),
            (None, Some(percent)) if (0.0..=100.0).contains(&percent) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a part"
                )]
                let below = (percent / 100.0 * u64::MAX as f64) as u64;
                ((percent < 100.0).then_some(below), (100.0 / percent).into())
            }
            (Some(0), None) => return Err("`rate` is 0, expected 1 or more".into()),
            (None, Some(percent)) => {
                return Err(format!("`percent` is {percent}, expected 0 to 100"));
            }
            _ => return Err("expected either `rate` (1 out of so many) or `percent`".into()),
        };
        let exclude = config.exclude.as_ref().map(|condition| condition.bind(constants));
        Ok(Self {
            below,
            stands_for,
            key: GroupBy::new(&config.key),
            exclude: exclude.transpose().map_err(|error| format!("`exclude`: {error}"))?,
            rate_field: config.rate_field.clone(),
            scratch: Vec::new(),
        })
    }

    fn stays(&mut self, record: &RecordRef<'_>) -> bool {
        let Some(below) = self.below else { return true };
        self.scratch.clear();
        if self.key.is_empty() {
            let origin = &record.batch().origin;
            self.scratch.extend_from_slice(origin.source.as_bytes());
            self.scratch.push(0);
            self.scratch.extend_from_slice(origin.path.as_deref().unwrap_or_default().as_bytes());
            self.scratch.push(0);
            self.scratch.extend_from_slice(&record.offset().to_le_bytes());
        } else {
            self.key.write(record, &mut self.scratch);
        }
        hash(&self.scratch) < below
    }

    fn sample(&mut self, batch: &mut LogBatch) -> u64 {
        let excluded = self.exclude.as_ref().map(|exclude| exclude.judge(batch));
        let free = |at: usize| {
            excluded.as_ref().is_some_and(|verdicts| verdicts.get(at) == Some(&Verdict::Holds))
        };
        let stay: Vec<bool> = batch
            .records()
            .enumerate()
            .map(|(at, record)| free(at) || self.stays(&record))
            .collect();
        if stay.contains(&false) {
            let mut verdicts = stay.iter();
            batch.retain_spans(|_, _| verdicts.next() != Some(&false));
        }
        if let Some(name) = &self.rate_field {
            let value = self.stands_for.to_string();
            let mut places = stay.iter().zip(0..).filter(|(stays, _)| **stays).map(|(_, at)| at);
            batch.rewrite(|record, writer| {
                if places.next().is_none_or(free) {
                    return Fate::Keep;
                }
                for (known, value) in record.entries().filter(|(known, _)| known != name) {
                    writer.push(known, value);
                }
                writer.push_json(name, value.as_bytes());
                Fate::Touched
            });
        }
        let unclear = |verdicts: &Vec<Verdict>| {
            verdicts.iter().filter(|verdict| **verdict == Verdict::Unclear).count() as u64
        };
        excluded.as_ref().map_or(0, unclear)
    }
}

impl Transform for Sample {
    fn transform(&mut self, mut batch: Batch, out: &mut Outputs) -> Result<(), Fault> {
        if let Batch::Logs(logs) = &mut batch {
            out.count_errors(self.sample(logs));
        }
        out.emit(batch);
        Ok(())
    }
}

/// The same in every run and on every machine: FNV-1a, with its bits mixed at the end, since few of
/// them change with the last byte.
fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::sync::Arc;

    fn sample(yaml: &str, text: &str, offset: u64) -> LogBatch {
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        let mut sample = Sample::new(&config, &Map::new()).unwrap();
        let chunk = Bytes::copy_from_slice(text.as_bytes());
        let mut batch = LogBatch::from_lines(&chunk, Arc::default(), offset, 0);
        sample.sample(&mut batch);
        batch
    }

    fn lines(batch: &LogBatch) -> Vec<String> {
        batch.records().map(|it| String::from_utf8_lossy(it.raw()).into_owned()).collect()
    }

    #[test]
    fn about_the_part_asked_for_stays_and_the_same_one_each_time() {
        let text: String = (0..10_000).map(|n| format!("line {n}\n")).collect();
        for (yaml, about) in [("rate: 10", 1000), ("percent: 2.5", 250), ("rate: 1", 10_000)] {
            let once = lines(&sample(yaml, &text, 0));
            assert!(once.len().abs_diff(about) < about / 8 + 1, "{yaml}: {}", once.len());
            // Read again from the middle, each line meets the same fate.
            let middle = text.len() / 2 + text[text.len() / 2..].find('\n').unwrap() + 1;
            let again = lines(&sample(yaml, &text[middle..], middle as u64));
            assert!(once.ends_with(&again), "{yaml}");
        }
        assert!(lines(&sample("percent: 0", &text, 0)).is_empty());
    }

    #[test]
    fn a_key_decides_for_all_its_records() {
        let text = "a\nb\nc\nd\ne\nf\n".repeat(50);
        let kept = lines(&sample("{rate: 2, key: [message]}", &text, 0));
        for letter in ["a", "b", "c", "d", "e", "f"] {
            let count = kept.iter().filter(|line| *line == letter).count();
            assert!(count == 0 || count == 50, "{letter}: {count}");
        }
    }

    #[test]
    fn the_excluded_stay_and_only_the_sampled_say_what_they_stand_for() {
        let yaml = "{rate: 1000, exclude: message == 'error', rate_field: n}";
        let text: String = (0..3000).map(|n| format!("{n}\nerror\n")).collect();
        let batch = sample(yaml, &text, 0);
        let (errors, rest): (Vec<_>, Vec<_>) =
            batch.records().partition(|record| record.raw() == b"error");
        assert_eq!(errors.len(), 3000);
        assert!(errors.iter().all(RecordRef::is_untouched));
        assert!(!rest.is_empty() && rest.len() < 20);
        let stands_for = |it: &RecordRef<'_>| it.get("n").and_then(|value| value.as_number());
        assert!(rest.iter().all(|record| stands_for(record) == Some(1000.0)));
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        for yaml in ["{}", "rate: 0", "percent: 101", "{rate: 2, percent: 5}"] {
            let config: Config = serde_yaml::from_str(yaml).unwrap();
            assert!(Sample::new(&config, &Map::new()).is_err(), "{yaml}");
        }
    }

    #[test]
    fn origins_of_the_same_offset_are_told_apart() {
        let origin = |path: &str| crate::event::log::Origin {
            path: Some(path.into()),
            ..Default::default()
        };
        let mut fates = Vec::new();
        for n in 0..64 {
            let chunk = Bytes::from_static(b"x\n");
            let batch = LogBatch::from_lines(&chunk, Arc::new(origin(&format!("/{n}"))), 0, 0);
            let config: Config = serde_yaml::from_str("rate: 2").unwrap();
            let mut sample = Sample::new(&config, &Map::new()).unwrap();
            fates.push(sample.stays(&batch.records().next().unwrap()));
        }
        assert!(fates.contains(&true) && fates.contains(&false));
    }
}
