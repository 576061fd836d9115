//! `aggregate`: makes one sample of those that came in an interval.

use crate::event::metric::{
    Family, Labels, MetricBatch, MetricKind, Sample, SampleValue, Taken, Text,
};
use crate::event::{Batch, Kinds};
use crate::topology::component::{
    BuildContext, Fault, Outputs, Remember, Transform, TransformConfig,
};
use crate::topology::settings::Period;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Makes one sample of each series out of those that came in an interval, so that a sink that is
/// far away or dear gets fewer of them.
///
/// ```yaml
/// minutely: {type: aggregate, interval: 1m, method: mean, inputs: [facts.host]}
/// total: {type: aggregate, interval: 1m, method: sum, by: [mode], inputs: [facts.host]}
/// ```
///
/// Histograms and summaries are totals already, and their last value counts whatever the method is.
/// A sink that asks for fresh values, as `prometheus` does, gets those of the last interval.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How long an interval is.
    #[serde(default = "minute")]
    pub interval: Period,
    /// What is made of the values of one series.
    #[serde(default)]
    pub method: Method,
    /// Labels to keep: what differs only in others becomes one series. Without it all are kept.
    #[serde(default)]
    pub by: Option<Vec<String>>,
}

/// What is made of several values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// The last one.
    #[default]
    Last,
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// How many there are.
    Count,
}

fn minute() -> Period {
    Period(Duration::from_secs(60))
}

impl TransformConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::METRICS
    }

    fn remembers(&self) -> bool {
        true
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Transform>, Fault> {
        if self.interval.0.is_zero() {
            return Err(Fault::fatal("`interval` is 0s, expected a time such as `1m`"));
        }
        Ok(Box::new(Aggregate::new(self)))
    }
}

struct Aggregate {
    interval: Duration,
    method: Method,
    by: Option<Vec<String>>,
    now: Duration,
    due: Option<Duration>,
    held_since: Option<u64>,
    families: BTreeMap<Text, Gathered>,
    /// When and where the newest of it was taken.
    taken: Option<Taken>,
}

/// What came of one family in this interval.
struct Gathered {
    help: Text,
    kind: MetricKind,
    series: HashMap<Labels, Values>,
}

struct Values {
    value: f64,
    count: u64,
    /// A histogram or a summary.
    whole: Option<SampleValue>,
}

impl Aggregate {
    fn new(config: &Config) -> Self {
        Self {
            interval: config.interval.0,
            method: config.method,
            by: config.by.clone(),
            now: Duration::ZERO,
            due: None,
            held_since: None,
            families: BTreeMap::new(),
            taken: None,
        }
    }

    fn take(&mut self, family: &Family) {
        let gathered = self.families.entry(family.name.clone()).or_insert_with(|| Gathered {
            help: family.help.clone(),
            kind: family.kind,
            series: HashMap::new(),
        });
        for sample in &family.samples {
            let kept = |(name, _): &&(Text, Text)| {
                self.by.as_ref().is_none_or(|by| by.iter().any(|wanted| **wanted == **name))
            };
            let labels: Labels = sample.labels.iter().filter(kept).cloned().collect();
            let fresh = || Values { value: 0.0, count: 0, whole: None };
            let values = gathered.series.entry(labels).or_insert_with(fresh);
            match &sample.value {
                SampleValue::Number(number) => values.add(self.method, *number),
                whole => values.whole = Some(whole.clone()),
            }
        }
    }

    fn give_on(&mut self, out: &mut Outputs) {
        self.due = None;
        self.held_since = None;
        let method = self.method;
        let family = |(name, gathered): (Text, Gathered)| {
            let kind = match (method, gathered.kind) {
                // What is made of totals is none.
                (Method::Last, kind) => kind,
                (_, MetricKind::Counter | MetricKind::Untyped) => MetricKind::Gauge,
                (_, kind) => kind,
            };
            let mut family = Family::new(name, kind, gathered.help);
            let sample = |(labels, values): (Labels, Values)| Sample {
                labels,
                value: values.total(method),
                timestamp_ms: None,
            };
            family.samples = gathered.series.into_iter().map(sample).collect();
            family.samples.sort_by(|a, b| a.labels.cmp(&b.labels));
            family
        };
        let families = std::mem::take(&mut self.families).into_iter().map(family).collect();
        let taken = self.taken.take();
        out.emit(Batch::Metrics(MetricBatch { families: Arc::new(families), taken }));
    }
}

impl Values {
    fn add(&mut self, method: Method, number: f64) {
        let first = self.count == 0;
        self.count += 1;
        self.value = match method {
            Method::Last => number,
            Method::Sum | Method::Mean => self.value + number,
            Method::Min if !first => self.value.min(number),
            Method::Max if !first => self.value.max(number),
            Method::Min | Method::Max => number,
            Method::Count => 0.0,
        };
    }

    fn total(self, method: Method) -> SampleValue {
        #[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
        let count = self.count as f64;
        self.whole.unwrap_or(SampleValue::Number(match method {
            Method::Mean => self.value / count,
            Method::Count => count,
            _ => self.value,
        }))
    }
}

impl Transform for Aggregate {
    fn transform(&mut self, batch: Batch, out: &mut Outputs) -> Result<(), Fault> {
        let Batch::Metrics(metrics) = batch else { return Ok(()) };
        metrics.families.iter().for_each(|family| self.take(family));
        self.taken = metrics.taken;
        self.held_since.get_or_insert(out.number());
        self.due.get_or_insert(self.now + self.interval);
        Ok(())
    }

    fn memory(&mut self) -> Option<&mut dyn Remember> {
        Some(self)
    }
}

impl Remember for Aggregate {
    fn tick(&mut self, now: Duration, out: &mut Outputs) -> Result<(), Fault> {
        self.now = now;
        if self.due.is_some_and(|due| due <= now) {
            self.give_on(out);
        }
        Ok(())
    }

    fn due(&self) -> Option<Duration> {
        self.due
    }

    fn flush(&mut self, out: &mut Outputs) -> Result<(), Fault> {
        self.give_on(out);
        Ok(())
    }

    fn held_since(&self) -> Option<u64> {
        self.held_since
    }

    fn held_bytes(&self) -> usize {
        self.families.values().map(|family| family.series.len() * 200).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out of one interval with these values of a counter, by its label `cpu`.
    fn aggregated(yaml: &str, polls: &[&[(&'static str, f64)]]) -> Vec<Family> {
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        let mut aggregate = Aggregate::new(&config);
        let mut out = Outputs::of(7);
        for (poll, at) in polls.iter().zip(0..) {
            aggregate.tick(Duration::from_secs(at), &mut out).unwrap();
            let mut family = Family::new("x_total", MetricKind::Counter, "help");
            for (cpu, value) in *poll {
                let labels = vec![("cpu".into(), (*cpu).into()), ("mode".into(), "idle".into())];
                family.push(labels, *value);
            }
            let batch = MetricBatch::new(vec![family]);
            aggregate.transform(Batch::Metrics(batch), &mut out).unwrap();
        }
        assert!(out.take().0.is_empty() && aggregate.held_since() == Some(7));
        assert_eq!(aggregate.due(), Some(Duration::from_secs(60)));
        aggregate.tick(Duration::from_secs(60), &mut out).unwrap();
        assert_eq!((aggregate.due(), aggregate.held_since()), (None, None));
        let (_, Batch::Metrics(metrics)) = out.take().0.remove(0) else { panic!("no metrics") };
        Arc::unwrap_or_clone(metrics.families)
    }

    #[test]
    fn every_method_does_what_it_says() {
        let polls: &[&[(&str, f64)]] = &[&[("0", 4.0), ("1", 7.0)], &[("0", 1.0)], &[("0", 1.0)]];
        let expected = [
            ("last", 1.0, MetricKind::Counter),
            ("sum", 6.0, MetricKind::Gauge),
            ("mean", 2.0, MetricKind::Gauge),
            ("min", 1.0, MetricKind::Gauge),
            ("max", 4.0, MetricKind::Gauge),
            ("count", 3.0, MetricKind::Gauge),
        ];
        for (method, value, kind) in expected {
            let families = aggregated(&format!("method: {method}"), polls);
            assert_eq!(families[0].kind, kind, "{method}");
            assert_eq!(families[0].samples.len(), 2);
            assert_eq!(families[0].samples[0].value, SampleValue::Number(value), "{method}");
        }
    }

    #[test]
    fn labels_that_are_not_asked_for_are_summed_over() {
        let families = aggregated("{method: sum, by: [mode]}", &[&[("0", 4.0), ("1", 7.0)]]);
        let [sample] = families[0].samples.as_slice() else { panic!("{families:?}") };
        assert_eq!(sample.labels, [("mode".into(), "idle".into())].into());
        assert_eq!(sample.value, SampleValue::Number(11.0));
    }
}
