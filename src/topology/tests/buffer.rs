//! Buffers: what they promise to the source above them and to the sinks below.

use crate::event::ack::Outcome;
use crate::topology::buffer::BufferSettings;
use crate::topology::component::Fault;
use crate::topology::context::Environment;
use crate::topology::full::Place;
use crate::topology::graph::Graph;
use crate::topology::run::Topology;
use crate::topology::testing::{
    Numbers, Store, Through, add, environment, environment_in, metric, sink, source, transform,
    until,
};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

fn buffer(settings: serde_json::Value) -> BufferSettings {
    serde_json::from_value(settings).unwrap()
}

fn disk() -> BufferSettings {
    buffer(json!({"type": "disk", "max_bytes": "1MiB", "sync": "10ms"}))
}

/// `in` → `out`, with this buffer before the sink.
fn line(feed: &Arc<Numbers>, store: &Arc<Store>, settings: BufferSettings) -> Graph {
    let mut graph = Graph::default();
    add(&mut graph, "in", &[], "1", source(feed));
    add(&mut graph, "out", &["in"], "1", sink(store));
    graph.nodes["out"].buffer.settings = settings;
    graph
}

fn all_had(feed: &Numbers, sink: &str) -> bool {
    feed.had.lock().unwrap().get(sink).is_some_and(|had| had.len() as u64 == feed.count)
}

fn up_to(count: u64) -> Vec<u64> {
    (0..count).collect()
}

fn copy_of(data_dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for buffer in fs::read_dir(data_dir.join("buffers")).unwrap().flatten() {
        let to = copy.path().join("buffers").join(buffer.file_name());
        fs::create_dir_all(&to).unwrap();
        for file in fs::read_dir(buffer.path()).unwrap().flatten() {
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    copy
}

fn on_disk(env: &Environment) -> f64 {
    metric(env, "driftless_disk_buffer_bytes", &[])
}

#[tokio::test(start_paused = true)]
async fn a_source_is_done_while_the_sink_is_away_and_a_later_run_delivers_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (feed, away) = (Numbers::up_to(300), Store::checked(|_| Err(Fault::passing("away"))));
    let env = environment_in(dir.path());
    let topology = Topology::start(&line(&feed, &away, disk()), Arc::clone(&env)).unwrap();
    until("the source has heard that all is safe", || all_had(&feed, "out")).await;
    assert!(metric(&env, "driftless_disk_buffer_events", &[]) >= 300.0);
    assert!(topology.stop(Duration::from_secs(60)).await, "all of it is safe");
    assert_eq!(away.len(), 0);

    let (none, back) = (Numbers::up_to(0), Store::new());
    let env = environment_in(dir.path());
    let mut topology = Topology::start(&line(&none, &back, disk()), Arc::clone(&env)).unwrap();
    topology.finished().await;
    assert_eq!(back.got(), up_to(300));
    assert_eq!(on_disk(&env), 0.0);
    assert_eq!(metric(&env, "driftless_disk_buffer_events", &[]), 0.0);
    assert_eq!(metric(&env, "driftless_disk_buffer_damaged_frames_total", &[]), 0.0);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_a_sink_behind_a_buffer_brings_at_once_what_it_would_gather_for_an_hour() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::gathering(Duration::from_secs(3600));
    let (env, begun) = (environment_in(dir.path()), tokio::time::Instant::now());
    let graph = line(&Numbers::up_to(50), &store, disk());
    let mut topology = Topology::start(&graph, Arc::clone(&env)).unwrap();
    topology.finished().await;
    assert_eq!(store.got(), up_to(50));
    assert_eq!(on_disk(&env), 0.0);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_a_disk_buffer_has_left_holds_back_nothing_while_a_sink_gathers_it() {
    let dir = tempfile::tempdir().unwrap();
    let (feed, away) = (Numbers::up_to(30), Store::checked(|_| Err(Fault::passing("away"))));
    let topology = Topology::start(&line(&feed, &away, disk()), environment_in(dir.path()));
    until("all is safe", || all_had(&feed, "out")).await;
    assert!(topology.unwrap().stop(Duration::from_secs(60)).await);

    // The buffer is in memory now.
    let gathering = Store::gathering(Duration::from_secs(3600));
    let graph = line(&Numbers::up_to(20), &gathering, BufferSettings::default());
    let begun = tokio::time::Instant::now();
    let mut topology = Topology::start(&graph, environment_in(dir.path())).unwrap();
    topology.finished().await;
    assert_eq!(gathering.got(), [up_to(30), up_to(20)].concat());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(!dir.path().join("buffers/out").exists(), "nothing is left of it");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cut_off_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let feed = Numbers::up_to(500);
    let slow = Store::with(Duration::from_millis(100), |_| Ok(()));
    let running = Topology::start(&line(&feed, &slow, disk()), environment_in(dir.path()));
    let running = running.unwrap();
    until("all is safe and some is delivered", || all_had(&feed, "out") && slow.len() > 40).await;
    // What a crash would leave.
    let copy = copy_of(dir.path());
    let delivered = slow.len() as u64;
    assert!(delivered < 500);
    let back = Store::new();
    let env = environment_in(copy.path());
    let mut topology =
        Topology::start(&line(&Numbers::up_to(0), &back, disk()), Arc::clone(&env)).unwrap();
    topology.finished().await;
    let got = back.got();
    let first = got[0];
    assert!(first <= delivered, "nothing is left out");
    assert!(first + 40 > delivered, "the cursor is a second old at the most");
    assert_eq!(got, (first..500).collect::<Vec<_>>());
    assert!(topology.stop(Duration::ZERO).await);
    running.stop(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_holds_the_source_back_or_drops_what_comes_as_it_is_told() {
    // A number on a long line is about 32 KiB.
    for when_full in ["block", "drop_newest"] {
        let dir = tempfile::tempdir().unwrap();
        let feed = Numbers::up_to(3000);
        let store = Store::new();
        store.hangs.store(true, SeqCst);
        let settings = buffer(json!({
            "type": "disk", "max_bytes": "1MiB", "when_full": when_full, "sync": "10ms",
        }));
        let env = environment_in(dir.path());
        let mut graph = line(&feed, &store, settings);
        let padded = Through::new(|batch, out| {
            let number = crate::topology::testing::numbers(&batch)[0];
            let text = bytes::Bytes::from(format!("{number:01000}\n"));
            let origin = Arc::default();
            let logs = crate::event::log::LogBatch::from_lines(&text, origin, 0, 0);
            out.emit(crate::event::Batch::Logs(logs));
            Ok(())
        });
        add(&mut graph, "padded", &["in"], "1", transform(padded));
        graph.nodes["out"].inputs = vec![("padded".into(), None)];
        let topology = Topology::start(&graph, Arc::clone(&env)).unwrap();
        let dropped = || metric(&env, "driftless_component_dropped_events_total", &[]);
        if when_full == "block" {
            until("it is full", || on_disk(&env) > 1_030_000.0).await;
            tokio::time::sleep(Duration::from_secs(20)).await;
            assert!(feed.sent() < 1100, "{}", feed.sent());
            assert_eq!(dropped(), 0.0);
        } else {
            until("the source is done", || feed.sent() == 3000 && all_had(&feed, "out")).await;
            assert!(dropped() > 1000.0);
        }
        assert!(on_disk(&env) <= f64::from(1 << 20));
        let full =
            || env.telemetry.fullness().all().into_iter().map(|(name, place, _)| (name, place));
        assert!(full().any(|it| it == ("out".into(), Place::Disk)), "that is told");
        store.hangs.store(false, SeqCst);
        let mut topology = topology;
        topology.finished().await;
        assert_eq!(full().count(), 0, "it has room again");
        assert_eq!(store.len() as f64 + dropped(), 3000.0);
        assert!(store.got().is_sorted());
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_in_memory_drops_what_comes_where_it_is_told_to() {
    let (feed, store, env) = (Numbers::up_to(100), Store::new(), environment());
    store.hangs.store(true, SeqCst);
    let settings = buffer(json!({"max_batches": 5, "when_full": "drop_newest"}));
    let mut topology = Topology::start(&line(&feed, &store, settings), Arc::clone(&env)).unwrap();
    until("the source is done", || feed.sent() == 100).await;
    store.hangs.store(false, SeqCst);
    topology.finished().await;
    let dropped = metric(
        &env,
        "driftless_component_dropped_events_total",
        &[("component", "out"), ("reason", "buffer_full")],
    );
    assert!(store.len() < 10, "{}", store.len());
    assert_eq!(store.len() as f64 + dropped, 100.0);
    assert_eq!(feed.outcomes("out", 99), [Outcome::Dropped]);
    assert_eq!(metric(&env, "driftless_buffer_bytes", &[]), 0.0);
}

#[tokio::test(start_paused = true)]
async fn what_a_component_loses_is_sent_again_from_the_buffer_and_not_by_the_source() {
    let dir = tempfile::tempdir().unwrap();
    let (feed, store) = (Numbers::up_to(100), Store::new());
    let panicked = Arc::new(AtomicBool::new(false));
    let clumsy = Through::new(move |batch, out| {
        let number = crate::topology::testing::numbers(&batch)[0];
        assert!(number != 50 || panicked.swap(true, SeqCst), "a bug");
        out.emit(batch);
        Ok(())
    });
    let mut graph = line(&feed, &store, BufferSettings::default());
    add(&mut graph, "clumsy", &["in"], "1", transform(clumsy));
    graph.nodes["clumsy"].buffer.settings = disk();
    graph.nodes["out"].inputs = vec![("clumsy".into(), None)];
    let mut topology = Topology::start(&graph, environment_in(dir.path())).unwrap();
    topology.finished().await;
    assert_eq!(feed.sent(), 100);
    let got: std::collections::BTreeSet<u64> = store.got().into_iter().collect();
    assert_eq!(got.len(), 100);
}

#[tokio::test(start_paused = true)]
async fn each_sink_behind_a_buffer_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let graph = |feed: &Arc<Numbers>, quick: &Arc<Store>, slow: &Arc<Store>| {
        let mut graph = line(feed, quick, BufferSettings::default());
        add(&mut graph, "all", &["in"], "1", transform(Through::all()));
        add(&mut graph, "slow", &["all"], "1", sink(slow));
        graph.nodes["all"].buffer.settings = disk();
        graph.nodes["out"].inputs = vec![("all".into(), None)];
        graph
    };
    let (feed, quick, dead) = (Numbers::up_to(30), Store::new(), Store::new());
    dead.hangs.store(true, SeqCst);
    let running =
        Topology::start(&graph(&feed, &quick, &dead), environment_in(dir.path())).unwrap();
    until("one sink has what the other holds back", || quick.len() >= 16).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let had = quick.len() as u64;
    let copy = copy_of(dir.path());
    let (quick, slow) = (Store::new(), Store::new());
    let graph = graph(&Numbers::up_to(0), &quick, &slow);
    let mut topology = Topology::start(&graph, environment_in(copy.path())).unwrap();
    topology.finished().await;
    assert_eq!(slow.got(), up_to(30));
    assert_eq!(quick.got(), (had..30).collect::<Vec<_>>());
    running.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_reload_leaves_a_buffer_running_and_a_removed_sinks_buffer_waits_for_its_return() {
    let dir = tempfile::tempdir().unwrap();
    let (feed, away) = (Numbers::up_to(100_000), Store::checked(|_| Err(Fault::passing("away"))));
    let (other, env) = (Store::new(), environment_in(dir.path()));
    let mut graph = line(&feed, &away, disk());
    let mut topology = Topology::start(&graph, Arc::clone(&env)).unwrap();
    let safe =
        |more: usize| feed.had.lock().unwrap().get("out").is_some_and(|had| had.len() > more);
    until("some is safe", || safe(50)).await;
    add(&mut graph, "other", &["in"], "1", sink(&other));
    assert_eq!(topology.reload(&graph).unwrap().kept, 2);

    let removed = graph.nodes.shift_remove("out").unwrap();
    topology.reload(&graph).unwrap();
    topology.reload(&graph).unwrap();
    let had: Vec<u64> = feed.had.lock().unwrap()["out"].iter().copied().collect();
    assert!(metric(&env, "driftless_disk_buffer_orphaned_bytes", &[("component", "out")]) > 0.0);

    let back = Store::new();
    add(&mut graph, "out", &["in"], "2", sink(&back));
    // Also where it has no disk buffer any more.
    assert!(removed.buffer.settings.is_disk());
    topology.reload(&graph).unwrap();
    until("it has what waited", || back.len() >= had.len()).await;
    assert_eq!(back.got()[..had.len()], had);
    until("nothing is left", || !dir.path().join("buffers/out").exists()).await;
    assert!(topology.stop(Duration::from_secs(10)).await);
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_cannot_be_written_is_an_error_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("buffers"), "no folder").unwrap();
    let graph = line(&Numbers::up_to(1), &Store::new(), disk());
    let error = Topology::start(&graph, environment_in(dir.path())).err().unwrap();
    assert!(error[0].message.contains("`out`: the folder of its buffer"), "{}", error[0]);
}

#[tokio::test(start_paused = true)]
async fn frames_that_are_larger_than_the_buffer_pass_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let (feed, store) = (Numbers::up_to(20), Store::new());
    let sizes = Arc::new(AtomicU64::new(0));
    let padded = Through::new(move |batch, out| {
        let number = crate::topology::testing::numbers(&batch)[0];
        sizes.fetch_add(1, SeqCst);
        let width = if number % 5 == 4 { 2 << 20 } else { 10 };
        let text = bytes::Bytes::from(format!("{}{number}\n", "0".repeat(width)));
        let logs = crate::event::log::LogBatch::from_lines(&text, Arc::default(), 0, 0);
        out.emit(crate::event::Batch::Logs(logs));
        Ok(())
    });
    let mut graph = line(&feed, &store, disk());
    add(&mut graph, "padded", &["in"], "1", transform(padded));
    graph.nodes["out"].inputs = vec![("padded".into(), None)];
    let mut topology = Topology::start(&graph, environment_in(dir.path())).unwrap();
    topology.finished().await;
    assert_eq!(store.got(), up_to(20));
}

#[tokio::test(start_paused = true)]
async fn what_was_kept_for_sinks_that_are_all_gone_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let graph = |feed: &Arc<Numbers>, name: &str, store: &Arc<Store>| {
        let mut graph = Graph::default();
        add(&mut graph, "in", &[], "1", source(feed));
        add(&mut graph, "all", &["in"], "1", transform(Through::all()));
        add(&mut graph, name, &["all"], "1", sink(store));
        graph.nodes["all"].buffer.settings = disk();
        graph
    };
    let (feed, away) = (Numbers::up_to(30), Store::checked(|_| Err(Fault::passing("away"))));
    let old = Topology::start(&graph(&feed, "old", &away), environment_in(dir.path())).unwrap();
    until("all is safe", || all_had(&feed, "old")).await;
    let copy = copy_of(dir.path());
    let (env, new) = (environment_in(copy.path()), Store::new());
    let graph = graph(&Numbers::up_to(0), "new", &new);
    let mut topology = Topology::start(&graph, Arc::clone(&env)).unwrap();
    topology.finished().await;
    assert_eq!(new.len(), 0);
    let labels = [("component", "all"), ("reason", "sink_removed")];
    assert_eq!(metric(&env, "driftless_component_dropped_events_total", &labels), 30.0);
    old.stop(Duration::ZERO).await;
}
