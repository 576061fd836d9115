//! A sink that keeps what it gets, once a closure has let it pass.

use crate::event::{Batch, Kinds};
use crate::topology::component::{BuildContext, BuiltSink, Deliver, Encode, Fault, SinkConfig};
use crate::topology::delivery::Delivery;
use crate::topology::request::{Answer, Request, Requests};
use crate::topology::settings::{BatchSettings, ByteSize, Period};
use async_trait::async_trait;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Check = dyn Fn(&[u64]) -> Result<(), Fault> + Send + Sync;

/// What a sink has got, and how it behaves.
pub(crate) struct Store {
    got: Mutex<Vec<u64>>,
    /// Called with the numbers of each request before they are kept.
    check: Box<Check>,
    /// How long each request takes.
    pub(crate) takes: Duration,
    /// For how long it gathers what goes into one request; zero for one request a batch.
    gathers: Duration,
    /// While set, requests do not return.
    pub(crate) hangs: AtomicBool,
    /// How often it was built.
    pub(crate) built: AtomicUsize,
}

impl Store {
    pub(crate) fn new() -> Arc<Self> {
        Self::with(Duration::ZERO, |_| Ok(()))
    }

    pub(crate) fn checked(
        check: impl Fn(&[u64]) -> Result<(), Fault> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::with(Duration::ZERO, check)
    }

    pub(crate) fn with(
        takes: Duration,
        check: impl Fn(&[u64]) -> Result<(), Fault> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self::made(takes, Duration::ZERO, Box::new(check)))
    }

    /// One that gathers for so long what goes into one request.
    pub(crate) fn gathering(gathers: Duration) -> Arc<Self> {
        Arc::new(Self::made(Duration::ZERO, gathers, Box::new(|_| Ok(()))))
    }

    fn made(takes: Duration, gathers: Duration, check: Box<Check>) -> Self {
        let (got, hangs, built) = Default::default();
        Self { got, check, takes, gathers, hangs, built }
    }

    /// What has arrived, in order.
    pub(crate) fn got(&self) -> Vec<u64> {
        self.got.lock().unwrap().clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.got.lock().unwrap().len()
    }
}

/// The graph's side of a [`Store`].
pub(crate) struct Keep(pub(crate) Arc<Store>);

impl fmt::Debug for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keep")
    }
}

impl SinkConfig for Keep {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, _: &BuildContext) -> Result<BuiltSink, Fault> {
        self.0.built.fetch_add(1, Ordering::SeqCst);
        let age = self.0.gathers;
        let records = if age.is_zero() { 1 } else { u64::MAX };
        let batch = BatchSettings { bytes: ByteSize(1 << 20), records, age: Period(age) };
        let sender = Arc::new(Keeping(Arc::clone(&self.0)));
        let delivery = Delivery { batch, ..Delivery::default() };
        Ok(BuiltSink::Requests { encoder: Box::new(Number), sender, delivery })
    }
}

struct Number;

impl Encode for Number {
    fn encode(&mut self, batch: &Batch, requests: &mut Requests) -> Result<(), Fault> {
        let request = requests.to("");
        for n in super::numbers(batch) {
            request.body.extend_from_slice(&n.to_le_bytes());
            request.records += 1;
        }
        Ok(())
    }
}

struct Keeping(Arc<Store>);

#[async_trait]
impl Deliver for Keeping {
    async fn deliver(&self, request: &Request) -> Result<Answer, Fault> {
        if self.0.takes > Duration::ZERO {
            tokio::time::sleep(self.0.takes).await;
        }
        while self.0.hangs.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let body = request.body.as_chunks().0;
        let numbers: Vec<u64> = body.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        (self.0.check)(&numbers)?;
        self.0.got.lock().unwrap().extend(numbers);
        Ok(Answer::default())
    }
}
