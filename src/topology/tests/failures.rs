//! What fails is restarted alone, and what it held is not lost.

use crate::event::ack::Outcome;
use crate::topology::component::Fault;
use crate::topology::graph::Graph;
use crate::topology::testing::{
    Numbers, Store, Through, add, environment, metric, numbers, run_to_end, sink, source, transform,
};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use tokio::time::Instant;

const RESTARTS: &str = "driftless_component_restarts_total";
const DROPPED: &str = "driftless_component_dropped_events_total";

/// A closure's way to fail on a number so many times.
fn fails_at(bad: u64, times: u64) -> impl Fn(u64) -> bool + Send + Sync + 'static {
    let failures = AtomicU64::new(0);
    move |n| n == bad && failures.fetch_add(1, SeqCst) < times
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_source_restarts_it_from_its_mark() {
    let (store, env) = (Store::new(), environment());
    let fails = fails_at(20, 1);
    let feed = Numbers::with(50, move |n| assert!(!fails(n), "a bug"));
    let mut graph = Graph::default();
    add(&mut graph, "in", &[], "1", source(&feed));
    add(&mut graph, "out", &["in"], "1", sink(&store));
    run_to_end(&graph, &env).await;
    let mut got = store.got();
    got.sort_unstable();
    got.dedup();
    assert_eq!(got, (0..50).collect::<Vec<_>>());
    assert_eq!(metric(&env, RESTARTS, &[("component", "in")]), 1.0);
    assert_eq!(metric(&env, RESTARTS, &[("component", "out")]), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_transform_restarts_that_one_and_its_batch_is_read_again() {
    let (store, aside, env) = (Store::new(), Store::new(), environment());
    let (feed, fails) = (Numbers::up_to(50), fails_at(20, 1));
    let breaks = Through::new(move |batch, out| {
        assert!(!fails(numbers(&batch)[0]), "a bug");
        out.emit(batch);
        Ok(())
    });
    let mut graph = Graph::default();
    add(&mut graph, "in", &[], "1", source(&feed));
    add(&mut graph, "first", &["in"], "1", transform(Through::all()));
    add(&mut graph, "breaks", &["first"], "1", transform(breaks));
    add(&mut graph, "out", &["breaks"], "1", sink(&store));
    add(&mut graph, "aside", &["in"], "1", sink(&aside));
    run_to_end(&graph, &env).await;
    let mut got = store.got();
    got.sort_unstable();
    assert_eq!(got, (0..50).collect::<Vec<_>>(), "each once");
    assert_eq!(aside.got(), (0..50).collect::<Vec<_>>(), "untouched by the failure beside it");
    assert_eq!(feed.outcomes("out", 20), [Outcome::Lost, Outcome::Delivered]);
    assert_eq!(feed.outcomes("aside", 20), [Outcome::Delivered]);
    assert_eq!(metric(&env, RESTARTS, &[("component", "breaks")]), 1.0);
    assert_eq!(metric(&env, RESTARTS, &[("component", "first")]), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_sink_restarts_it_with_what_it_held() {
    let (feed, env) = (Numbers::up_to(50), environment());
    let fails = fails_at(20, 2);
    let store = Store::checked(move |n| {
        assert!(!fails(n[0]), "a bug");
        Ok(())
    });
    let mut graph = Graph::default();
    add(&mut graph, "in", &[], "1", source(&feed));
    add(&mut graph, "out", &["in"], "1", sink(&store));
    run_to_end(&graph, &env).await;
    assert_eq!(store.got(), (0..50).collect::<Vec<_>>(), "in order, each once");
    assert_eq!(feed.sent(), 50, "nothing had to be read again");
    assert_eq!(metric(&env, RESTARTS, &[("component", "out")]), 2.0);
    assert_eq!(metric(&env, RESTARTS, &[("component", "in")]), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_always_kills_a_component_is_given_up_and_the_rest_goes_on() {
    let env = environment();
    let (to_sink, to_transform) = (Numbers::up_to(30), Numbers::up_to(30));
    let (kept, passed) = (
        Store::checked(|n| {
            assert_ne!(n[0], 7, "a bug");
            Ok(())
        }),
        Store::new(),
    );
    let breaks = Through::new(|batch, out| {
        if numbers(&batch)[0] == 7 {
            return Err(Fault::passing("cannot"));
        }
        out.emit(batch);
        Ok(())
    });
    let mut graph = Graph::default();
    add(&mut graph, "a", &[], "1", source(&to_sink));
    add(&mut graph, "kept", &["a"], "1", sink(&kept));
    add(&mut graph, "b", &[], "1", source(&to_transform));
    add(&mut graph, "breaks", &["b"], "1", transform(breaks));
    add(&mut graph, "passed", &["breaks"], "1", sink(&passed));
    run_to_end(&graph, &env).await;
    let rest: Vec<u64> = (0..30).filter(|n| *n != 7).collect();
    let mut through = passed.got();
    through.sort_unstable();
    assert_eq!((kept.got(), through), (rest.clone(), rest));
    assert_eq!(to_sink.outcomes("kept", 7), [Outcome::Dropped]);
    assert_eq!(to_transform.outcomes("passed", 7).last(), Some(&Outcome::Dropped));
    for name in ["kept", "breaks"] {
        assert_eq!(metric(&env, DROPPED, &[("component", name), ("reason", "crashes")]), 1.0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_dropped_with_a_reason_and_not_read_again() {
    let (feed, env) = (Numbers::up_to(10), environment());
    let store = Store::checked(|n| if n[0] == 3 { Err(Fault::fatal("not mine")) } else { Ok(()) });
    let mut graph = Graph::default();
    add(&mut graph, "in", &[], "1", source(&feed));
    add(&mut graph, "out", &["in"], "1", sink(&store));
    run_to_end(&graph, &env).await;
    assert_eq!(store.got(), (0..10).filter(|n| *n != 3).collect::<Vec<_>>());
    assert_eq!(feed.outcomes("out", 3), [Outcome::Dropped]);
    assert_eq!(feed.sent(), 10);
    assert_eq!(metric(&env, DROPPED, &[("component", "out"), ("reason", "rejected")]), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_passing_fault_is_retried_with_growing_pauses_until_it_passes() {
    let (feed, env) = (Numbers::up_to(2), environment());
    let calls = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&calls);
    let store = Store::checked(move |_| {
        let mut seen = seen.lock().unwrap();
        seen.push(Instant::now());
        if seen.len() <= 10 { Err(Fault::passing("away")) } else { Ok(()) }
    });
    let mut graph = Graph::default();
    add(&mut graph, "in", &[], "1", source(&feed));
    add(&mut graph, "out", &["in"], "1", sink(&store));
    run_to_end(&graph, &env).await;
    assert_eq!(store.got(), [0, 1]);
    let calls = calls.lock().unwrap();
    let pauses: Vec<f64> = calls.windows(2).map(|w| (w[1] - w[0]).as_secs_f64()).collect();
    for (pause, full) in pauses.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]) {
        assert!((full * 0.74..=full + 0.01).contains(pause), "{pauses:?}");
    }
}
