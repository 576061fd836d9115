//! A source that cannot read again loses nothing to what fails below it.

use crate::event::Kinds;
use crate::event::ack::Outcome;
use crate::topology::component::{BuildContext, Fault, Source, SourceConfig};
use crate::topology::context::SourceContext;
use crate::topology::graph::{Component, Graph};
use crate::topology::held::Held;
use crate::topology::output::Output;
use crate::topology::testing::{
    Store, Through, add, environment, number, numbers, run_to_end, sink, transform,
};
use async_trait::async_trait;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What became of each number, in the order in which that was known.
type Outcomes = Arc<Mutex<Vec<(u64, Outcome)>>>;

/// Gives the numbers from 0 to 50, each once: nothing is read twice.
#[derive(Clone, Debug, Default)]
struct Once(Outcomes, Arc<AtomicU64>);

impl SourceConfig for Once {
    fn gives(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Source>, Fault> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl Source for Once {
    async fn run(self: Box<Self>, out: Output, mut cx: SourceContext) -> Result<(), Fault> {
        let mut held = Held::new(out, &mut cx, 8);
        while self.1.load(SeqCst) < 50 {
            tokio::select! {
                biased;
                receipt = held.receipt() => held.settle(receipt).await?,
                () = tokio::time::sleep(Duration::from_millis(1)), if held.has_room() => {
                    let (n, outcomes) = (self.1.fetch_add(1, SeqCst), Arc::clone(&self.0));
                    let told = move |outcome| outcomes.lock().unwrap().push((n, outcome));
                    assert_eq!(held.send(number(n), Some(Box::new(told))).await?, n);
                }
            }
        }
        while held.owed().first() < 50 {
            let receipt = held.receipt().await;
            held.settle(receipt).await?;
        }
        assert_eq!(held.finish().await.first(), 50);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_a_transform_loses_is_sent_again_and_only_to_the_sink_that_missed_it() {
    let (store, aside, env) = (Store::new(), Store::new(), environment());
    let (config, failures) = (Once::default(), AtomicU64::new(0));
    let breaks = Through::new(move |batch, out| {
        let fails = numbers(&batch)[0] == 20 && failures.fetch_add(1, SeqCst) == 0;
        assert!(!fails, "a bug");
        out.emit(batch);
        Ok(())
    });
    let mut graph = Graph::default();
    add(&mut graph, "in", &[], "1", Component::Source(Arc::new(config.clone())));
    add(&mut graph, "breaks", &["in"], "1", transform(breaks));
    add(&mut graph, "out", &["breaks"], "1", sink(&store));
    add(&mut graph, "aside", &["in"], "1", sink(&aside));
    run_to_end(&graph, &env).await;
    let mut got = store.got();
    got.sort_unstable();
    assert_eq!(got, (0..50).collect::<Vec<_>>(), "each once");
    assert_eq!(aside.got(), (0..50).collect::<Vec<_>>(), "untouched by the failure beside it");
    let mut outcomes = config.0.lock().unwrap().clone();
    outcomes.sort_unstable();
    assert_eq!(outcomes, (0..50).map(|n| (n, Outcome::Delivered)).collect::<Vec<_>>());
}
