//! What a run costs that has nothing to do: 1000 files that are as declared.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use driftless::event::secret::{Masker, Secrets};
use driftless::event::task::{Home, Play, Step, Task, TaskSet};
use driftless::event::tree::{Node, Value as Tree};
use driftless::expr::jinja::Engine;
use driftless::expr::scope::Vars;
use driftless::host::machine::Machine;
use driftless::sinks::apply::executor::{Inputs, Pending, Selection, Silent, run};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

const TASKS: usize = 1000;

/// One `copy` task a file, each with a variable in its text.
fn set(root: &Path) -> TaskSet {
    let home = Arc::new(Home { directory: root.to_owned(), ..Home::default() });
    let task = |number: usize| {
        let dest = root.join(format!("file-{number}.conf")).display().to_string();
        let text = format!("number = {number}\nport = {{{{ port }}}}\n");
        let args = [("dest", dest.as_str()), ("content", text.as_str()), ("mode", "0644")];
        let args = args.map(|(name, value)| (name.into(), Node::string(value)));
        Task {
            name: format!("settings {number}"),
            module: "copy".into(),
            args: Node::new(Tree::Map(args.into())),
            home: Arc::clone(&home),
            ..Task::default()
        }
    };
    let steps = (0..TASKS).map(|number| Step::Task(task(number))).collect();
    TaskSet {
        revision: "bench".into(),
        base: root.to_owned(),
        vars: Vars::from([("port".to_owned(), Node::string("8080"))]),
        plays: vec![Play { steps, ..Play::default() }],
        ..TaskSet::default()
    }
}

fn nothing_to_do(c: &mut Criterion) {
    let Ok(root) = tempfile::tempdir() else { return };
    let set = set(root.path());
    let inputs = Inputs {
        engine: Arc::new(Engine::new()),
        facts: minijinja::Value::UNDEFINED,
        host: "bench".into(),
        secrets: Secrets::default(),
        masker: Masker::default(),
        extra_vars: Vars::new(),
        pending: Pending::default(),
        diffs: false,
    };
    let go =
        |machine: &mut Machine| run(&set, machine, &inputs, &Selection::default(), &mut Silent);
    let first = go(&mut Machine::live());
    assert_eq!(first.recap().changed, TASKS, "{:?}", first.tasks.last());
    let mut group = c.benchmark_group("apply");
    group.throughput(Throughput::Elements(TASKS as u64)).sample_size(10);
    group.bench_function("1000 files as declared", |b| {
        b.iter(|| {
            let report = go(&mut Machine::live());
            assert_eq!(report.recap().ok, TASKS);
            black_box(report)
        });
    });
    group.bench_function("1000 files as declared, dry run", |b| {
        b.iter(|| black_box(go(&mut Machine::overlay())));
    });
    group.finish();
}

criterion_group!(benches, nothing_to_do);
criterion_main!(benches);
