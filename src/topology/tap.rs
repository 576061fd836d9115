//! Taps: what passes a component, shown to whoever wants to see it, without holding it up. Where
//! nobody does, a batch costs one look at a number.

use crate::event::Batch;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// Batches that wait for whoever looks; what comes then goes by unseen. Few, since they keep the
/// memory of what was read.
const MOST_WAITING: usize = 4;

/// The taps of all components. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Taps(Arc<Mutex<HashMap<Arc<str>, Arc<Point>>>>);

/// On which side of a component somebody looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// At what it takes.
    Input,
    /// At what it passes on.
    Output,
}

/// Where taps of one component are put on.
#[derive(Debug, Default)]
pub(super) struct Point {
    /// How many look. Read for each batch, so kept beside the list.
    looking: AtomicUsize,
    lookers: Mutex<Vec<Looker>>,
}

#[derive(Debug)]
struct Looker {
    number: usize,
    side: Side,
    batches: mpsc::Sender<Batch>,
    missed: Arc<AtomicU64>,
}

/// Somebody looks, for as long as this lives.
#[derive(Debug)]
pub struct Tap {
    point: Arc<Point>,
    number: usize,
    batches: mpsc::Receiver<Batch>,
    missed: Arc<AtomicU64>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Taps {
    /// Where the taps of this component are put on. It stays the same over reloads.
    pub(super) fn point(&self, component: &Arc<str>) -> Arc<Point> {
        Arc::clone(locked(&self.0).entry(Arc::clone(component)).or_default())
    }

    /// Looks at one component from now on.
    pub fn put_on(&self, component: &Arc<str>, side: Side) -> Tap {
        static NUMBERS: AtomicUsize = AtomicUsize::new(0);
        let (point, number) = (self.point(component), NUMBERS.fetch_add(1, Ordering::Relaxed));
        let (sender, batches) = mpsc::channel(MOST_WAITING);
        let missed = Arc::new(AtomicU64::new(0));
        let looker = Looker { number, side, batches: sender, missed: Arc::clone(&missed) };
        locked(&point.lookers).push(looker);
        point.looking.fetch_add(1, Ordering::Relaxed);
        Tap { point, number, batches, missed }
    }

    /// The component is there no more. Who still looks at it sees it again where it comes back.
    pub(super) fn forget(&self, component: &str) {
        locked(&self.0).retain(|name, point| {
            **name != *component || point.looking.load(Ordering::Relaxed) > 0
        });
    }
}

impl Point {
    /// A batch passes.
    pub(super) fn pass(&self, side: Side, batch: &Batch) {
        if self.looking.load(Ordering::Relaxed) > 0 {
            self.show(side, batch);
        }
    }

    #[cold]
    fn show(&self, side: Side, batch: &Batch) {
        for looker in locked(&self.lookers).iter().filter(|looker| looker.side == side) {
            if looker.batches.try_send(batch.clone()).is_err() {
                looker.missed.fetch_add(batch.len() as u64, Ordering::Relaxed);
            }
        }
    }
}

impl Tap {
    /// What passes next, and how many records went by unseen before it.
    pub async fn next(&mut self) -> (Batch, u64) {
        match self.batches.recv().await {
            Some(batch) => (batch, self.missed.swap(0, Ordering::Relaxed)),
            // The sender is in the list of the point that this holds.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        locked(&self.point.lookers).retain(|looker| looker.number != self.number);
        self.point.looking.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::metric::{Family, MetricBatch, MetricKind};
    use futures::FutureExt;

    fn batch() -> Batch {
        let family = Family::single("one", MetricKind::Gauge, "", 1.0);
        Batch::Metrics(MetricBatch::new(vec![family]))
    }

    #[tokio::test]
    async fn who_looks_too_slowly_misses_what_passes_and_is_told_how_much() {
        let (taps, name) = (Taps::default(), Arc::from("logs.app"));
        let point = taps.point(&name);
        let mut tap = taps.put_on(&name, Side::Output);
        for _ in 0..10 {
            point.pass(Side::Output, &batch());
            point.pass(Side::Input, &batch());
        }
        assert_eq!(tap.next().await.1, 6);
        for _ in 1..MOST_WAITING {
            assert_eq!(tap.next().await.1, 0);
        }
        assert!(tap.next().now_or_never().is_none(), "the other side is not shown");
    }

    #[tokio::test]
    async fn a_tap_lasts_over_a_reload_and_leaves_nothing_behind() {
        let (taps, name) = (Taps::default(), Arc::from("logs.app"));
        let mut tap = taps.put_on(&name, Side::Input);
        taps.forget(&name);
        taps.point(&name).pass(Side::Input, &batch());
        assert_eq!(tap.next().await.0.len(), 1);
        let point = taps.point(&name);
        drop(tap);
        assert_eq!(point.looking.load(Ordering::Relaxed), 0);
        assert!(locked(&point.lookers).is_empty());
        taps.forget(&name);
        assert!(locked(&taps.0).is_empty());
    }
}
