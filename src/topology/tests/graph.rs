//! What is wrong with a graph is said before anything runs, in the user's words.

use crate::event::Kinds;
use crate::event::fault::Diagnostic;
use crate::event::tree::{SourceFile, Span};
use crate::topology::component::{BuildContext, Fault, Transform, TransformConfig};
use crate::topology::graph::{Component, Graph};
use crate::topology::testing::{Numbers, Store, Through, add, sink, source, transform};
use std::path::Path;
use std::sync::Arc;

/// Takes metrics, has only a named output.
#[derive(Debug)]
struct Metrics;

impl TransformConfig for Metrics {
    fn takes(&self) -> Kinds {
        Kinds::METRICS
    }

    fn outputs(&self) -> Vec<Arc<str>> {
        vec!["high".into(), "low".into()]
    }

    fn has_default_output(&self) -> bool {
        false
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Transform>, Fault> {
        Err(Fault::fatal("never built"))
    }
}

/// The complaints about a graph written as `kind name < input input`, one a line.
fn complaints(text: &str) -> String {
    let file = Arc::new(SourceFile::new(Path::new("t.yml").into(), text.into()));
    let span = |word: &str| {
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        Some(Span { file: Arc::clone(&file), start, end: start + word.len() })
    };
    let mut graph = Graph::default();
    for line in text.lines() {
        let mut words = line.split_whitespace().filter(|word| *word != "<");
        let (kind, name) = (words.next().unwrap(), words.next().unwrap());
        let component = match kind {
            "source" => source(&Numbers::up_to(0)),
            "through" => transform(Through::all()),
            "metrics" => Component::Transform(Arc::new(Metrics)),
            "sink" => sink(&Store::new()),
            other => panic!("no kind {other}"),
        };
        let inputs: Vec<&str> = words.collect();
        add(&mut graph, name, &inputs, "1", component);
        let node = &mut graph.nodes[name];
        node.span = span(name);
        node.inputs = inputs.iter().map(|word| (Arc::from(*word), span(word))).collect();
    }
    let show = |complaint: &Diagnostic| {
        let hint = complaint.hint.iter().map(|hint| format!("\n  hint: {hint}"));
        let also = complaint.related.iter().map(|(span, what)| format!("\n  {span}: {what}"));
        format!("{complaint}{}", hint.chain(also).collect::<String>())
    };
    match graph.wire() {
        Ok(_) => "fine".to_owned(),
        Err(all) => all.iter().map(show).collect::<Vec<_>>().join("\n"),
    }
}

#[test]
fn a_sound_graph_passes() {
    assert_eq!(complaints("source a\nthrough t < a\nsink s < t a"), "fine");
}

#[test]
fn an_unknown_input_is_named_with_the_likely_one_and_nothing_else_is_said() {
    insta::assert_snapshot!(complaints("source nginx\nsink s < ngnix"), @r"
    t.yml:2:10: `s` reads from `ngnix`, and there is no such component
      hint: did you mean `nginx`?
    ");
    insta::assert_snapshot!(complaints("source nginx\nsink s < apache"), @r"
    t.yml:2:10: `s` reads from `apache`, and there is no such component
    t.yml:1:8: nothing reads from the source `nginx`
      hint: give it to a sink, or leave it out
    ");
}

#[test]
fn an_unknown_output_is_answered_with_those_that_there_are() {
    insta::assert_snapshot!(
        complaints("source a\nmetrics m < a\nsink s < m.hihg\nsink t < m\nsink u < a.b"), @r"
    t.yml:3:10: `s` reads from `m.hihg`, and `m` has no output `hihg`
      hint: its outputs are `m.high`, `m.low`
    t.yml:4:10: `t` reads from `m`, which has only named outputs
      hint: its outputs are `m.high`, `m.low`
    t.yml:5:10: `u` reads from `a.b`, and `a` has no output `b`
    ");
}

#[test]
fn a_circle_is_shown_all_the_way_round() {
    insta::assert_snapshot!(
        complaints("source a\nthrough x < a z\nthrough y < x\nthrough z < y\nsink s < z"), @r"
    t.yml:2:9: these components read from each other in a circle: `y` → `z` → `x` → `y`
    ");
    insta::assert_snapshot!(complaints("through x < x\nsink s < x"), @r"
    t.yml:1:9: these components read from each other in a circle: `x` → `x`
    ");
}

#[test]
fn a_wire_of_the_wrong_kind_is_shown_with_both_its_ends() {
    insta::assert_snapshot!(complaints("source a\nmetrics m < a\nsink s < m.high"), @r"
    t.yml:2:13: `m` reads logs from `a`, and a transform of type `test` takes metrics
      t.yml:1:8: `a` gives logs
    ");
}

#[test]
fn ends_that_lead_nowhere_are_found() {
    insta::assert_snapshot!(
        complaints("source a\nsource b\nsink s < a a\nsink t < s\nsink u\nthrough v < a"), @r"
    t.yml:3:12: `s` reads from `a` twice
    t.yml:4:10: `t` reads from `s`, which is a sink and gives nothing
    t.yml:5:6: the sink `u` reads from nothing
      hint: name the components it reads from: `inputs: [NAME]`
    t.yml:2:8: nothing reads from the source `b`
      hint: give it to a sink, or leave it out
    t.yml:6:9: nothing reads from the transform `v`
      hint: give it to a sink, or leave it out
    ");
}
