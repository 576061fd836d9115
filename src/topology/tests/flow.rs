//! What goes in comes out: backpressure, fan-out, fan-in, named outputs, fusing.

use crate::event::ack::Outcome;
use crate::topology::component::{Fault, Outputs};
use crate::topology::graph::Graph;
use crate::topology::run::Topology;
use crate::topology::testing::{
    Numbers, Store, Through, add, environment, metric, number, numbers, run_to_end, sink, source,
    transform, until,
};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_slow_sink_holds_the_source_back_and_loses_nothing() {
    let (feed, env) = (Numbers::up_to(500), environment());
    let slow = Store::with(Duration::from_secs(1), |_| Ok(()));
    let mut graph = Graph::default();
    add(&mut graph, "in", &[], "1", source(&feed));
    add(&mut graph, "out", &["in"], "1", sink(&slow));
    let mut topology = Topology::start(&graph, Arc::clone(&env)).unwrap();
    until("the sink has ten", || slow.len() == 10).await;
    // What the edge holds, one on its way and one in line behind it, one in the source's hands.
    assert_eq!(feed.sent(), 10 + 16 + 3);
    topology.finished().await;
    assert_eq!(slow.got(), (0..500).collect::<Vec<_>>());
    assert_eq!(feed.sent(), 500);
    assert_eq!(metric(&env, "driftless_buffer_batches", &[]), 0.0);
    assert_eq!(metric(&env, "driftless_buffer_bytes", &[]), 0.0);
}

#[tokio::test(start_paused = true)]
async fn every_branch_gets_everything_and_a_failing_one_costs_its_sibling_nothing() {
    let (feed, env) = (Numbers::up_to(40), environment());
    let good = Store::new();
    let tries = std::sync::atomic::AtomicU64::new(0);
    let flaky = Store::checked(move |_| {
        match tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) % 3 {
            0 => Err(Fault::passing("away")),
            1 => panic!("a bug"),
            _ => Ok(()),
        }
    });
    let mut graph = Graph::default();
    add(&mut graph, "in", &[], "1", source(&feed));
    add(&mut graph, "good", &["in"], "1", sink(&good));
    add(&mut graph, "flaky", &["in"], "1", sink(&flaky));
    run_to_end(&graph, &env).await;
    let all: Vec<u64> = (0..40).collect();
    assert_eq!((good.got(), flaky.got()), (all.clone(), all));
    assert_eq!(feed.sent(), 40);
    for name in ["good", "flaky"] {
        assert!((0..40).all(|n| feed.outcomes(name, n) == [Outcome::Delivered]), "{name}");
    }
    let retries = "driftless_component_retries_total";
    assert_eq!(metric(&env, retries, &[("component", "flaky")]), 40.0);
    assert_eq!(metric(&env, retries, &[("component", "good")]), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_sink_reads_from_several_sources_each_in_its_order() {
    let (left, right) = (Numbers::up_to(100), Numbers::up_to(100));
    let shifted = |batch, out: &mut Outputs| {
        out.emit(number(numbers(&batch)[0] + 1000));
        Ok(())
    };
    let store = Store::new();
    let mut graph = Graph::default();
    add(&mut graph, "left", &[], "1", source(&left));
    add(&mut graph, "right", &[], "1", source(&right));
    add(&mut graph, "shifted", &["right"], "1", transform(Through::new(shifted)));
    add(&mut graph, "out", &["left", "shifted"], "1", sink(&store));
    run_to_end(&graph, &environment()).await;
    let (high, low): (Vec<u64>, Vec<u64>) = store.got().into_iter().partition(|n| *n >= 1000);
    assert_eq!(low, (0..100).collect::<Vec<_>>());
    assert_eq!(high, (1000..1100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn named_outputs_go_their_own_ways_and_what_goes_nowhere_counts_as_delivered() {
    let feed = Numbers::up_to(30);
    let (threes, rest) = (Store::new(), Store::new());
    let name: Arc<str> = "threes".into();
    let output = Arc::clone(&name);
    let mut route = Through::new(move |batch, out| {
        match numbers(&batch)[0] {
            n if n % 3 == 0 => out.emit_to(&output, batch),
            n if n % 3 == 1 => out.emit(batch),
            _ => {}
        }
        Ok(())
    });
    route.outputs = vec![name];
    let mut graph = Graph::default();
    add(&mut graph, "in", &[], "1", source(&feed));
    add(&mut graph, "route", &["in"], "1", transform(route));
    add(&mut graph, "threes", &["route.threes"], "1", sink(&threes));
    add(&mut graph, "rest", &["route"], "1", sink(&rest));
    run_to_end(&graph, &environment()).await;
    assert_eq!(threes.got(), (0..30).filter(|n| n % 3 == 0).collect::<Vec<_>>());
    assert_eq!(rest.got(), (0..30).filter(|n| n % 3 == 1).collect::<Vec<_>>());
    for name in ["threes", "rest"] {
        assert!((0..30).all(|n| feed.outcomes(name, n) == [Outcome::Delivered]), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fused_chain_does_what_the_same_transforms_do_apart() {
    let odd = || {
        transform(Through::new(|batch, out| {
            if numbers(&batch)[0] % 2 == 1 {
                out.emit(batch);
            }
            Ok(())
        }))
    };
    let twice = || {
        transform(Through::new(|batch, out| {
            out.emit(number(numbers(&batch)[0] * 2));
            out.emit(batch);
            Ok(())
        }))
    };
    let mut results = Vec::new();
    for apart in [false, true] {
        let (feed, store, tap, env) =
            (Numbers::up_to(50), Store::new(), Store::new(), environment());
        let mut graph = Graph::default();
        add(&mut graph, "in", &[], "1", source(&feed));
        add(&mut graph, "odd", &["in"], "1", odd());
        add(&mut graph, "twice", &["odd"], "1", twice());
        add(&mut graph, "out", &["twice"], "1", sink(&store));
        if apart {
            // A second reader puts an edge between the two.
            add(&mut graph, "tap", &["odd"], "1", sink(&tap));
        }
        run_to_end(&graph, &env).await;
        let count = |metric_name: &str, name: &str| {
            metric(
                &env,
                &format!("driftless_component_{metric_name}_total"),
                &[("component", name)],
            )
        };
        assert_eq!(count("received_events", "odd"), 50.0);
        assert_eq!(count("sent_events", "odd"), 25.0);
        assert_eq!(count("received_events", "twice"), 25.0);
        assert_eq!(count("sent_events", "twice"), 50.0);
        results.push(store.got());
    }
    assert_eq!(results[0], (0..25).flat_map(|i| [4 * i + 2, 2 * i + 1]).collect::<Vec<_>>());
    assert_eq!(results[0], results[1]);
}
