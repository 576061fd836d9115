//! A transform that holds back: nothing is acknowledged before it is delivered, and what is lost
//! comes again without being doubled.

use crate::event::ack::Outcome;
use crate::topology::component::Fault;
use crate::topology::graph::Graph;
use crate::topology::run::Topology;
use crate::topology::testing::{
    Batches, Numbers, Store, Through, add, environment, metric, numbers, run_to_end, sink, source,
    transform, until,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn what_is_held_is_emitted_when_it_is_due_and_acknowledged_only_then() {
    let (feed, store, env) = (Numbers::up_to(3), Store::new(), environment());
    let mut graph = Graph::default();
    add(&mut graph, "in", &[], "1", source(&feed));
    // Keeps the chain's input open, as a file that is followed does.
    let endless = Numbers::with(u64::MAX, |_| {});
    let slow = Store::with(100_000 * SECOND, |_| Ok(()));
    add(&mut graph, "endless", &[], "1", source(&endless));
    add(&mut graph, "slow", &["endless"], "1", sink(&slow));
    add(&mut graph, "nothing", &["endless"], "1", transform(Through::new(|_, _| Ok(()))));
    add(&mut graph, "held", &["in", "nothing"], "1", Batches::of(10).after(5 * SECOND).component());
    add(&mut graph, "more", &["held"], "1", transform(Through::all()));
    add(&mut graph, "out", &["more"], "1", sink(&store));
    let topology = Topology::start(&graph, Arc::clone(&env)).unwrap();
    let begun = Instant::now();
    until("the sink has it", || store.len() == 3).await;
    assert!(begun.elapsed() >= 5 * SECOND && begun.elapsed() < 6 * SECOND);
    assert_eq!(store.got(), [0, 1, 2]);
    until("all are acknowledged", || {
        (0..3).all(|n| feed.outcomes("out", n) == [Outcome::Delivered])
    })
    .await;
    topology.stop(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn the_end_flushes_what_is_held_through_the_rest_of_the_chain() {
    let (feed, store, env) = (Numbers::up_to(25), Store::new(), environment());
    let mut graph = Graph::default();
    add(&mut graph, "in", &[], "1", source(&feed));
    add(&mut graph, "tens", &["in"], "1", Batches::of(10).component());
    add(&mut graph, "sevens", &["tens"], "1", Batches::of(7).component());
    add(&mut graph, "out", &["sevens"], "1", sink(&store));
    run_to_end(&graph, &env).await;
    assert_eq!(store.got(), (0..25).collect::<Vec<_>>());
    assert!((0..25).all(|n| feed.outcomes("out", n) == [Outcome::Delivered]));
    assert_eq!(feed.sent(), 25);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_acknowledged_while_the_sink_does_not_have_it() {
    let (feed, store, env) = (Numbers::up_to(12), Store::new(), environment());
    store.hangs.store(true, SeqCst);
    let mut graph = Graph::default();
    add(&mut graph, "in", &[], "1", source(&feed));
    add(&mut graph, "held", &["in"], "1", Batches::of(5).component());
    add(&mut graph, "out", &["held"], "1", sink(&store));
    let mut topology = Topology::start(&graph, Arc::clone(&env)).unwrap();
    until("all is sent", || feed.sent() == 12).await;
    tokio::time::sleep(60 * SECOND).await;
    assert!((0..12).all(|n| feed.outcomes("out", n).is_empty()));
    store.hangs.store(false, SeqCst);
    topology.finished().await;
    assert_eq!(store.got(), (0..12).collect::<Vec<_>>());
    assert!((0..12).all(|n| feed.outcomes("out", n) == [Outcome::Delivered]));
}

#[tokio::test(start_paused = true)]
async fn a_crash_loses_what_was_held_and_the_source_reads_it_again_once() {
    let (feed, store, env) = (Numbers::up_to(90), Store::new(), environment());
    let failures = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&failures);
    let breaks = Through::new(move |batch, out| {
        let again = numbers(&batch) == [17] && counted.fetch_add(1, SeqCst) < 1;
        if again {
            return Err(Fault::passing("a bug"));
        }
        out.emit(batch);
        Ok(())
    });
    let mut graph = Graph::default();
    add(&mut graph, "in", &[], "1", source(&feed));
    add(&mut graph, "breaks", &["in"], "1", transform(breaks));
    add(&mut graph, "held", &["breaks"], "1", Batches::of(8).after(5 * SECOND).component());
    add(&mut graph, "out", &["held"], "1", sink(&store));
    run_to_end(&graph, &env).await;
    let mut got = store.got();
    got.sort_unstable();
    assert_eq!(got, (0..90).collect::<Vec<_>>(), "each once");
    // 16 was held by the second member of the chain when the first one failed at 17.
    for n in [16, 17] {
        assert_eq!(feed.outcomes("out", n), [Outcome::Lost, Outcome::Delivered]);
    }
    assert_eq!(feed.outcomes("out", 15), [Outcome::Delivered]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_fails_again_and_again_is_given_up_and_the_rest_goes_on() {
    let (feed, store, env) = (Numbers::up_to(90), Store::new(), environment());
    let mut graph = Graph::default();
    add(&mut graph, "in", &[], "1", source(&feed));
    add(
        &mut graph,
        "held",
        &["in"],
        "1",
        Batches::of(8).after(5 * SECOND).failing_at(17).component(),
    );
    add(&mut graph, "out", &["held"], "1", sink(&store));
    run_to_end(&graph, &env).await;
    let mut got = store.got();
    got.sort_unstable();
    assert_eq!(got, (0..90).filter(|n| *n != 17).collect::<Vec<_>>());
    assert_eq!(feed.outcomes("out", 17).last(), Some(&Outcome::Dropped));
    let dropped = "driftless_component_dropped_events_total";
    assert_eq!(metric(&env, dropped, &[("component", "held"), ("reason", "crashes")]), 1.0);
}

#[tokio::test(start_paused = true)]
async fn who_holds_too_much_gives_on_what_is_oldest() {
    let (feed, store, env) = (Numbers::up_to(100), Store::new(), environment());
    let mut graph = Graph::default();
    add(&mut graph, "in", &[], "1", source(&feed));
    // A record of this one counts as 128 KiB; the ceiling of the tests leaves it a mebibyte.
    let heavy = Batches::of(1000).weighing(128 << 10);
    add(&mut graph, "held", &["in"], "1", heavy.component());
    add(&mut graph, "out", &["held"], "1", sink(&store));
    run_to_end(&graph, &env).await;
    assert_eq!(store.got(), (0..100).collect::<Vec<_>>());
    assert_eq!(heavy.most(), 9);
}
