//! The sink at work: gathers records by prefix, and puts what is enough or old enough.

use super::gathering::{Gathering, Limits, Made};
use super::manifest::Manifests;
use super::partition::Object;
use super::upload::{Uploader, blocking};
use crate::event::Batch;
use crate::event::ack::Outcome;
use crate::expr::path_template::PathTemplate;
use crate::net::s3::{Bucket, ObjectHeaders};
use crate::topology::component::{Fault, StreamSink};
use crate::topology::context::SinkContext;
use crate::topology::delivery::{Concurrency, RateLimit};
use crate::topology::edge::{Envelope, Input};
use crate::topology::sending::Sending;
use crate::topology::settings::RetrySettings;
use async_trait::async_trait;
use std::io;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

pub(super) struct S3 {
    pub(super) bucket: Bucket,
    pub(super) headers: ObjectHeaders,
    pub(super) part_bytes: usize,
    pub(super) limits: Limits,
    pub(super) template: PathTemplate,
    pub(super) made: Made,
    pub(super) retry: RetrySettings,
    pub(super) concurrency: Concurrency,
    pub(super) rate_limit: Option<RateLimit>,
    /// Where objects are put on record; `None` where nothing is kept.
    pub(super) manifests: Option<Arc<Manifests>>,
}

#[async_trait]
impl StreamSink for S3 {
    async fn run(mut self: Box<Self>, input: Input, cx: SinkContext) -> Result<(), Fault> {
        let sending = Sending::new(self.retry, self.concurrency, self.rate_limit, &cx);
        self.made.keeps_letters = sending.has_letters();
        let S3 { bucket, headers, part_bytes, limits, template, made, manifests, .. } = *self;
        let mut gathering = blocking(|| Gathering::new(limits, made, template, manifests.clone()));
        let uploader = Uploader::new(bucket, headers, part_bytes, sending, (&cx, manifests));
        let uploader = Arc::new(uploader);
        let mut uploads = Uploads { uploader, under_way: JoinSet::new() };
        let starter = Arc::clone(&uploads.uploader);
        let mut start = JoinSet::new();
        start.spawn(async move { starter.start().await });
        loop {
            while let Some(object) = gathering.next() {
                uploads.put(object).await?;
                gathering.was_held_up();
            }
            let due = gathering.due();
            tokio::select! {
                next = input.next() => {
                    let Some((batch, ack, _)) = next.map(Envelope::open) else { break };
                    cx.telemetry.received(&batch);
                    let started = Instant::now();
                    let taken = match &batch {
                        Batch::Logs(logs) => gathering.take(logs, &ack),
                        Batch::Metrics(metrics) => gathering.take_metrics(metrics, &ack),
                        Batch::Tasks(_) => return Err(Fault::fatal("a bucket takes no tasks")),
                    };
                    taken.map_err(|error| unwritable(&error))?;
                    cx.telemetry.busy(started.elapsed());
                    // Its shares are with the objects that it went into.
                    ack.settle(Outcome::Delivered);
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    gathering.do_due().map_err(|error| unwritable(&error))?;
                }
                Some(done) = uploads.under_way.join_next(), if !uploads.under_way.is_empty() => {
                    done.map_err(|error| crashed(&error))?;
                }
            }
        }
        gathering.finish_again(cx.env.once).map_err(|error| unwritable(&error))?;
        while let Some(object) = gathering.next() {
            uploads.put(object).await?;
        }
        while gathering.end_oldest().map_err(|error| unwritable(&error))? {
            while let Some(object) = gathering.next() {
                uploads.put(object).await?;
            }
        }
        while let Some(done) = uploads.under_way.join_next().await {
            done.map_err(|error| crashed(&error))?;
        }
        Ok(())
    }
}

/// What is on its way.
struct Uploads {
    uploader: Arc<Uploader>,
    under_way: JoinSet<()>,
}

impl Uploads {
    /// Puts an object on its way, as soon as there is room for one.
    async fn put(&mut self, object: Object) -> Result<(), Fault> {
        while self.under_way.len() >= self.uploader.sending.limit() {
            let Some(done) = self.under_way.join_next().await else { break };
            done.map_err(|error| crashed(&error))?;
        }
        let uploader = Arc::clone(&self.uploader);
        let flying = self.under_way.len() + 1;
        let entry = uploader.put_on_record(&object);
        self.under_way.spawn(async move { uploader.deliver(object, entry, flying).await });
        Ok(())
    }
}

fn unwritable(error: &io::Error) -> Fault {
    Fault::passing(format!("compress an object: {error}"))
}

/// What an upload held is read again by its source.
fn crashed(error: &tokio::task::JoinError) -> Fault {
    Fault::passing(format!("an upload ended by a bug: {error}"))
}
