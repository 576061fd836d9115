//! Asks the sources for a scrape and brings their answers to the scrape that waits for them.

use crate::event::metric::{Family, MetricBatch, SampleValue, Text};
use crate::topology::demand::{DemandPort, Wanted};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// How long a family that was pushed is shown. Prometheus itself forgets after as long.
const PUSHED_LASTS: Duration = Duration::from_secs(300);

/// The collectors' word on which of them ran, in the label `collector`.
const RAN: &str = "node_scrape_collector_success";

/// What the sources have said, and who waits for more.
#[derive(Debug)]
pub(super) struct Answers {
    demand: Arc<DemandPort>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The scrapes under way, by their demand.
    waiting: HashMap<u64, mpsc::UnboundedSender<MetricBatch>>,
    /// Families that were in an answer: who pushes them too can be asked.
    pulled: HashSet<Text>,
    /// Those of the last answer, in its order, which are mostly those of the next one too.
    last_pulled: Vec<Text>,
    /// The other families, by name, and when they came.
    pushed: HashMap<Text, (Family, Instant)>,
    closed: bool,
}

/// What is there for one scrape.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// The families, in no order.
    pub(super) families: Vec<Family>,
    /// Sources that did not answer in time.
    pub(super) unanswered: usize,
}

impl Answers {
    pub(super) fn new(demand: Arc<DemandPort>) -> Self {
        Self { demand, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the sources say until `deadline`, asked for the collectors wanted; where none is named,
    /// also what was pushed by those that cannot be asked.
    pub(super) async fn gather(&self, deadline: Instant, wanted: &Wanted) -> Gathered {
        let (mut incoming, asked, _waiting) = self.ask(deadline, wanted);
        let mut gathered = Gathered { families: Vec::new(), unanswered: asked };
        while gathered.unanswered > 0 {
            let Ok(Some(batch)) = timeout_at(deadline, incoming.recv()).await else { break };
            gathered.families.extend(Arc::unwrap_or_clone(batch.families));
            gathered.unanswered -= 1;
        }
        let mut state = self.state();
        state.remember_pulled(&gathered.families);
        if wanted.only.is_empty() {
            state.pushed.retain(|_, (_, came)| came.elapsed() < PUSHED_LASTS);
            gathered.families.extend(state.pushed.values().map(|(family, _)| family.clone()));
        }
        gathered
    }

    fn ask(
        &self,
        deadline: Instant,
        wanted: &Wanted,
    ) -> (mpsc::UnboundedReceiver<MetricBatch>, usize, Waiting<'_>) {
        let (sender, incoming) = mpsc::unbounded_channel();
        // Held while asking, so that no answer comes before anybody waits for it.
        let mut state = self.state();
        let (id, asked) = if state.closed { (0, 0) } else { self.demand.ask(deadline, wanted) };
        state.waiting.insert(id, sender);
        (incoming, asked, Waiting { answers: self, id })
    }

    /// Takes a batch: an answer, or what was pushed. An answer that nobody waits for any more is
    /// forgotten.
    pub(super) fn take(&self, batch: MetricBatch, demand: Option<u64>) {
        let mut state = self.state();
        match demand {
            Some(id) => {
                // The scrape may end at this very moment.
                state.waiting.get(&id).map(|scrape| scrape.send(batch).ok());
            }
            None => state.remember_pushed(&batch.families),
        }
    }

    /// Says that nothing more will come: scrapes under way go on with what they have.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.waiting.clear();
    }
}

impl State {
    fn remember_pulled(&mut self, families: &[Family]) {
        let are_same = families.len() == self.last_pulled.len()
            && families.iter().zip(&self.last_pulled).all(|(family, last)| family.name == *last);
        if are_same {
            return;
        }
        self.last_pulled.clear();
        self.last_pulled.extend(families.iter().map(|family| family.name.clone()));
        for family in families {
            if !self.pulled.contains(&family.name) {
                self.pulled.insert(family.name.clone());
                self.pushed.remove(&family.name);
            }
        }
    }

    fn remember_pushed(&mut self, families: &[Family]) {
        let now = Instant::now();
        for family in families.iter().filter(|family| !self.pulled.contains(&family.name)) {
            self.pushed.insert(family.name.clone(), (family.clone(), now));
        }
    }
}

/// Stops waiting when a scrape ends, also one whose client has hung up.
struct Waiting<'a> {
    answers: &'a Answers,
    id: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.answers.state().waiting.remove(&self.id);
    }
}

impl Gathered {
    /// The first of the collectors asked for that no source has; `None` where nobody can say, since
    /// an answer is missing or a transform has left out what the collectors say of themselves.
    pub(super) fn unknown<'o>(&self, only: &'o [String]) -> Option<&'o str> {
        let mut ran = self.families.iter().filter(|family| family.name == RAN).peekable();
        if self.unanswered > 0 || (ran.peek().is_none() && !self.families.is_empty()) {
            return None;
        }
        let ran: HashSet<&str> = ran
            .flat_map(|family| &family.samples)
            .filter(|sample| matches!(sample.value, SampleValue::Number(_)))
            .flat_map(|sample| &sample.labels)
            .filter(|(label, _)| label == "collector")
            .map(|(_, collector)| collector.as_ref())
            .collect();
        only.iter().map(String::as_str).find(|name| !ran.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ack::SinkId;
    use crate::event::metric::MetricKind;

    fn family(name: &'static str, value: f64) -> Family {
        Family::single(name, MetricKind::Gauge, "", value)
    }

    fn batch(families: Vec<Family>) -> MetricBatch {
        MetricBatch::new(families)
    }

    fn nobody_to_ask() -> Answers {
        Answers::new(Arc::new(DemandPort::new(SinkId::default())))
    }

    async fn names(answers: &Answers, only: &[String]) -> Vec<String> {
        let wanted = Wanted { only: only.to_vec(), ..Wanted::default() };
        let gathered = answers.gather(Instant::now() + Duration::from_secs(1), &wanted).await;
        let mut names: Vec<_> = gathered.families.iter().map(|f| f.name.to_string()).collect();
        names.sort();
        names
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_pushed_is_shown_for_five_minutes() {
        let answers = nobody_to_ask();
        answers.take(batch(vec![family("a", 1.0), family("b", 1.0)]), None);
        tokio::time::advance(Duration::from_secs(200)).await;
        answers.take(batch(vec![family("b", 2.0)]), None);
        assert_eq!(names(&answers, &[]).await, ["a", "b"]);
        assert!(names(&answers, &["cpu".into()]).await.is_empty(), "others were asked for");
        tokio::time::advance(Duration::from_secs(200)).await;
        assert_eq!(names(&answers, &[]).await, ["b"]);
    }

    #[tokio::test]
    async fn who_can_be_asked_is_not_believed_when_it_pushes() {
        let answers = nobody_to_ask();
        answers.take(batch(vec![family("a", 1.0)]), None);
        answers.state().remember_pulled(&[family("a", 2.0)]);
        answers.take(batch(vec![family("a", 3.0), family("b", 3.0)]), None);
        assert_eq!(names(&answers, &[]).await, ["b"]);
        assert!(answers.state().waiting.is_empty());
    }

    #[test]
    fn a_collector_is_unknown_only_when_all_have_answered_and_none_ran_it() {
        let mut ran = Family::new(RAN, MetricKind::Gauge, "");
        ran.push(vec![("collector".into(), "cpu".into())], 1.0);
        let only = ["cpu".to_owned(), "cpus".to_owned()];
        let mut gathered = Gathered { families: vec![ran], unanswered: 0 };
        assert_eq!(gathered.unknown(&only), Some("cpus"));
        assert_eq!(gathered.unknown(&only[..1]), None);
        gathered.unanswered = 1;
        assert_eq!(gathered.unknown(&only), None, "the missing source may have it");
        assert_eq!(Gathered::default().unknown(&only), Some("cpu"));
        let filtered = Gathered { families: vec![family("node_load1", 1.0)], unanswered: 0 };
        assert_eq!(filtered.unknown(&only), None);
    }
}
