//! Each record counts once, whatever the filters leave of it and whatever the sinks reject.

use super::*;
use crate::event::ack::{Ack, Outcome, SinkId, SinkSet};
use crate::event::log::Origin;
use bytes::Bytes;
use proptest::prelude::*;
use tokio::sync::mpsc;

/// Keeps what it is told.
#[derive(Default)]
struct Kept {
    opened: Mutex<u64>,
    closed: Mutex<Vec<Tally>>,
}

impl Book for Kept {
    fn opened(&self, records: u64) {
        *self.opened.lock().unwrap() += records;
    }

    fn closed(&self, tally: &Tally) {
        self.closed.lock().unwrap().push(tally.clone());
    }
}

/// A batch of so many lines, and its acknowledgement, meant for these sinks.
fn batch(records: u64, sinks: usize, kept: &Arc<Kept>) -> (Batch, Ack) {
    let lines: String = (0..records).map(|n| format!("{n}\n")).collect();
    let logs = LogBatch::from_lines(&Bytes::from(lines), Arc::new(Origin::default()), 0, 0);
    let batch = Batch::Logs(logs);
    let book: Arc<dyn Book> = Arc::clone(kept) as Arc<dyn Book>;
    let all = (0..sinks).fold(SinkSet::NONE, |set, at| set.union(sink(at)));
    let ack = Ack::booked(1, all, mpsc::unbounded_channel().0, Sheet::of(&batch, &book));
    (batch, ack)
}

fn sink(at: usize) -> SinkSet {
    SinkSet::one(SinkId::new(at).unwrap())
}

/// What a filter leaves of it: the records whose bits are set.
fn kept_of(batch: &Batch, bits: u64) -> Batch {
    let Batch::Logs(logs) = batch else { panic!("expected logs") };
    let mut logs = logs.clone();
    let mut at = 0;
    logs.retain(|_| {
        at += 1;
        bits & 1 << (at - 1) != 0
    });
    Batch::Logs(logs)
}

/// As [`kept_of`], as one that looks only at the chunk does it.
fn lines_of(batch: &Batch, bits: u64) -> Batch {
    let Batch::Logs(logs) = batch else { panic!("expected logs") };
    let mut logs = logs.clone();
    let lines: Vec<(usize, usize)> = logs
        .records()
        .map(|record| (record.span().0 as usize, record.span().1 as usize))
        .enumerate()
        .filter(|(at, _)| bits & 1 << at != 0)
        .map(|(_, span)| span)
        .collect();
    logs.keep_lines(lines.into_iter());
    Batch::Logs(logs)
}

fn only(kept: &Kept) -> Tally {
    let closed = kept.closed.lock().unwrap();
    assert_eq!(closed.len(), 1);
    closed[0].clone()
}

#[test]
fn what_no_sink_has_seen_was_left_out_on_purpose() {
    let kept = Arc::new(Kept::default());
    let (batch, mut ack) = batch(5, 1, &kept);
    ack.arrive(&kept_of(&batch, 0b10110));
    assert_eq!(*kept.closed.lock().unwrap(), []);
    ack.settle(Outcome::Delivered);
    assert_eq!(only(&kept), Tally { records: 5, delivered: 3, filtered: 2, ..Tally::default() });
}

#[test]
fn what_is_lost_will_be_read_again_but_for_what_was_given_up() {
    let kept = Arc::new(Kept::default());
    let (batch, mut ack) = batch(5, 1, &kept);
    ack.leave_out("throttled", 1);
    ack.arrive(&kept_of(&batch, 0b1110));
    ack.reject("rejected", &[0], 3);
    drop(ack);
    let dropped = vec![("throttled".into(), 1), ("rejected".into(), 1)];
    assert_eq!(only(&kept), Tally { records: 5, replayed: 3, dropped, ..Tally::default() });
}

#[test]
fn what_is_on_disk_is_not_delivered_yet() {
    let kept = Arc::new(Kept::default());
    let (batch, ack) = batch(4, 2, &kept);
    ack.split();
    let (mut fast, mut disk) = (ack.share(sink(0)), ack.share(sink(1)));
    ack.settle(Outcome::Delivered);
    fast.arrive(&batch);
    fast.settle(Outcome::Delivered);
    disk.buffer(&kept_of(&batch, 0b1000));
    disk.settle(Outcome::Delivered);
    assert_eq!(only(&kept), Tally { records: 4, delivered: 3, buffered: 1, ..Tally::default() });
}

#[test]
fn records_that_were_made_of_others_answer_for_all_of_these() {
    for (outcome, merged, dropped) in
        [(Outcome::Delivered, 3, vec![]), (Outcome::Dropped, 0, vec![(Arc::from("rejected"), 3)])]
    {
        let (kept, other) = (Arc::new(Kept::default()), Arc::new(Kept::default()));
        let ((_, one), (_, two)) = (batch(3, 1, &kept), batch(3, 1, &kept));
        let (made, _) = batch(1, 1, &other);
        let mut ack = Ack::merge([one, two]);
        ack.arrive(&made);
        ack.settle(outcome);
        let expected = Tally { records: 3, merged, dropped: dropped.clone(), ..Tally::default() };
        assert_eq!(*kept.closed.lock().unwrap(), [expected.clone(), expected]);
    }
}

#[test]
fn a_letter_answers_for_its_record_only() {
    for (outcome, delivered, dropped) in
        [(Outcome::Delivered, 4, vec![]), (Outcome::Dropped, 3, vec![(Arc::from("rejected"), 1)])]
    {
        let (kept, other) = (Arc::new(Kept::default()), Arc::new(Kept::default()));
        let (batch_of_four, mut ack) = batch(4, 1, &kept);
        ack.arrive(&batch_of_four);
        let mut letter = Ack::merge([ack.share_at(&[2], 4)]);
        ack.settle(Outcome::Delivered);
        letter.arrive(&batch(1, 1, &other).0);
        letter.settle(outcome);
        assert_eq!(only(&kept), Tally { records: 4, delivered, dropped, ..Tally::default() });
    }
}

/// What one branch of a fan-out does: which records its filter keeps, and which of these its sink
/// rejects.
type Branch = (u64, u64, bool);

proptest! {
    #[test]
    fn each_record_counts_once_and_as_the_worst_that_any_sink_made_of_it(
        records in 1..64u64,
        before in any::<u64>(),
        branches in proptest::collection::vec(any::<Branch>(), 1..5),
        order in any::<bool>(),
    ) {
        let kept = Arc::new(Kept::default());
        let (source, ack) = batch(records, branches.len(), &kept);
        let first = kept_of(&source, before);
        if branches.len() > 1 {
            ack.split();
        }
        let mut expected = vec![FILTERED; usize::try_from(records).unwrap()];
        let mut shares = Vec::new();
        for (at, (keeps, rejects, by_line)) in branches.iter().enumerate() {
            let mut share = ack.share(sink(at));
            let came = if *by_line {
                lines_of(&source, before & keeps)
            } else {
                kept_of(&source, before & keeps)
            };
            share.arrive(&came);
            let arrived: Vec<usize> =
                (0..expected.len()).filter(|n| before & keeps & 1 << n != 0).collect();
            let mut positions = Vec::new();
            for (position, n) in arrived.iter().enumerate() {
                let level = if rejects & 1 << n == 0 { DELIVERED } else { DROPPED };
                expected[*n] = expected[*n].max(level);
                if level == DROPPED {
                    positions.push(position);
                }
            }
            share.reject("rejected", &positions, arrived.len() as u64);
            shares.push(share);
        }
        drop(first);
        ack.settle(Outcome::Delivered);
        if order {
            shares.reverse();
        }
        shares.into_iter().for_each(|share| share.end(Outcome::Delivered));
        let count = |level: Level| expected.iter().filter(|it| **it == level).count() as u64;
        let dropped = vec![(Arc::<str>::from("rejected"), count(DROPPED))];
        let expected = Tally {
            records,
            delivered: count(DELIVERED),
            filtered: count(FILTERED),
            dropped: dropped.into_iter().filter(|(_, records)| *records > 0).collect(),
            ..Tally::default()
        };
        prop_assert_eq!(only(&kept), expected);
        prop_assert_eq!(*kept.opened.lock().unwrap(), records);
    }
}
