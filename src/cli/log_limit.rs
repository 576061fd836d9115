//! Says once what would be said again and again, and then how often that was: a disk that is full
//! must not fill another one with the same line.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// What is the same and comes again within this time is held back. An interval of a minute is within
/// it; what was mended and breaks anew mostly is not.
const QUIET: Duration = Duration::from_secs(120);

/// How often it came is told after this time, and after twice as long each further time, up to a
/// limit.
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(600);

/// So many different warnings and errors are known at a time. What comes beyond that is said each
/// time: nothing is held back that nobody has seen.
const MOST_KNOWN: usize = 1024;

/// One that is longer is said each time.
const LONGEST_BYTES: usize = 4096;

/// What sums up says so in its target, and is not looked at again.
const SUMMARY: &str = "driftless::repeated";

/// What was said lately. Clones share it.
#[derive(Clone, Default)]
pub(super) struct LogLimit(Arc<Mutex<Known>>);

/// By the place that says it, the component, and the rest of the words.
type Known = HashMap<(Identifier, Option<String>, String), Said>;

struct Said {
    /// When it was last told of.
    since: Instant,
    /// When it last came.
    last: Instant,
    /// When it is told of next, if it comes again.
    window: Duration,
    again: u64,
    level: Level,
}

/// What is to be said about what was said again.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    level: Level,
    component: Option<String>,
    text: String,
    again: u64,
    seconds: u64,
}

impl LogLimit {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What asks before anything is said.
    pub(super) fn layer(&self) -> Limiter {
        Limiter(self.clone())
    }

    /// Sums up what was said again, where its time is over.
    pub(super) fn sum_up(&self) {
        let summaries = due(&mut self.known(), Instant::now(), End::NotYet);
        summaries.iter().for_each(Summary::say);
    }

    /// Sums up all of it, at the end.
    pub(super) fn sum_up_all(&self) {
        let summaries = due(&mut self.known(), Instant::now(), End::Now);
        summaries.iter().for_each(Summary::say);
    }

    /// Whether this may be said now.
    fn passes(&self, event: &Event<'_>, now: Instant) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::WARN || metadata.target() == SUMMARY {
            return true;
        }
        let mut words = Words::default();
        event.record(&mut words);
        if words.text.len() > LONGEST_BYTES {
            return true;
        }
        let mut known = self.known();
        let key = (metadata.callsite(), words.component, words.text);
        if let Some(said) = known.get_mut(&key) {
            let is_news = now.saturating_duration_since(said.last) >= QUIET;
            said.last = now;
            if is_news {
                said.window = FIRST;
            } else {
                said.again += 1;
            }
            return is_news;
        }
        if known.len() < MOST_KNOWN {
            let level = *metadata.level();
            let said = Said { since: now, last: now, window: FIRST, again: 0, level };
            known.insert(key, said);
        }
        true
    }
}

/// Whether nothing more will be said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    NotYet,
    Now,
}

/// Takes out what is to be told now of what came again, and forgets what came no more.
fn due(known: &mut Known, now: Instant, end: End) -> Vec<Summary> {
    let mut summaries = Vec::new();
    known.retain(|(_, component, text), said| {
        let lasts = now.saturating_duration_since(said.since);
        if said.again == 0 {
            return now.saturating_duration_since(said.last) < QUIET;
        }
        if lasts >= said.window || end == End::Now {
            let (component, text) = (component.clone(), text.clone());
            let (again, seconds) = (std::mem::take(&mut said.again), lasts.as_secs());
            summaries.push(Summary { level: said.level, component, text, again, seconds });
            said.since = now;
            said.window = (said.window * 2).min(LONGEST);
        }
        true
    });
    summaries
}

impl Summary {
    fn say(&self) {
        let Self { component, text, again, seconds, .. } = self;
        let component = component.as_deref();
        let times = if *again == 1 { "once".to_owned() } else { format!("{again} times") };
        // A level is a part of the place that says it.
        if self.level == Level::ERROR {
            tracing::error!(target: SUMMARY, component, "repeated {times} in {seconds} s: {text}");
        } else {
            tracing::warn!(target: SUMMARY, component, "repeated {times} in {seconds} s: {text}");
        }
    }
}

pub(super) struct Limiter(LogLimit);

impl<S: Subscriber> Layer<S> for Limiter {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.0.passes(event, Instant::now())
    }
}

/// What was said, as far as it tells one event from another. Measured values (how long a pause is)
/// do not.
#[derive(Default)]
struct Words {
    text: String,
    component: Option<String>,
}

impl Words {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let gap = if self.text.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        match field.name() {
            "message" => write!(self.text, "{gap}{value}").ok(),
            name => write!(self.text, "{gap}{name}={value}").ok(),
        };
    }
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        // A summary names it as a field, as what it sums up did.
        match field.name() {
            "component" => self.component = Some(value.to_owned()),
            _ => self.add(field, format_args!("{value}")),
        }
    }

    fn record_f64(&mut self, _: &Field, _: f64) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::own_log::OwnLog;
    use tracing_subscriber::layer::SubscriberExt;

    /// What is heard of what `work` says.
    fn heard(limit: &LogLimit, work: impl FnOnce()) -> Vec<String> {
        let log = OwnLog::default();
        let reader = log.reader();
        let subscriber = tracing_subscriber::registry().with(log.layer()).with(limit.layer());
        tracing::subscriber::with_default(subscriber, work);
        reader.take().0.iter().map(|said| said.json.clone()).collect()
    }

    #[test]
    fn the_same_error_is_said_once_and_then_how_often_it_was() {
        let limit = LogLimit::default();
        let said = heard(&limit, || {
            for pause_seconds in [1.0, 2.0, 4.0] {
                let reason = "No space left on device";
                tracing::error!(component = "apply", reason, pause_seconds, "not applied");
            }
            limit.sum_up();
        });
        assert_eq!(said.len(), 1, "its time is not over: {said:?}");
        let said = heard(&limit, || limit.sum_up_all());
        assert_eq!(said.len(), 1, "{said:?}");
        let expected = "repeated 2 times in 0 s: not applied reason=No space";
        assert!(said[0].contains(expected) && said[0].contains("\"component\":\"apply\""));
        assert!(said[0].contains("\"level\":\"error\""), "{said:?}");
    }

    #[test]
    fn another_reason_another_number_and_another_place_are_another_error() {
        let limit = LogLimit::default();
        let said = heard(&limit, || {
            for (reason, status) in [("a", 500), ("b", 500), ("a", 503), ("a", 500)] {
                tracing::warn!(reason, status, "refused");
            }
            tracing::warn!(reason = "a", status = 500, "refused");
            tracing::info!("told each time");
            tracing::info!("told each time");
        });
        assert_eq!(said.len(), 6, "{said:?}");
    }

    #[test]
    fn what_comes_again_and_again_is_told_of_ever_more_seldom_and_what_breaks_anew_at_once() {
        let limit = LogLimit::default();
        let says = || heard(&limit, || tracing::warn!("again")).len();
        assert_eq!((says(), says()), (1, 0));
        let mut now = Instant::now();
        let mut told = Vec::new();
        for second in 0..1200_u64 {
            now += Duration::from_secs(1);
            limit.known().values_mut().for_each(|said| (said.last, said.again) = (now, 1));
            if !due(&mut limit.known(), now, End::NotYet).is_empty() {
                told.push(second + 1);
            }
        }
        assert_eq!(told, [10, 30, 70, 150, 310, 630]);
        limit.known().values_mut().for_each(|said| said.last = Instant::now() - QUIET);
        assert_eq!((says(), says()), (1, 0), "it was mended for a while");
        due(&mut limit.known(), now, End::Now);
        due(&mut limit.known(), now + QUIET, End::NotYet);
        assert!(limit.known().is_empty(), "and is forgotten");
    }

    #[test]
    fn a_flood_of_different_errors_costs_bounded_memory_and_all_are_said() {
        let limit = LogLimit::default();
        let now = Instant::now();
        let subscriber = tracing_subscriber::registry().with(limit.layer());
        tracing::subscriber::with_default(subscriber, || {
            for number in 0..MOST_KNOWN * 2 {
                tracing::error!(number, "another one");
            }
        });
        assert_eq!(limit.known().len(), MOST_KNOWN);
        assert!(due(&mut limit.known(), now + 2 * QUIET, End::NotYet).is_empty());
        assert!(limit.known().is_empty());
    }
}
