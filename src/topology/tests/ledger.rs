//! The ledger: whatever the graph, and whatever fails in it, each record is counted once.

use crate::event::encode::{Encoder, Encoding, Extra};
use crate::event::log::{LogBatch, Origin, RecordRef};
use crate::event::{Batch, Kinds};
use crate::topology::component::{
    BuildContext, BuiltSink, Deliver, Encode, Fault, SinkConfig, Source, SourceConfig,
};
use crate::topology::context::{Environment, SourceContext};
use crate::topology::delivery::Delivery;
use crate::topology::graph::{Component, Graph};
use crate::topology::held::Held;
use crate::topology::output::Output;
use crate::topology::request::{Answer, Rejected, Request, Requests};
use crate::topology::testing::{Batches, Through, add, environment, metric, run_to_end, transform};
use async_trait::async_trait;
use bytes::Bytes;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// Records in a batch.
const RECORDS: u64 = 40;

/// Numbers for which something holds: those whose bit is set, over and over again.
#[derive(Clone, Copy, Debug)]
struct Mask(u64);

impl Mask {
    fn has(self, n: u64) -> bool {
        self.0 & 1 << (n % 64) != 0
    }
}

fn mask() -> impl Strategy<Value = Mask> {
    prop_oneof![2 => any::<u64>(), 1 => Just(0), 1 => Just(u64::MAX)].prop_map(Mask)
}

fn number(record: &RecordRef<'_>) -> u64 {
    std::str::from_utf8(record.raw()).unwrap().parse().unwrap()
}

/// Gives so many batches of numbers, and again what gets lost.
#[derive(Clone, Debug)]
struct Feed(u64);

impl SourceConfig for Feed {
    fn gives(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Source>, Fault> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl Source for Feed {
    async fn run(self: Box<Self>, out: Output, mut cx: SourceContext) -> Result<(), Fault> {
        let mut held = Held::new(out, &mut cx, 1 << 20);
        for at in 0..self.0 {
            let lines: String =
                (at * RECORDS..(at + 1) * RECORDS).map(|n| format!("{n}\n")).collect();
            let origin = Arc::new(Origin::default());
            let logs = LogBatch::from_lines(&Bytes::from(lines), origin, at * 1000, 0);
            held.send(Batch::Logs(logs), None).await?;
        }
        while held.owed().first() < self.0 {
            let receipt = held.receipt().await;
            held.settle(receipt).await?;
        }
        held.finish().await;
        Ok(())
    }
}

/// A sink that rejects some numbers, and is away at first.
#[derive(Clone, Debug)]
struct Picky {
    /// These it cannot send, and says so before it tries.
    leaves_out: Mask,
    rejects: Mask,
    has_letters: bool,
    away: Arc<AtomicBool>,
}

impl SinkConfig for Picky {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn dead_letter(&self) -> Option<&str> {
        self.has_letters.then_some("letters")
    }

    fn build(&self, _: &BuildContext) -> Result<BuiltSink, Fault> {
        let encoder = Encoder::new(&Encoding::Text, Extra::Nothing);
        let encoder = Box::new(Plain { encoder, leaves_out: self.leaves_out });
        let delivery = Delivery { partial: true, ..Delivery::default() };
        Ok(BuiltSink::Requests { encoder, sender: Arc::new(self.clone()), delivery })
    }
}

struct Plain {
    encoder: Encoder,
    leaves_out: Mask,
}

impl Encode for Plain {
    fn encode(&mut self, batch: &Batch, requests: &mut Requests) -> Result<(), Fault> {
        let Batch::Logs(logs) = batch else { return Err(Fault::fatal("logs only")) };
        for (at, record) in logs.records().enumerate() {
            // A letter is no number, and always sent.
            let number = std::str::from_utf8(record.raw()).unwrap().parse::<u64>();
            if number.is_ok_and(|number| self.leaves_out.has(number)) {
                requests.leave_out(at, "too_long");
                continue;
            }
            requests.to("").append_record(&record, |body| {
                let start = body.len();
                self.encoder.encode_record(&record, body);
                start
            });
        }
        Ok(())
    }
}

#[async_trait]
impl Deliver for Picky {
    async fn deliver(&self, request: &Request) -> Result<Answer, Fault> {
        if self.away.swap(false, SeqCst) {
            return Err(Fault::passing("away"));
        }
        let numbers = request.encoded().map(|text| {
            // A letter is no number, and never rejected.
            std::str::from_utf8(text).unwrap().trim().parse::<u64>().ok()
        });
        let bad = |number: &Option<u64>| number.is_some_and(|number| self.rejects.has(number));
        let bad = numbers.enumerate().filter(|(_, number)| bad(number)).map(|(at, _)| at);
        let rejected = bad.map(|record| Rejected { record, reason: "bad".into(), status: None });
        Ok(Answer { rejected: rejected.collect(), ..Answer::default() })
    }
}

fn picky(leaves_out: Mask, rejects: Mask, has_letters: bool) -> Component {
    let away = Arc::new(AtomicBool::new(true));
    Component::Sink(Arc::new(Picky { leaves_out, rejects, has_letters, away }))
}

/// Keeps some numbers, after it has given others up.
fn filter(keeps: Mask, throttles: Mask, breaks_at: Option<u64>) -> Through {
    let breaks = AtomicBool::new(breaks_at.is_some());
    Through::new(move |batch, out| {
        let Batch::Logs(mut logs) = batch else { return Ok(()) };
        let first = logs.records().next().map(|record| number(&record));
        let fails = first.is_some() && first == breaks_at && breaks.swap(false, SeqCst);
        assert!(!fails, "a bug");
        let before = logs.len();
        logs.retain(|record| !throttles.has(number(record)));
        out.count_dropped("throttled", (before - logs.len()) as u64);
        logs.retain(|record| keeps.has(number(record)));
        out.emit(Batch::Logs(logs));
        Ok(())
    })
}

/// What the ledger says of the source.
fn counted(env: &Environment, outcome: &str, reason: &str) -> u64 {
    let labels = [("component", "in"), ("outcome", outcome), ("reason", reason)];
    whole(metric(env, "driftless_ledger_records_total", &labels))
}

fn read(env: &Environment) -> u64 {
    whole(metric(env, "driftless_ledger_read_records_total", &[("component", "in")]))
}

fn whole(value: f64) -> u64 {
    assert_eq!(value.fract(), 0.0);
    // A sum of nothing is below zero, if only by its sign.
    format!("{}", value.abs()).parse().unwrap()
}

#[derive(Clone, Debug)]
struct Branch {
    keeps: Mask,
    leaves_out: Mask,
    rejects: Mask,
    has_letters: bool,
    /// Whether the sink also gets everything by a way without the filter.
    is_doubled: bool,
}

fn branch() -> impl Strategy<Value = Branch> {
    let flags = (any::<bool>(), proptest::bool::weighted(0.2));
    (mask(), mask(), mask(), flags).prop_map(
        |(keeps, leaves_out, rejects, (has_letters, is_doubled))| Branch {
            keeps,
            // Few, so that others are left.
            leaves_out: Mask(leaves_out.0 & 0x1111),
            rejects,
            has_letters,
            is_doubled,
        },
    )
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Filtered,
    Delivered,
    LeftOut,
    Rejected,
    Throttled,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn read_is_what_was_delivered_filtered_dropped_and_replayed(
        keeps in mask(),
        throttles in mask(),
        branches in proptest::collection::vec(branch(), 1..4),
        breaks in any::<bool>(),
        batches in 1..5u64,
    ) {
        let breaks_at = (breaks && batches > 1).then_some(RECORDS);
        let mut graph = Graph::default();
        add(&mut graph, "in", &[], "1", Component::Source(Arc::new(Feed(batches))));
        add(&mut graph, "common", &["in"], "1", transform(filter(keeps, throttles, breaks_at)));
        for (at, branch) in branches.iter().enumerate() {
            let (by, to) = (format!("filter{at}"), format!("sink{at}"));
            let through = filter(branch.keeps, Mask(0), None);
            add(&mut graph, &by, &["common"], "1", transform(through));
            let inputs = if branch.is_doubled { vec![&*by, "common"] } else { vec![&*by] };
            add(&mut graph, &to, &inputs, "1", picky(branch.leaves_out, branch.rejects, branch.has_letters));
        }
        if branches.iter().any(|branch| branch.has_letters) {
            add(&mut graph, "letters", &[], "1", picky(Mask(0), Mask(0), false));
        }
        let env = environment();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(run_to_end(&graph, &env));

        let fate = |n: u64| match n {
            n if throttles.has(n) => Fate::Throttled,
            n if !keeps.has(n) => Fate::Filtered,
            n => branches.iter().map(|branch| match branch.keeps.has(n) || branch.is_doubled {
                false => Fate::Filtered,
                true if branch.leaves_out.has(n) => Fate::LeftOut,
                true if branch.rejects.has(n) && !branch.has_letters => Fate::Rejected,
                true => Fate::Delivered,
            }).max().unwrap(),
        };
        let all = batches * RECORDS;
        let count = |wanted: Fate| (0..all).filter(|n| fate(*n) == wanted).count() as u64;
        let replayed = if breaks_at.is_some() { RECORDS } else { 0 };
        prop_assert_eq!(read(&env), all + replayed);
        prop_assert_eq!(counted(&env, "replayed", ""), replayed);
        prop_assert_eq!(counted(&env, "delivered", ""), count(Fate::Delivered));
        prop_assert_eq!(counted(&env, "filtered", ""), count(Fate::Filtered));
        // What one sink rejects and another leaves out is counted once, as one or the other.
        let lost = |n: &u64| matches!(fate(*n), Fate::LeftOut | Fate::Rejected);
        let dropped = counted(&env, "dropped", "rejected") + counted(&env, "dropped", "too_long");
        prop_assert_eq!(dropped, (0..all).filter(lost).count() as u64);
        prop_assert_eq!(counted(&env, "dropped", "throttled"), count(Fate::Throttled));
        let in_flight = metric(&env, "driftless_ledger_in_flight_records", &[("component", "in")]);
        prop_assert_eq!(in_flight, 0.0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_transform_made_one_of_is_merged() {
    let mut graph = Graph::default();
    let spell = Through::new(|batch, out| {
        // One record a batch, which is what the next one takes.
        let Batch::Logs(mut logs) = batch else { return Ok(()) };
        let first = logs.records().next().map(|record| number(&record));
        logs.retain(|record| Some(number(record)) == first);
        out.emit(Batch::Logs(logs));
        Ok(())
    });
    add(&mut graph, "in", &[], "1", Component::Source(Arc::new(Feed(4))));
    add(&mut graph, "first", &["in"], "1", transform(spell));
    add(&mut graph, "pairs", &["first"], "1", Batches::of(2).component());
    add(&mut graph, "out", &["pairs"], "1", picky(Mask(0), Mask(0), false));
    let env = environment();
    run_to_end(&graph, &env).await;
    assert_eq!((read(&env), counted(&env, "merged", "")), (4 * RECORDS, 4 * RECORDS));
}
