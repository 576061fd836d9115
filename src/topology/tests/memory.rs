//! The memory ceiling under load: what a dead sink holds must not starve anyone else.

use crate::event::ack::{Ack, SinkSet};
use crate::event::log::{LogBatch, Origin};
use crate::event::{Batch, Kinds};
use crate::topology::component::{BuildContext, Fault, Source, SourceConfig};
use crate::topology::context::SourceContext;
use crate::topology::edge::{EdgeLimits, Envelope, edge};
use crate::topology::graph::{Component, Graph};
use crate::topology::output::Output;
use crate::topology::run::Topology;
use crate::topology::testing::{Store, add, environment, metric, sink, until};
use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// Reads so many chunks of 64 KiB from the budget, each with one number on a long line.
#[derive(Debug)]
struct Chunks(u64);

#[async_trait]
impl Source for Chunks {
    async fn run(self: Box<Self>, out: Output, cx: SourceContext) -> Result<(), Fault> {
        let reserve = cx.env.memory.reserve();
        for n in 0..self.0 {
            let mut chunk = tokio::select! {
                chunk = reserve.chunk(64 << 10) => chunk,
                () = cx.stop.requested() => break,
            };
            chunk.data.extend(format!("{n:032768}\n").bytes());
            let logs = LogBatch::from_lines(&chunk.freeze(), Arc::new(Origin::default()), 0, 0);
            tokio::select! {
                sent = out.send(Batch::Logs(logs), n) => sent?,
                () = cx.stop.requested() => break,
            }
        }
        Ok(())
    }
}

impl SourceConfig for Chunks {
    fn gives(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Source>, Fault> {
        Ok(Box::new(Self(self.0)))
    }
}

#[tokio::test(start_paused = true)]
async fn many_edges_before_dead_sinks_hold_no_more_than_the_ceiling_and_starve_nobody() {
    let (dead, alive, env) = (Store::new(), Store::new(), environment());
    dead.hangs.store(true, SeqCst);
    let mut graph = Graph::default();
    for n in 0..20 {
        let (from, to) = (format!("in{n}"), format!("dead{n}"));
        add(&mut graph, &from, &[], "1", Component::Source(Arc::new(Chunks(100))));
        add(&mut graph, &to, &[&*from], "1", sink(&dead));
    }
    add(&mut graph, "late", &[], "1", Component::Source(Arc::new(Chunks(100))));
    add(&mut graph, "alive", &["late"], "1", sink(&alive));
    let topology = Topology::start(&graph, Arc::clone(&env)).unwrap();
    until("the living one has everything", || alive.len() == 100).await;
    assert_eq!(alive.got(), (0..100).collect::<Vec<_>>());
    until("the dead ones have filled the budget", || env.memory.used_bytes() > 900 << 10).await;
    assert!(env.memory.used_bytes() <= env.memory.limit_bytes());
    dead.hangs.store(false, SeqCst);
    assert!(topology.stop(Duration::from_secs(60)).await);
    assert_eq!(env.memory.used_bytes(), 0);
    assert_eq!(metric(&env, "driftless_buffer_bytes", &[]), 0.0);
}

#[tokio::test(start_paused = true)]
async fn an_edge_is_full_when_its_bytes_or_its_batches_are_and_a_giant_passes_alone() {
    let envelope = |bytes: usize| {
        let lines = Bytes::from(vec![b'x'; bytes]);
        let logs = LogBatch::from_lines(&lines, Arc::new(Origin::default()), 0, 0);
        Envelope::new(Batch::Logs(logs), Ack::unobserved(SinkSet::NONE), None)
    };
    let telemetry = environment().telemetry.edge("reader");
    let (sender, input) =
        edge(EdgeLimits { batches: 3, bytes: 100, ..EdgeLimits::default() }, telemetry);
    for _ in 0..3 {
        assert_eq!(sender.send(envelope(10)).now_or_never(), Some(true));
    }
    assert_eq!(sender.send(envelope(10)).now_or_never(), None, "three batches");
    while input.try_next().await.is_some() {}
    assert_eq!(sender.send(envelope(60)).now_or_never(), Some(true));
    assert_eq!(sender.send(envelope(60)).now_or_never(), None, "a hundred bytes");
    assert_eq!(sender.send(envelope(1000)).now_or_never(), None, "not beside another");
    let first = input.next().await;
    assert_eq!(sender.send(envelope(1000)).now_or_never(), None, "not while that is in use");
    drop(first);
    assert_eq!(sender.send(envelope(1000)).now_or_never(), Some(true));
    drop(input);
    assert!(!sender.send(envelope(1)).await, "nobody reads any more");
}
