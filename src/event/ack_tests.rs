//! Each sink is heard of once, and of the worst that became of its shares.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

fn sinks(indexes: &[usize]) -> SinkSet {
    indexes.iter().fold(SinkSet::NONE, |set, i| set.union(SinkSet::one(SinkId::new(*i).unwrap())))
}

fn outcomes(rx: &mut mpsc::UnboundedReceiver<Receipt>) -> Vec<(usize, Outcome, bool)> {
    std::iter::from_fn(|| rx.try_recv().ok())
        .map(|receipt| (receipt.sink.index(), receipt.outcome, receipt.last))
        .collect()
}

#[test]
fn a_batch_nobody_accounts_for_is_lost_not_delivered() {
    let (tx, mut rx) = mpsc::unbounded_channel();
    drop(Ack::new(7, sinks(&[0]), tx));
    assert_eq!(outcomes(&mut rx), [(0, Outcome::Lost, true)]);
}

#[test]
fn each_sink_is_told_apart_and_its_worst_share_counts() {
    let (tx, mut rx) = mpsc::unbounded_channel();
    let ack = Ack::new(1, sinks(&[0, 127]), tx);
    let (left, right) = (ack.share(sinks(&[0])), ack.share(sinks(&[0, 127])));
    ack.settle(Outcome::Delivered);
    left.settle(Outcome::Dropped);
    assert_eq!(outcomes(&mut rx), []);
    right.settle(Outcome::Delivered);
    assert_eq!(outcomes(&mut rx), [(0, Outcome::Dropped, false), (127, Outcome::Delivered, true)]);
}

#[test]
fn a_sink_that_no_branch_leads_to_any_more_does_not_keep_a_batch_open() {
    let (tx, mut rx) = mpsc::unbounded_channel();
    let ack = Ack::new(1, sinks(&[0, 1]), tx);
    let branch = ack.share(sinks(&[0]));
    ack.settle(Outcome::Delivered);
    assert_eq!(outcomes(&mut rx), [(1, Outcome::Delivered, false)]);
    branch.settle(Outcome::Delivered);
    assert_eq!(outcomes(&mut rx), [(0, Outcome::Delivered, true)]);
}

#[test]
fn what_becomes_of_a_merged_share_becomes_of_each_that_it_was_made_of() {
    let (tx, mut rx) = mpsc::unbounded_channel();
    let first = Ack::new(1, sinks(&[0, 1]), tx.clone());
    let second = Ack::new(2, sinks(&[1]), tx);
    let made = Ack::merge([first.share(SinkSet::ALL), second.share(SinkSet::ALL)]);
    assert_eq!(made.sinks(), sinks(&[0, 1]));
    let branch = made.share(sinks(&[1]));
    first.settle(Outcome::Delivered);
    made.settle(Outcome::Delivered);
    assert_eq!(outcomes(&mut rx), [(0, Outcome::Delivered, false)]);
    drop(branch);
    assert_eq!(outcomes(&mut rx), [(1, Outcome::Lost, true)], "the second is still held");
    second.settle(Outcome::Delivered);
    assert_eq!(outcomes(&mut rx), [(1, Outcome::Lost, true)]);
}

/// A branch of a fan-out: what becomes of a share, or into which it is split and whether
/// what is left of it is then settled or dropped without a word.
#[derive(Clone, Debug)]
enum Fate {
    End(Option<Outcome>),
    Split(Vec<(u128, Fate)>, Option<Outcome>),
}

fn fate() -> impl Strategy<Value = Fate> {
    let end = || {
        prop_oneof![
            4 => Just(Some(Outcome::Delivered)),
            1 => Just(Some(Outcome::Dropped)),
            1 => Just(Some(Outcome::Lost)),
            1 => Just(None),
        ]
    };
    end().prop_map(Fate::End).prop_recursive(4, 40, 4, move |inner| {
        let branches = proptest::collection::vec((any::<u128>(), inner), 0..4);
        (branches, end()).prop_map(|(branches, rest)| Fate::Split(branches, rest))
    })
}

/// Lets the shares be settled in the order that `later` says, and notes the worst per sink.
fn play(
    ack: Ack,
    fate: &Fate,
    worst: &mut HashMap<SinkId, Outcome>,
    later: &mut Vec<(Ack, Option<Outcome>)>,
) {
    let end = match fate {
        Fate::End(end) => end,
        Fate::Split(branches, rest) => {
            for (sinks, fate) in branches {
                play(ack.share(SinkSet(*sinks)), fate, worst, later);
            }
            rest
        }
    };
    for sink in ack.sinks().iter() {
        let known = worst.entry(sink).or_insert(Outcome::Delivered);
        *known = (*known).max(end.unwrap_or(Outcome::Lost));
    }
    later.push((ack, *end));
}

proptest! {
    #[test]
    fn each_sink_hears_once_and_of_its_worst_share_whatever_the_fan_out(
        sinks: u128,
        merged: bool,
        fate in fate(),
        order in proptest::collection::vec(any::<proptest::sample::Index>(), 64),
    ) {
        let (tx, mut rx) = mpsc::unbounded_channel();
        let (mut worst, mut later) = (HashMap::new(), Vec::new());
        let whole = Ack::new(9, SinkSet(sinks), tx);
        // A share of a share of several is as good as a share.
        let made = Ack::merge([whole.share(SinkSet::ALL), whole.share(SinkSet::ALL)]);
        let part = if merged { Ack::merge([made, whole]) } else { made.settle(Outcome::Delivered); whole };
        play(part, &fate, &mut worst, &mut later);
        for index in order.iter().cycle() {
            if later.is_empty() {
                break;
            }
            match later.swap_remove(index.index(later.len())) {
                (ack, Some(outcome)) => ack.settle(outcome),
                (ack, None) => drop(ack),
            }
        }
        let receipts: Vec<Receipt> = std::iter::from_fn(|| rx.try_recv().ok()).collect();
        let told: HashMap<SinkId, Outcome> =
            receipts.iter().map(|receipt| (receipt.sink, receipt.outcome)).collect();
        prop_assert_eq!(receipts.len(), SinkSet(sinks).iter().count());
        prop_assert_eq!(told, worst);
        let lasts: Vec<bool> = receipts.iter().map(|receipt| receipt.last).collect();
        prop_assert_eq!(lasts.iter().position(|last| *last), receipts.len().checked_sub(1));
    }
}
