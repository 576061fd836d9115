//! Runs collectors, times them, and keeps the trouble of one from the others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::collector::{CollectError, Collector};
use super::options::Options;
use super::{COLLECTORS, Entry};
use crate::event::fault::nearest;
use crate::event::metric::{Family, Labels, MetricKind};
use crate::host::device_news::DeviceNews;
use crate::host::roots::Roots;

/// How long a collector may keep those behind it waiting before they get a thread of their own.
pub(super) const PATIENCE: Duration = Duration::from_millis(200);

/// The chosen collectors of one host. Each keeps its files open between rounds. Clones are the same
/// ones.
///
/// A round is begun, worked on by one thread or more, and gathered. A collector that hangs then is
/// left behind with its thread; it is asked again once it has come back.
#[derive(Clone)]
pub struct Collectors(Arc<Shared>);

struct Shared {
    roots: Roots,
    options: Options,
    state: Mutex<State>,
}

struct State {
    members: Vec<Member>,
    /// Nothing is heard of a host that is not this one.
    news: Option<DeviceNews>,
    /// Goes up when a round begins and when it ends, so that who is late knows.
    round: u64,
    /// What was found in this round.
    families: Vec<Family>,
    /// When a collector was taken up last.
    taken: Instant,
}

struct Member {
    entry: Entry,
    /// With the thread that runs it, while it runs.
    collector: Option<Box<dyn Collector>>,
    /// What its time and success are told with.
    labels: Labels,
    turn: Turn,
    /// Whether it was content when it gave nothing last, if it did.
    gave_nothing: Option<bool>,
    /// What it last complained of, so that a lasting trouble is logged once.
    complaint: Option<String>,
}

/// What becomes of a collector in a round.
#[derive(Clone, Copy)]
enum Turn {
    /// It was not asked for.
    Out,
    Waits,
    Runs(Instant),
    /// It has not come back from an earlier round, where it began then.
    Missed(Instant),
    Done {
        time: Duration,
        has_data: bool,
    },
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
                let known = COLLECTORS.iter().map(|entry| entry.name).chain(["default"]);
                let nearest = nearest(name, known);
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
            collector: Some((entry.make)(roots, options)),
            labels: [("collector".into(), entry.name.into())].into(),
            turn: Turn::Out,
            gave_nothing: None,
            complaint: None,
        };
        let state = State {
            members: entries.into_iter().map(member).collect(),
            news: (*roots == Roots::live()).then(DeviceNews::default),
            round: 0,
            families: Vec::new(),
            taken: Instant::now(),
        };
        let (roots, options) = (roots.clone(), options.clone());
        Self(Arc::new(Shared { roots, options, state: Mutex::new(state) }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names of the collectors in here, sorted.
    pub fn names(&self) -> Vec<&'static str> {
        self.state().members.iter().map(|member| member.entry.name).collect()
    }

    /// Runs those whose name `wanted` holds for on this thread, however long it takes.
    pub fn collect(&mut self, wanted: impl Fn(&str) -> bool) -> Vec<Family> {
        self.begin(wanted);
        self.work();
        self.gather()
    }

    /// Begins a round of those whose name `wanted` holds for.
    pub(super) fn begin(&self, wanted: impl Fn(&str) -> bool) {
        let mut state = self.state();
        state.round += 1;
        state.taken = Instant::now();
        let is_quiet = state.news.as_mut().is_some_and(DeviceNews::is_quiet);
        for member in &mut state.members {
            // Also of who is not wanted now: the news are told once.
            member.gave_nothing = member.gave_nothing.filter(|_| is_quiet);
            member.turn = match (member.turn, member.gave_nothing) {
                _ if !wanted(member.entry.name) => Turn::Out,
                (Turn::Runs(since) | Turn::Missed(since), _) if member.collector.is_none() => {
                    Turn::Missed(since)
                }
                (_, Some(has_data)) if member.entry.needs_device => {
                    Turn::Done { time: Duration::ZERO, has_data }
                }
                _ => Turn::Waits,
            };
        }
    }

    /// Runs collectors until none waits any more.
    pub(super) fn work(&self) {
        let mut found = Vec::new();
        loop {
            let begun = Instant::now();
            let mut state = self.state();
            let is_next = |member: &Member| matches!(member.turn, Turn::Waits);
            let Some(at) = state.members.iter().position(is_next) else { return };
            let round = state.round;
            state.taken = begun;
            let member = &mut state.members[at];
            member.turn = Turn::Runs(begun);
            let (entry, collector) = (member.entry, member.collector.take());
            drop(state);
            let Some(mut collector) = collector else { continue };
            let outcome = self.run(entry, &mut collector, &mut found);
            let is_empty = found.iter().all(|family| family.samples.is_empty());
            let gave_nothing = match outcome {
                Ok(()) if is_empty => Some(true),
                Err(CollectError::NoData) => Some(false),
                _ => None,
            };
            let mut state = self.state();
            let in_time = state.round == round;
            if in_time {
                state.families.append(&mut found);
            }
            found.clear();
            let member = &mut state.members[at];
            member.collector = Some(collector);
            member.gave_nothing = gave_nothing.filter(|_| in_time);
            if in_time {
                member.turn = Turn::Done { time: begun.elapsed(), has_data: outcome.is_ok() };
                member.remember(outcome.err());
            }
        }
    }

    /// Runs one collector. What it gave before an error or a panic is taken back; after a panic it
    /// is made anew, since nobody knows what state it was left in.
    fn run(
        &self,
        entry: Entry,
        collector: &mut Box<dyn Collector>,
        found: &mut Vec<Family>,
    ) -> Result<(), CollectError> {
        let outcome = catch_unwind(AssertUnwindSafe(|| collector.collect(found)));
        let outcome = outcome.unwrap_or_else(|_| {
            *collector = (entry.make)(&self.0.roots, &self.0.options);
            Err(CollectError::Crashed)
        });
        if outcome.is_err() {
            found.clear();
        }
        outcome
    }

    /// Whether a collector keeps others waiting that could run on another thread.
    pub(super) fn is_held_up(&self) -> bool {
        let state = self.state();
        let waits = state.members.iter().any(|member| matches!(member.turn, Turn::Waits));
        waits && state.taken.elapsed() >= PATIENCE
    }

    /// Ends the round. The families are sorted by name, the samples of each by their labels;
    /// families without a sample are left out. Of collectors that have not come back, it is told
    /// that they have nothing to give.
    pub(super) fn gather(&self) -> Vec<Family> {
        let mut state = self.state();
        state.round += 1;
        let mut families = std::mem::take(&mut state.families);
        state.families = Vec::with_capacity(families.len() + 2);
        let room = state.members.len();
        let gauge = |name, help| Family::new(name, MetricKind::Gauge, help).with_room(room);
        let mut duration =
            gauge("node_scrape_collector_duration_seconds", "Seconds that a collector took.");
        let mut success = gauge(
            "node_scrape_collector_success",
            "Whether a collector had something to give: 1 yes, 0 no.",
        );
        for member in &mut state.members {
            let (time, has_data) = match member.turn {
                Turn::Out => continue,
                Turn::Done { time, has_data } => (time, has_data),
                Turn::Waits => (Duration::ZERO, false),
                Turn::Runs(since) | Turn::Missed(since) => (since.elapsed(), false),
            };
            if matches!(member.turn, Turn::Runs(_) | Turn::Missed(_)) {
                member.remember(Some(CollectError::Late));
            }
            duration.push(member.labels.clone(), time.as_secs_f64());
            success.push(member.labels.clone(), if has_data { 1.0 } else { 0.0 });
        }
        drop(state);
        families.extend([duration, success]);
        families.retain(|family| !family.samples.is_empty());
        families.sort_by(|a, b| a.name.cmp(&b.name));
        for family in &mut families {
            if !family.samples.is_sorted_by(|a, b| a.labels <= b.labels) {
                family.samples.sort_by(|a, b| a.labels.cmp(&b.labels));
            }
        }
        families
    }
}

impl Member {
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
    use std::sync::Condvar;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Good;
    struct Bad;
    struct Worst;

    impl Collector for Good {
        fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
            let mut family = Family::new("node_good", MetricKind::Gauge, "");
            for name in ["b", "a"] {
                family.push([("name".into(), name.into())], 1.0);
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
        let entry = |name, make| Entry { name, is_default: true, needs_device: false, make };
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

    /// Has nothing, and counts how often it was asked.
    struct Nothing(&'static AtomicUsize);

    impl Collector for Nothing {
        fn collect(&mut self, _: &mut Vec<Family>) -> Result<(), CollectError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Err(CollectError::NoData)
        }
    }

    #[test]
    fn who_lacks_a_device_is_asked_again_only_on_news_and_told_of_as_before() {
        static ASKED: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];
        let entry = |name, needs_device, make| Entry { name, is_default: true, needs_device, make };
        let entries: Vec<Entry> = vec![
            entry("device", true, |_, _| Box::new(Nothing(&ASKED[0]))),
            entry("file", false, |_, _| Box::new(Nothing(&ASKED[1]))),
        ];
        let collectors = Collectors::with_entries(&Roots::live(), &Options::default(), entries);
        // Who was asked in a round.
        let round = || -> [usize; 2] {
            let asked = || [0, 1].map(|at: usize| ASKED[at].load(Ordering::Relaxed));
            let before = asked();
            let families = collectors.clone().collect(|_| true);
            let told: Vec<_> = families[1].samples.iter().map(|sample| &sample.value).collect();
            assert_eq!(told, [&SampleValue::Number(0.0); 2]);
            let after = asked();
            [after[0] - before[0], after[1] - before[1]]
        };
        assert_eq!([round(), round()], [[1, 1]; 2], "the host has not settled yet");

        let listen = || collectors.state().news = Some(DeviceNews::settling(Duration::ZERO));
        listen();
        assert_eq!(round(), [1, 1], "nobody has looked since");
        let mut alone = DeviceNews::settling(Duration::ZERO);
        let deadline = Instant::now() + Duration::from_secs(2);
        while !alone.is_quiet() {
            if Instant::now() > deadline {
                return println!("skipped: the kernel's news are not heard here, or never end");
            }
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while round() != [0, 1] {
            assert!(Instant::now() < deadline, "it is asked without need");
        }
        listen();
        assert_eq!(round(), [1, 1], "there may have been news");
    }

    /// Hangs until the gate is open.
    struct Hangs;

    static GATE: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

    impl Collector for Hangs {
        fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
            let is_shut = |open: &mut bool| !*open;
            drop(GATE.1.wait_while(GATE.0.lock().unwrap(), is_shut).unwrap());
            out.push(Family::single("node_hangs", MetricKind::Gauge, "", 1.0));
            Ok(())
        }
    }

    #[test]
    fn a_collector_that_hangs_costs_only_itself_and_is_asked_again_when_it_is_back() {
        let entry = |name, make| Entry { name, is_default: true, needs_device: false, make };
        let entries: Vec<Entry> =
            vec![entry("a", |_, _| Box::new(Hangs)), entry("b", |_, _| Box::new(Good))];
        let roots = Roots::below(Path::new("/x"));
        let collectors = Collectors::with_entries(&roots, &Options::default(), entries);
        let names = |families: &[Family]| -> Vec<String> {
            families.iter().map(|family| family.name.to_string()).collect()
        };
        let started = || {
            std::thread::spawn({
                let it = collectors.clone();
                move || it.work()
            })
        };

        collectors.begin(|_| true);
        let stuck = started();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !collectors.is_held_up() {
            assert!(Instant::now() < deadline, "nobody notices");
            std::thread::yield_now();
        }
        started().join().unwrap();
        let first = collectors.gather();
        collectors.begin(|_| true);
        started().join().unwrap();
        let second = collectors.gather();
        for families in [&first, &second] {
            assert_eq!(names(families)[0], "node_good");
            let told: Vec<_> = families[2].samples.iter().map(|s| &s.value).collect();
            assert_eq!(told, [&SampleValue::Number(0.0), &SampleValue::Number(1.0)]);
        }

        *GATE.0.lock().unwrap() = true;
        GATE.1.notify_all();
        stuck.join().unwrap();
        assert_eq!(names(&collectors.clone().collect(|_| true))[..2], ["node_good", "node_hangs"]);
    }

    #[test]
    fn a_name_may_be_given_twice_and_a_wrong_one_is_told_with_the_right_one() {
        let roots = Roots::below(Path::new("/x"));
        let names = |names: &[&str]| {
            let collectors = Collectors::new(&roots, &Options::default(), names.iter().copied())?;
            Ok(collectors.names())
        };
        assert_eq!(names(&["stat", "cpu", "stat"]), Ok(vec!["cpu", "stat"]));
        assert_eq!(names(&["default", "cpu"]).map(|names| names.len()), {
            Ok(COLLECTORS.iter().filter(|entry| entry.is_default).count())
        });
        let wrong = UnknownCollector { name: "loadvg".into(), nearest: Some("loadavg") };
        assert_eq!(names(&["loadvg"]), Err(wrong));
    }
}
