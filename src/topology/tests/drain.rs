//! Shutdown and the natural end: sources return, and everything below drains in order.

use crate::topology::graph::Graph;
use crate::topology::run::Topology;
use crate::topology::testing::{
    Numbers, Store, Through, add, environment, sink, source, transform, until,
};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

fn line(feed: &Arc<Numbers>, store: &Arc<Store>) -> Graph {
    let mut graph = Graph::default();
    add(&mut graph, "in", &[], "1", source(feed));
    add(&mut graph, "through", &["in"], "1", transform(Through::all()));
    add(&mut graph, "out", &["through"], "1", sink(store));
    graph
}

#[tokio::test(start_paused = true)]
async fn stopping_delivers_in_order_whatever_was_read() {
    let feed = Numbers::up_to(1000);
    let store = Store::with(Duration::from_millis(100), |_| Ok(()));
    let topology = Topology::start(&line(&feed, &store), environment()).unwrap();
    until("some arrived", || store.len() == 5).await;
    assert!(topology.stop(Duration::from_secs(60)).await);
    assert!(feed.sent() > 30);
    assert_eq!(store.got(), (0..feed.sent()).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_hangs_past_the_deadline_is_cut_off() {
    let (feed, store) = (Numbers::up_to(1000), Store::new());
    store.hangs.store(true, SeqCst);
    let topology = Topology::start(&line(&feed, &store), environment()).unwrap();
    until("the source is held back", || feed.sent() > 16).await;
    let begun = tokio::time::Instant::now();
    assert!(!topology.stop(Duration::from_secs(5)).await);
    assert!(begun.elapsed() < Duration::from_secs(7));
    store.hangs.store(false, SeqCst);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(store.len(), 0, "it is gone");
}

#[tokio::test(start_paused = true)]
async fn a_successor_that_never_came_to_run_does_not_begin_after_the_stop() {
    let (feed, store) = (Numbers::up_to(1000), Store::new());
    store.hangs.store(true, SeqCst);
    let mut topology = Topology::start(&line(&feed, &store), environment()).unwrap();
    until("the source is held back", || feed.sent() > 16).await;
    let (other, sent) = (Numbers::up_to(1000), feed.sent());
    let mut graph = line(&other, &store);
    graph.nodes["in"].spec = crate::event::tree::Node::string("2");
    topology.reload(&graph).unwrap();
    let stopping = tokio::spawn(topology.stop(Duration::from_secs(20)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    store.hangs.store(false, SeqCst);
    assert!(stopping.await.unwrap());
    assert_eq!(other.sent(), 0);
    assert!(store.len() as u64 >= sent - 1);
}

#[tokio::test(start_paused = true)]
async fn the_end_can_be_waited_for_again_and_comes_after_all_that_leaves() {
    let (feed, slow) = (Numbers::up_to(10), Store::with(Duration::from_secs(1), |_| Ok(())));
    let quick = Store::new();
    let mut graph = line(&feed, &quick);
    add(&mut graph, "slow", &["in"], "1", sink(&slow));
    let mut topology = Topology::start(&graph, environment()).unwrap();
    until("the slow one has begun", || slow.len() > 0).await;
    graph.nodes.pop();
    topology.reload(&graph).unwrap();
    let given_up = tokio::time::timeout(Duration::from_millis(1500), topology.finished());
    assert!(given_up.await.is_err());
    topology.finished().await;
    topology.finished().await;
    assert_eq!((slow.len(), quick.len()), (10, 10));
    // A source that has come to its own end does not begin again.
    topology.reload(&graph).unwrap();
    topology.finished().await;
    assert_eq!((feed.sent(), quick.len()), (10, 10));
    assert!(topology.stop(Duration::ZERO).await);
}
