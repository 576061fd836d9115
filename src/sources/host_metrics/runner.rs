//! Runs collectors, times them, and keeps the trouble of one from the others.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::collector::{CollectError, Collector};
use super::options::Options;
use super::{COLLECTORS, Entry};
use crate::event::fault::nearest;
use crate::event::metric::{Family, MetricKind, Text};
use crate::host::roots::Roots;

/// The chosen collectors of one host. Each keeps its files open between rounds.
pub struct Collectors {
    roots: Roots,
    options: Options,
    members: Vec<Member>,
}

struct Member {
    entry: Entry,
    collector: Box<dyn Collector>,
    /// What it last complained of, so that a lasting trouble is logged once.
    complaint: Option<String>,
}

/// A name that is no collector's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no collector `{name}`")]
pub struct UnknownCollector {
    /// The name.
    pub name: String,
    /// The collector that is probably meant.
    pub nearest: Option<&'static str>,
}

impl Collectors {
    /// The collectors named, each once, with their `options`. `default` stands for all that
    /// `node_exporter` runs unasked.
    ///
    /// - Errors: the first name that is neither `default` nor a collector's.
    pub fn new<'a>(
        roots: &Roots,
        options: &Options,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, UnknownCollector> {
        let mut chosen: Vec<Entry> = Vec::new();
        for name in names {
            let before = chosen.len();
            let wanted = COLLECTORS.iter().filter(|entry| {
                if name == "default" { entry.is_default } else { entry.name == name }
            });
            chosen.extend(wanted);
            if chosen.len() == before {
                let nearest = nearest(name, COLLECTORS.iter().map(|entry| entry.name));
                return Err(UnknownCollector { name: name.into(), nearest });
            }
        }
        chosen.sort_by_key(|entry| entry.name);
        chosen.dedup_by_key(|entry| entry.name);
        Ok(Self::with_entries(roots, options, chosen))
    }

    fn with_entries(roots: &Roots, options: &Options, entries: Vec<Entry>) -> Self {
        let member = |entry: Entry| Member {
            entry,
            collector: (entry.make)(roots, options),
            complaint: None,
        };
        Self {
            roots: roots.clone(),
            options: options.clone(),
            members: entries.into_iter().map(member).collect(),
        }
    }

    /// The names of the collectors in here, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.members.iter().map(|member| member.entry.name)
    }

    /// Runs those whose name `wanted` holds for. The families are sorted by name, the samples of
    /// each by their labels; families without a sample are left out.
    pub fn collect(&mut self, wanted: impl Fn(&str) -> bool) -> Vec<Family> {
        let gauge = |name, help| Family::new(name, MetricKind::Gauge, help);
        let mut duration =
            gauge("node_scrape_collector_duration_seconds", "Seconds that a collector took.");
        let mut success = gauge(
            "node_scrape_collector_success",
            "Whether a collector had something to give: 1 yes, 0 no.",
        );
        let mut families = Vec::with_capacity(256);
        for member in self.members.iter_mut().filter(|member| wanted(member.entry.name)) {
            let start = Instant::now();
            let outcome = member.run(&self.roots, &self.options, &mut families);
            let label: Vec<(Text, Text)> =
                vec![("collector".into(), Cow::Borrowed(member.entry.name))];
            duration.push(label.clone(), start.elapsed().as_secs_f64());
            success.push(label, if outcome.is_ok() { 1.0 } else { 0.0 });
            member.remember(outcome.err());
        }
        families.extend([duration, success]);
        families.retain(|family| !family.samples.is_empty());
        families.sort_by(|a, b| a.name.cmp(&b.name));
        for family in &mut families {
            family.samples.sort_by(|a, b| a.labels.cmp(&b.labels));
        }
        families
    }
}

impl Member {
    /// Runs the collector. What it gave before an error or a panic is taken back; after a panic it
    /// is made anew, since nobody knows what state it was left in.
    fn run(
        &mut self,
        roots: &Roots,
        options: &Options,
        families: &mut Vec<Family>,
    ) -> Result<(), CollectError> {
        let before = families.len();
        let collector = &mut self.collector;
        let outcome = catch_unwind(AssertUnwindSafe(|| collector.collect(families)));
        let outcome = outcome.unwrap_or_else(|_| {
            self.collector = (self.entry.make)(roots, options);
            Err(CollectError::Crashed)
        });
        if outcome.is_err() {
            families.truncate(before);
        }
        outcome
    }

    fn remember(&mut self, error: Option<CollectError>) {
        let complaint = error
            .filter(|error| !matches!(error, CollectError::NoData))
            .map(|error| error.to_string());
        if let Some(complaint) =
            complaint.as_ref().filter(|new| Some(*new) != self.complaint.as_ref())
        {
            tracing::warn!(
                collector = self.entry.name,
                complaint,
                "a collector has nothing to give"
            );
        }
        self.complaint = complaint;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::metric::SampleValue;
    use std::path::Path;

    struct Good;
    struct Bad;
    struct Worst;

    impl Collector for Good {
        fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
            let mut family = Family::new("node_good", MetricKind::Gauge, "");
            for name in ["b", "a"] {
                family.push(vec![("name".into(), name.into())], 1.0);
            }
            out.extend([family, Family::new("node_empty", MetricKind::Gauge, "")]);
            Ok(())
        }
    }

    impl Collector for Bad {
        fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
            out.push(Family::single("node_half", MetricKind::Gauge, "", 1.0));
            Err(CollectError::NoData)
        }
    }

    impl Collector for Worst {
        fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
            out.push(Family::single("node_half", MetricKind::Gauge, "", 1.0));
            panic!("on purpose");
        }
    }

    #[test]
    fn a_collector_that_fails_or_panics_costs_only_itself_time_and_again() {
        let entry = |name, make| Entry { name, is_default: true, make };
        let entries: Vec<Entry> = vec![
            entry("worst", |_, _| Box::new(Worst)),
            entry("good", |_, _| Box::new(Good)),
            entry("bad", |_, _| Box::new(Bad)),
        ];
        let mut collectors = {
            let roots = Roots::below(Path::new("/x"));
            Collectors::with_entries(&roots, &Options::default(), entries)
        };
        for _ in 0..2 {
            let families = collectors.collect(|_| true);
            let names: Vec<_> = families.iter().map(|family| family.name.as_ref()).collect();
            let scrape = "node_scrape_collector";
            let (duration, success) = (&names[1], &names[2]);
            assert_eq!((names.len(), names[0]), (3, "node_good"));
            assert_eq!(**duration, format!("{scrape}_duration_seconds"));
            assert_eq!(**success, format!("{scrape}_success"));
            let told: Vec<_> = families[2].samples.iter().map(|s| &s.value).collect();
            let [no, yes] = [0.0, 1.0].map(SampleValue::Number);
            assert_eq!(told, [&no, &yes, &no], "bad, good, worst");
            assert_eq!(families[0].samples[0].labels[0].1, "a");
        }
    }

    #[test]
    fn a_name_may_be_given_twice_and_a_wrong_one_is_told_with_the_right_one() {
        let roots = Roots::below(Path::new("/x"));
        let names = |names: &[&str]| {
            let collectors = Collectors::new(&roots, &Options::default(), names.iter().copied())?;
            Ok(collectors.names().collect::<Vec<_>>())
        };
        assert_eq!(names(&["stat", "cpu", "stat"]), Ok(vec!["cpu", "stat"]));
        assert_eq!(names(&["default", "cpu"]).map(|names| names.len()), {
            Ok(COLLECTORS.iter().filter(|entry| entry.is_default).count())
        });
        let wrong = UnknownCollector { name: "loadvg".into(), nearest: Some("loadavg") };
        assert_eq!(names(&["loadvg"]), Err(wrong));
    }
}
