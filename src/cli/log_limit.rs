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

/// What is the same within this time is said once.
const WINDOW: Duration = Duration::from_secs(30);

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

type Known = HashMap<(Identifier, String), Said>;

struct Said {
    since: Instant,
    again: u64,
    level: Level,
    component: Option<String>,
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
        let summaries = due(&mut self.known(), Instant::now(), WINDOW);
        summaries.iter().for_each(Summary::say);
    }

    /// Sums up all of it, at the end.
    pub(super) fn sum_up_all(&self) {
        let summaries = due(&mut self.known(), Instant::now(), Duration::ZERO);
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
        let key = (metadata.callsite(), words.text);
        if let Some(said) = known.get_mut(&key) {
            said.again += 1;
            return false;
        }
        if known.len() < MOST_KNOWN {
            let (level, component) = (*metadata.level(), words.component);
            known.insert(key, Said { since: now, again: 0, level, component });
        }
        true
    }
}

/// Takes out what is older than `window`. What was said again stays known, so that it goes on to be
/// summed up; what was not may be said anew.
fn due(known: &mut Known, now: Instant, window: Duration) -> Vec<Summary> {
    let mut summaries = Vec::new();
    known.retain(|(_, text), said| {
        let lasts = now.saturating_duration_since(said.since);
        if lasts < window {
            return true;
        }
        let again = std::mem::take(&mut said.again);
        said.since = now;
        if again > 0 {
            let (level, component) = (said.level, said.component.clone());
            let seconds = lasts.as_secs();
            summaries.push(Summary { level, component, text: text.clone(), again, seconds });
        }
        again > 0
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
        if field.name() == "component" {
            self.component = Some(value.to_owned());
        }
        self.add(field, format_args!("{value}"));
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
        let expected = "repeated 2 times in 0 s: not applied component=apply reason=No space";
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
    fn what_is_said_again_goes_on_to_be_summed_up_and_is_forgotten_once_it_is_not() {
        let limit = LogLimit::default();
        let say = || tracing::warn!("again");
        let (told, later) =
            (heard(&limit, || [(); 2].iter().for_each(|()| say())), Instant::now() + WINDOW);
        assert_eq!(told.len(), 1);
        let summaries = due(&mut limit.known(), later, WINDOW);
        assert_eq!((summaries.len(), summaries[0].again), (1, 1));
        assert!(heard(&limit, say).is_empty(), "it is still the same");
        assert_eq!(due(&mut limit.known(), later + WINDOW, WINDOW).len(), 1);
        assert!(due(&mut limit.known(), later + 2 * WINDOW, WINDOW).is_empty());
        assert_eq!(heard(&limit, say).len(), 1, "it is news again");
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
        assert!(due(&mut limit.known(), now + 2 * WINDOW, WINDOW).is_empty());
        assert!(limit.known().is_empty());
    }
}
