//! Random histories of a log file: whatever happens to it, every line arrives, in order, once.

use super::harness::{Bench, Collector, append, lines, stop};
use driftless::topology::run::Topology;
use proptest::prelude::*;
use std::fs;

#[derive(Clone, Debug)]
enum Event {
    /// So many lines are written.
    Write(usize),
    /// A line is written in two parts; in between something else may happen.
    Half,
    /// The file is renamed and a new one made.
    Rotate,
    /// What was read is cut away.
    Truncate,
    /// The agent stops in an orderly way, or starts.
    StopOrStart,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (1usize..2000).prop_map(Event::Write),
        1 => Just(Event::Half),
        2 => Just(Event::Rotate),
        1 => Just(Event::Truncate),
        2 => Just(Event::StopOrStart),
    ];
    prop::collection::vec(event, 1..12)
}

/// The writer's and the reader's side of a history.
struct History {
    bench: Bench,
    sink: Collector,
    running: Option<Topology>,
    written: usize,
    half: bool,
    rotations: usize,
    /// Whether the agent has met the file of this name.
    known: bool,
}

impl History {
    fn write(&mut self, text: &str) {
        append(&self.bench.path("a.log"), text);
    }

    fn write_lines(&mut self, count: usize) {
        self.finish_half();
        let text = super::harness::text(self.written..self.written + count);
        self.written += count;
        self.write(&text);
    }

    fn finish_half(&mut self) {
        if std::mem::take(&mut self.half) {
            let line = format!("line {}\n", self.written);
            self.written += 1;
            self.write(&line[2..]);
        }
    }

    async fn is_known(&mut self) -> bool {
        if self.running.is_some() && !self.known {
            self.write_lines(1);
            self.sink.wait_for(self.written).await;
            self.known = true;
        }
        self.known
    }

    async fn play(&mut self, event: Event) {
        match event {
            Event::Write(count) => self.write_lines(count),
            Event::Half => {
                self.finish_half();
                self.half = true;
                self.write("li");
            }
            // A file that nobody has met goes unseen when it loses the name that is looked for.
            Event::Rotate if !self.is_known().await => {}
            Event::Rotate => {
                self.finish_half();
                self.known = false;
                self.rotations += 1;
                self.bench.rename("a.log", &format!("a.{}", self.rotations));
                self.write("");
            }
            // Only what was read may be cut away, or nobody could tell.
            Event::Truncate if self.running.is_some() => {
                self.finish_half();
                self.sink.wait_for(self.written).await;
                fs::write(self.bench.path("a.log"), "").unwrap();
                self.write_lines(3);
            }
            Event::Truncate => {}
            Event::StopOrStart => match self.running.take() {
                Some(topology) => stop(topology).await,
                None => self.running = Some(self.bench.start(&[("out", &self.sink)])),
            },
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_line_arrives_once_and_in_order(events in events()) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let mut history = History {
                bench: Bench::new(),
                sink: Collector::default(),
                running: None,
                written: 0,
                half: false,
                rotations: 0,
                known: false,
            };
            for event in events {
                history.play(event).await;
            }
            history.finish_half();
            if let Some(topology) = history.running.take() {
                stop(topology).await;
            }
            history.bench.once(&[("out", &history.sink)]).await;
            assert_eq!(history.sink.lines(), lines(0..history.written));
        });
    }
}
