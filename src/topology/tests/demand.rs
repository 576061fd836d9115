//! Demand: a sink that is pulled asks, and only it gets the answer.

use crate::event::metric::{Family, MetricBatch, MetricKind};
use crate::event::{Batch, Kinds};
use crate::topology::component::{
    BuildContext, BuiltSink, Fault, SinkConfig, Source, SourceConfig, StreamSink,
};
use crate::topology::context::{SinkContext, SourceContext};
use crate::topology::demand::Wanted;
use crate::topology::edge::Input;
use crate::topology::graph::{Component, Graph};
use crate::topology::output::Output;
use crate::topology::run::Topology;
use crate::topology::testing::{Through, add, environment, transform, until};
use async_trait::async_trait;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// Answers each demand with one sample.
#[derive(Debug)]
struct Polled;

#[async_trait]
impl Source for Polled {
    async fn run(self: Box<Self>, out: Output, cx: SourceContext) -> Result<(), Fault> {
        loop {
            tokio::select! {
                () = cx.stop.requested() => return Ok(()),
                demand = cx.demands.next() => {
                    let up = Family::single("up", MetricKind::Gauge, "", 1.0);
                    let families = Arc::new(vec![up]);
                    out.answer(Batch::Metrics(MetricBatch::new(families)), &demand).await?;
                }
            }
        }
    }
}

impl SourceConfig for Polled {
    fn gives(&self) -> Kinds {
        Kinds::METRICS
    }

    fn answers_demand(&self) -> bool {
        true
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Source>, Fault> {
        Ok(Box::new(Self))
    }
}

/// How many it asked, and the samples and fitness of each answer.
type Answers = Arc<Mutex<(usize, Vec<(usize, bool)>)>>;

/// Asks once if told to, then notes all that comes.
#[derive(Debug)]
enum Puller {
    Asks(Answers),
    Listens(Answers),
}

#[async_trait]
impl StreamSink for Puller {
    async fn run(self: Box<Self>, input: Input, cx: SinkContext) -> Result<(), Fault> {
        let (answers, asked) = match *self {
            Self::Asks(answers) => {
                let (id, sources) =
                    cx.demand.ask(Instant::now() + Duration::from_secs(1), &Wanted::default());
                answers.lock().unwrap().0 = sources;
                (answers, Some(id))
            }
            Self::Listens(answers) => (answers, None),
        };
        while let Some(envelope) = input.next().await {
            let fits = asked.is_some() && envelope.demand == asked;
            answers.lock().unwrap().1.push((envelope.batch.len(), fits));
        }
        Ok(())
    }
}

impl SinkConfig for Puller {
    fn takes(&self) -> Kinds {
        Kinds::METRICS
    }

    fn build(&self, _: &BuildContext) -> Result<BuiltSink, Fault> {
        Ok(BuiltSink::Stream(Box::new(match self {
            Self::Asks(answers) => Self::Asks(Arc::clone(answers)),
            Self::Listens(answers) => Self::Listens(Arc::clone(answers)),
        })))
    }
}

/// Two polled sources, one through `filter`, read by one sink that asks and one that does not.
async fn scrape(filter: Through) -> (usize, Vec<(usize, bool)>) {
    let (asking, listening) = (Answers::default(), Answers::default());
    let mut graph = Graph::default();
    add(&mut graph, "direct", &[], "1", Component::Source(Arc::new(Polled)));
    add(&mut graph, "polled", &[], "1", Component::Source(Arc::new(Polled)));
    add(&mut graph, "filter", &["polled"], "1", transform(filter));
    let asks = Component::Sink(Arc::new(Puller::Asks(Arc::clone(&asking))));
    let listens = Component::Sink(Arc::new(Puller::Listens(Arc::clone(&listening))));
    add(&mut graph, "asks", &["direct", "filter"], "1", asks);
    add(&mut graph, "listens", &["direct", "filter"], "1", listens);
    let topology = Topology::start(&graph, environment()).unwrap();
    until("both answered", || asking.lock().unwrap().1.len() == 2).await;
    assert!(topology.stop(Duration::from_secs(1)).await);
    assert_eq!(*listening.lock().unwrap(), (0, Vec::new()), "it did not ask");
    let mut answers = asking.lock().unwrap().clone();
    answers.1.sort_unstable();
    answers
}

#[tokio::test(start_paused = true)]
async fn a_pulled_sink_asks_every_source_above_it_and_is_the_only_one_to_hear() {
    assert_eq!(scrape(Through::all()).await, (2, vec![(1, true), (1, true)]));
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_which_nothing_is_left_still_arrives() {
    let nothing = Through::new(|_, _| Ok(()));
    assert_eq!(scrape(nothing).await, (2, vec![(0, true), (1, true)]));
    let aside = Through::new(|batch, out| {
        out.emit_to(&"elsewhere".into(), batch);
        Ok(())
    });
    assert_eq!(scrape(aside).await, (2, vec![(0, true), (1, true)]));
}
