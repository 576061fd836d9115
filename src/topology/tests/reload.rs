//! Reload by difference: what stays the same goes on, what changes drains first, nothing is lost,
//! doubled or overtaken.

use crate::event::ack::{Outcome, SinkId};
use crate::topology::graph::Graph;
use crate::topology::run::{Changes, Topology};
use crate::topology::testing::{
    Numbers, Store, Through, add, environment, metric, sink, source, transform, until,
};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

const SLOW: Duration = Duration::from_millis(10);

/// `in → through → out`, each of these revisions.
fn line(feed: &Arc<Numbers>, store: &Arc<Store>, revisions: [&str; 3]) -> Graph {
    let mut graph = Graph::default();
    add(&mut graph, "in", &[], revisions[0], source(feed));
    add(&mut graph, "through", &["in"], revisions[1], transform(Through::all()));
    add(&mut graph, "out", &["through"], revisions[2], sink(store));
    graph
}

#[tokio::test(start_paused = true)]
async fn what_is_unchanged_keeps_running() {
    let (feed, store) = (Numbers::up_to(100), Store::with(SLOW, |_| Ok(())));
    let graph = line(&feed, &store, ["1", "1", "1"]);
    let mut topology = Topology::start(&graph, environment()).unwrap();
    until("some arrived", || store.len() > 30).await;
    let built = store.built.load(SeqCst);
    let changes = topology.reload(&graph).unwrap();
    assert_eq!(changes, Changes { kept: 3, started: 0, stopped: 0 });
    topology.finished().await;
    assert_eq!(store.built.load(SeqCst), built);
    assert_eq!(store.got(), (0..100).collect::<Vec<_>>());
    assert_eq!(feed.sent(), 100);
}

#[tokio::test(start_paused = true)]
async fn any_part_may_change_while_batches_flow_and_each_arrives_once_in_order() {
    for changed in 0..3 {
        let (feed, store) = (Numbers::up_to(200), Store::with(SLOW, |_| Ok(())));
        let mut topology =
            Topology::start(&line(&feed, &store, ["1", "1", "1"]), environment()).unwrap();
        until("some arrived", || store.len() > 50).await;
        let mut revisions = ["1", "1", "1"];
        revisions[changed] = "2";
        let changes = topology.reload(&line(&feed, &store, revisions)).unwrap();
        assert_eq!(changes, Changes { kept: 2, started: 1, stopped: 1 });
        topology.finished().await;
        assert_eq!(store.got(), (0..200).collect::<Vec<_>>());
        assert_eq!(feed.sent(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_replaced_sink_starts_only_after_the_old_one_has_drained() {
    let (feed, old) = (Numbers::up_to(100), Store::with(SLOW, |_| Ok(())));
    let new = Store::new();
    let mut topology = Topology::start(&line(&feed, &old, ["1", "1", "1"]), environment()).unwrap();
    until("some arrived", || old.len() > 10).await;
    topology.reload(&line(&feed, &new, ["1", "1", "2"])).unwrap();
    until("the new one has something", || new.len() > 0).await;
    let end = old.len();
    topology.finished().await;
    assert_eq!(old.len(), end, "the old one had nothing left");
    let all: Vec<u64> = old.got().into_iter().chain(new.got()).collect();
    assert_eq!(all, (0..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn chains_that_are_joined_or_split_keep_the_order() {
    let (feed, store, tap) = (Numbers::up_to(300), Store::with(SLOW, |_| Ok(())), Store::new());
    let joined = || {
        let mut graph = line(&feed, &store, ["1", "1", "1"]);
        add(&mut graph, "second", &["through"], "1", transform(Through::all()));
        graph.nodes["out"].inputs = vec![("second".into(), None)];
        graph
    };
    let split = || {
        let mut graph = joined();
        add(&mut graph, "tap", &["through"], "1", sink(&tap));
        graph
    };
    let mut topology = Topology::start(&joined(), environment()).unwrap();
    for (at, graph) in [split(), joined(), split(), joined()].iter().enumerate() {
        until("some more arrived", || store.len() > 40 * (at + 1)).await;
        topology.reload(graph).unwrap();
    }
    topology.finished().await;
    assert_eq!(store.got(), (0..300).collect::<Vec<_>>());
    assert!(tap.got().is_sorted());
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_gets_another_way_in_is_not_overtaken() {
    let (feed, store) = (Numbers::up_to(200), Store::with(SLOW, |_| Ok(())));
    let mut topology =
        Topology::start(&line(&feed, &store, ["1", "1", "1"]), environment()).unwrap();
    until("some arrived", || store.len() > 50).await;
    let mut graph = Graph::default();
    add(&mut graph, "in", &[], "1", source(&feed));
    add(&mut graph, "out", &["in"], "1", sink(&store));
    topology.reload(&graph).unwrap();
    topology.finished().await;
    assert_eq!(store.got(), (0..200).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_sink_moved_to_another_branch_misses_nothing() {
    let (feed, moved) = (Numbers::up_to(200), Store::with(SLOW, |_| Ok(())));
    let (left, right) = (Store::with(SLOW, |_| Ok(())), Store::new());
    let graph = |at: &str| {
        let mut graph = Graph::default();
        add(&mut graph, "in", &[], "1", source(&feed));
        for (chain, name, store) in [("a", "left", &left), ("b", "right", &right)] {
            add(&mut graph, chain, &["in"], "1", transform(Through::all()));
            add(&mut graph, name, &[chain], "1", sink(store));
        }
        add(&mut graph, "moved", &[at], "1", sink(&moved));
        graph
    };
    let mut topology = Topology::start(&graph("a"), environment()).unwrap();
    until("some arrived", || moved.len() > 50).await;
    topology.reload(&graph("b")).unwrap();
    topology.finished().await;
    for store in [&moved, &left, &right] {
        let mut got = store.got();
        got.sort_unstable();
        assert_eq!(got, (0..200).collect::<Vec<_>>(), "each once");
    }
}

#[tokio::test(start_paused = true)]
async fn an_added_sink_begins_to_receive_and_a_removed_one_drains() {
    let (feed, store, env) = (Numbers::up_to(200), Store::with(SLOW, |_| Ok(())), environment());
    let second = Store::with(SLOW * 3, |_| Ok(()));
    let one = line(&feed, &store, ["1", "1", "1"]);
    let mut two = one.clone();
    add(&mut two, "second", &["in"], "1", sink(&second));
    let mut topology = Topology::start(&one, Arc::clone(&env)).unwrap();
    until("some arrived", || store.len() > 50).await;
    let changes = topology.reload(&two).unwrap();
    assert_eq!(changes, Changes { kept: 3, started: 1, stopped: 0 });
    until("the added one receives", || second.len() > 20).await;
    let changes = topology.reload(&one).unwrap();
    assert_eq!(changes, Changes { kept: 3, started: 0, stopped: 1 });
    topology.finished().await;
    let (got, sent_to_it) = (second.got(), |n| !feed.outcomes("second", n).is_empty());
    assert!(got.is_sorted() && (0..200).filter(|n| sent_to_it(*n)).eq(got));
    assert_eq!(store.got(), (0..200).collect::<Vec<_>>());
    // Its counters go with it, at the next reload.
    let received = "driftless_component_received_events_total";
    assert!(metric(&env, received, &[("component", "second")]) > 0.0);
    topology.reload(&one).unwrap();
    let left = env.telemetry.families();
    let labels = left.iter().flat_map(|f| &f.samples).flat_map(|s| &s.labels);
    assert_eq!(labels.filter(|(_, value)| value == "second").count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_bad_graph_is_refused_and_the_old_one_goes_on() {
    let (feed, store) = (Numbers::up_to(100), Store::with(SLOW, |_| Ok(())));
    let mut topology =
        Topology::start(&line(&feed, &store, ["1", "1", "1"]), environment()).unwrap();
    until("some arrived", || store.len() > 30).await;
    let mut bad = line(&feed, &store, ["1", "2", "2"]);
    bad.nodes["out"].inputs = vec![("nowhere".into(), None)];
    assert!(topology.reload(&bad).is_err());
    topology.finished().await;
    assert_eq!(store.got(), (0..100).collect::<Vec<_>>());
    assert_eq!(feed.sent(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_stuck_sink_that_is_replaced_is_cut_off_and_its_batches_are_read_again() {
    let feed = Numbers::up_to(100);
    let (stuck, sibling) = (Store::new(), Store::new());
    stuck.hangs.store(true, SeqCst);
    let graph = |store, revision| {
        let mut graph = line(&feed, store, ["1", "1", revision]);
        add(&mut graph, "sibling", &["in"], "1", sink(&sibling));
        graph
    };
    let mut topology = Topology::start(&graph(&stuck, "1"), environment()).unwrap();
    until("the source is held back", || feed.sent() > 16).await;
    let new = Store::new();
    topology.reload(&graph(&new, "2")).unwrap();
    topology.finished().await;
    assert_eq!(stuck.len(), 0);
    let mut got = new.got();
    got.sort_unstable();
    assert_eq!(got, (0..100).collect::<Vec<_>>());
    assert_eq!(sibling.got(), (0..100).collect::<Vec<_>>(), "nothing doubled beside it");
    assert_eq!(feed.outcomes("out", 0), [Outcome::Lost, Outcome::Delivered]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_sink_that_is_removed_does_not_hold_its_siblings_back() {
    let feed = Numbers::up_to(100);
    let (dead, sibling) = (Store::new(), Store::new());
    dead.hangs.store(true, SeqCst);
    let one = line(&feed, &sibling, ["1", "1", "1"]);
    let mut two = one.clone();
    add(&mut two, "dead", &["in"], "1", sink(&dead));
    let mut topology = Topology::start(&two, environment()).unwrap();
    until("the source is held back", || feed.sent() > 16).await;
    topology.reload(&one).unwrap();
    topology.finished().await;
    assert_eq!(sibling.got(), (0..100).collect::<Vec<_>>());
    assert!(topology.stop(Duration::ZERO).await);
}

#[tokio::test(start_paused = true)]
async fn more_sinks_than_there_are_numbers_may_come_and_go() {
    let (feed, store, env) = (Numbers::up_to(0), Store::new(), environment());
    let mut graph = Graph::default();
    add(&mut graph, "in", &[], "1", source(&feed));
    add(&mut graph, "0", &["in"], "1", sink(&store));
    let mut topology = Topology::start(&graph, Arc::clone(&env)).unwrap();
    for n in 1..2 * SinkId::LIMIT {
        graph.nodes.pop();
        add(&mut graph, &n.to_string(), &["in"], "1", sink(&store));
        topology.reload(&graph).unwrap();
        topology.finished().await;
        assert_eq!(&*env.sinks.name(env.sinks.intern(&n.to_string()).unwrap()), n.to_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reloads_at_any_moment_on_many_threads_lose_and_double_nothing() {
    const COUNT: u64 = 20_000;
    let (feed, store, tap) = (Numbers::up_to(COUNT), Store::new(), Store::new());
    let graph = |round: usize| {
        let revisions = [(round / 4).to_string(), (round / 2).to_string(), (round / 3).to_string()];
        let revisions = [&*revisions[0], &*revisions[1], &*revisions[2]];
        let mut graph = line(&feed, &store, revisions);
        if round % 2 == 1 {
            add(&mut graph, "tap", &["through"], "1", sink(&tap));
        }
        graph
    };
    let mut topology = Topology::start(&graph(0), environment()).unwrap();
    let mut round = 0;
    while (store.len() as u64) < COUNT / 2 {
        round += 1;
        topology.reload(&graph(round)).unwrap();
        let before = store.len();
        until("some more arrived", || store.len() > before + 20).await;
    }
    assert!(round > 10);
    let end = tokio::time::timeout(Duration::from_secs(60), topology.finished()).await;
    end.expect("it drains");
    assert_eq!(store.got(), (0..COUNT).collect::<Vec<_>>());
}
