//! A transform that holds numbers back until it has a number of them, or until they are due.

use super::{number, numbers};
use crate::event::{Batch, Kinds};
use crate::topology::component::{
    BuildContext, Fault, Outputs, Remember, Transform, TransformConfig,
};
use crate::topology::graph::Component;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Holds back so many numbers.
#[derive(Clone, Debug)]
pub(crate) struct Batches {
    of: usize,
    after: Option<Duration>,
    failing_at: Option<u64>,
    weight: usize,
    most: Arc<AtomicUsize>,
}

impl Batches {
    pub(crate) fn of(of: usize) -> Self {
        Self { of, after: None, failing_at: None, weight: 1, most: Arc::default() }
    }

    /// Each is emitted after this long at the latest.
    pub(crate) fn after(self, after: Duration) -> Self {
        Self { after: Some(after), ..self }
    }

    /// It panics at this number.
    pub(crate) fn failing_at(self, number: u64) -> Self {
        Self { failing_at: Some(number), ..self }
    }

    /// So many bytes are held for each number.
    pub(crate) fn weighing(self, weight: usize) -> Self {
        Self { weight, ..self }
    }

    /// The most numbers that were held at a time.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    pub(crate) fn component(&self) -> Component {
        Component::Transform(Arc::new(self.clone()))
    }
}

impl TransformConfig for Batches {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Transform>, Fault> {
        let (held, now) = Default::default();
        Ok(Box::new(Holding { config: self.clone(), held, now }))
    }
}

struct Holding {
    config: Batches,
    /// Number, the batch that it came in, and when.
    held: VecDeque<(u64, u64, Duration)>,
    now: Duration,
}

impl Holding {
    fn emit(&mut self, count: usize, out: &mut Outputs) {
        for (n, ..) in self.held.drain(..count.min(self.held.len())) {
            out.emit(number(n));
        }
    }
}

impl Transform for Holding {
    fn transform(&mut self, batch: Batch, out: &mut Outputs) -> Result<(), Fault> {
        for n in numbers(&batch) {
            assert!(self.config.failing_at != Some(n), "a bug");
            self.held.push_back((n, out.number(), self.now));
        }
        self.config.most.fetch_max(self.held.len(), Ordering::SeqCst);
        if self.held.len() >= self.config.of {
            self.emit(usize::MAX, out);
        }
        Ok(())
    }

    fn memory(&mut self) -> Option<&mut dyn Remember> {
        Some(self)
    }
}

impl Remember for Holding {
    fn tick(&mut self, now: Duration, out: &mut Outputs) -> Result<(), Fault> {
        self.now = now;
        if self.due().is_some_and(|due| due <= now) {
            self.emit(1, out);
        }
        Ok(())
    }

    fn due(&self) -> Option<Duration> {
        self.held.front().and_then(|(.., since)| Some(*since + self.config.after?))
    }

    fn flush(&mut self, out: &mut Outputs) -> Result<(), Fault> {
        self.emit(usize::MAX, out);
        Ok(())
    }

    fn held_since(&self) -> Option<u64> {
        self.held.front().map(|(_, batch, _)| *batch)
    }

    fn held_bytes(&self) -> usize {
        self.held.len() * self.config.weight
    }

    fn relieve(&mut self, out: &mut Outputs) -> Result<(), Fault> {
        self.emit(1, out);
        Ok(())
    }
}
