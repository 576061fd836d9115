//! Trials: what a graph does to given batches, without running it.

use crate::topology::graph::Graph;
use crate::topology::testing::{
    Batches, Numbers, Store, Through, add, environment, number, numbers, sink, source, transform,
};
use crate::topology::trial::{Cause, Names, Trial};
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// `in` → `tens` (held for five seconds) → `out`, and beside it `in` → `even` → `evens`.
fn graph() -> (Graph, Arc<Numbers>) {
    let (feed, store) = (Numbers::up_to(0), Store::new());
    let mut graph = Graph::default();
    add(&mut graph, "logs.in", &[], "1", source(&feed));
    let held = Batches::of(10).after(5 * SECOND).component();
    add(&mut graph, "logs.in.tens", &["logs.in"], "1", held);
    let even = Through::new(|batch, out| {
        if numbers(&batch)[0].is_multiple_of(2) {
            out.emit_to(&Arc::from("even"), batch);
        }
        Ok(())
    });
    let even = Through { outputs: vec!["even".into()], ..even };
    add(&mut graph, "even", &["logs.in"], "1", transform(even));
    add(&mut graph, "out", &["logs.in.tens"], "1", sink(&store));
    add(&mut graph, "evens", &["even.even"], "1", sink(&store));
    (graph, feed)
}

/// What came to a sink.
fn got(trial: &Trial, sink: &str) -> Vec<u64> {
    let steps = trial.steps().iter().filter(|step| &*step.node == sink);
    let batches = steps.filter_map(|step| match &step.cause {
        Cause::Batch(batch) => Some(numbers(batch)),
        Cause::Time | Cause::End => None,
    });
    batches.flatten().collect()
}

#[test]
fn time_passes_only_when_it_is_told_to_and_the_end_brings_out_the_rest() {
    let (graph, feed) = graph();
    let mut trial = Trial::new(&graph, &environment()).unwrap();
    trial.give("logs.in", number(0)).unwrap();
    trial.give("logs.in", number(1)).unwrap();
    trial.wait(4 * SECOND).unwrap();
    trial.give("logs.in", number(2)).unwrap();
    assert_eq!((got(&trial, "out"), got(&trial, "evens")), (vec![], vec![0, 2]));
    trial.wait(SECOND).unwrap();
    assert_eq!(got(&trial, "out"), [0, 1], "two were due at the same moment");
    trial.finish().unwrap();
    assert_eq!(got(&trial, "out"), [0, 1, 2]);
    assert_eq!((trial.now(), feed.sent()), (5 * SECOND, 0), "and no source has run");
}

#[test]
fn places_are_found_by_the_names_that_people_use() {
    let (graph, _) = graph();
    let names = Names::of(&graph);
    assert_eq!(&*names.input("in").unwrap(), "logs.in");
    assert_eq!(&*names.output("in").unwrap().node, "logs.in.tens", "the end of the chain");
    assert_eq!(&*names.output("logs.in").unwrap().node, "logs.in");
    assert_eq!(&*names.output("even.even").unwrap().output, "even");
    assert_eq!(&*names.output("out").unwrap().node, "out");
    let above: Vec<_> = names.above("evens").iter().map(ToString::to_string).collect();
    assert_eq!(above, ["logs.in", "even", "evens"]);
    assert_eq!(
        names.input("out").unwrap_err().message,
        "`out` is a sink, and nothing goes on from there"
    );
    let unknown = names.output("evn").unwrap_err();
    assert_eq!(unknown.hint.as_deref(), Some("did you mean `even`?"));
    let unknown = names.output("even.odd").unwrap_err();
    assert_eq!(unknown.hint.as_deref(), Some("its outputs are `even.even`"));
}
