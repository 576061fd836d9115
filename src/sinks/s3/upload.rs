//! Uploads: an object is put whole or in parts, again and again until the server has it.

use super::orphans::Orphans;
use super::partition::Object;
use crate::event::ack::Outcome;
use crate::net::s3::{Bucket, ObjectHeaders};
use crate::topology::component::{Fault, FaultKind};
use crate::topology::settings::RetrySettings;
use crate::topology::telemetry::ComponentTelemetry;
use bytes::Bytes;
use std::time::Duration;
use tokio::time::sleep;

/// What all uploads share.
pub(super) struct Uploader {
    pub(super) bucket: Bucket,
    pub(super) headers: ObjectHeaders,
    pub(super) part_bytes: usize,
    pub(super) retry: RetrySettings,
    pub(super) orphans: Orphans,
    pub(super) telemetry: ComponentTelemetry,
}

/// How far an object has come that goes in parts.
struct Parts {
    id: String,
    /// Tags of the parts that the server has.
    tags: Vec<String>,
}

impl Uploader {
    /// Puts the object, for as long as that takes, and tells whoever waits for it.
    pub(super) async fn deliver(&self, object: Object) {
        let Object { key, body, records, acks } = object;
        let body = Bytes::from(body);
        let mut parts = None;
        let mut pause = self.retry.initial.0;
        while let Err(fault) = self.attempt(&key, &body, &mut parts).await {
            let asked = match fault.kind {
                FaultKind::Passing(asked) => asked.unwrap_or_default(),
                FaultKind::Final => Duration::ZERO,
            };
            let wait = pause.max(asked);
            let (component, reason) = (self.telemetry.name(), &fault.message);
            let pause_seconds = wait.as_secs_f64();
            tracing::warn!(component, reason, pause_seconds, "will try again");
            self.telemetry.errors(1);
            self.telemetry.retried();
            sleep(wait).await;
            pause = (pause * 2).min(self.retry.max.0);
        }
        self.telemetry.delivered(records, body.len() as u64);
        acks.into_iter().for_each(|ack| ack.settle(Outcome::Delivered));
    }

    async fn attempt(
        &self,
        key: &str,
        body: &Bytes,
        parts: &mut Option<Parts>,
    ) -> Result<(), Fault> {
        if body.len() <= self.part_bytes {
            return self.bucket.put(key, &self.headers, body.clone()).await;
        }
        let sent = self.in_parts(key, body, parts).await;
        if sent.as_ref().is_err_and(|fault| fault.message.contains("NoSuchUpload"))
            && let Some(gone) = parts.take()
        {
            // The server gave it up, or completed it without our hearing: it begins anew.
            self.orphans.settled(&gone.id);
        }
        sent
    }

    async fn in_parts(
        &self,
        key: &str,
        body: &Bytes,
        parts: &mut Option<Parts>,
    ) -> Result<(), Fault> {
        let parts = match parts {
            Some(parts) => parts,
            None => {
                let id = self.bucket.begin(key, &self.headers).await?;
                self.orphans.begun(&id, key);
                parts.insert(Parts { id, tags: Vec::new() })
            }
        };
        loop {
            let from = parts.tags.len() * self.part_bytes;
            if from >= body.len() {
                break;
            }
            let part = body.slice(from..body.len().min(from + self.part_bytes));
            let number = parts.tags.len() + 1;
            let tag = self.bucket.part(key, &parts.id, number, part).await?;
            parts.tags.push(tag);
        }
        self.bucket.complete(key, &parts.id, &parts.tags).await?;
        self.orphans.settled(&parts.id);
        Ok(())
    }

    /// Gives up the uploads that an earlier run began and did not end.
    pub(super) async fn abort_orphans(&self) {
        for (id, key) in self.orphans.of_earlier_runs() {
            match self.bucket.abort(&key, &id).await {
                Ok(()) => self.orphans.settled(&id),
                Err(fault) => {
                    let (component, reason) = (self.telemetry.name(), fault.message);
                    tracing::warn!(component, reason, key, "parts of an earlier run stay there");
                }
            }
        }
    }
}
