//! Uploads: an object is put whole or in parts, again and again until the server has it or it is
//! given up.

use super::letters;
use super::manifest::Manifests;
use super::orphans::Orphans;
use super::partition::{Manifest, Object};
use crate::event::ack::Outcome;
use crate::net::s3::{Bucket, ObjectHeaders};
use crate::topology::component::Fault;
use crate::topology::context::SinkContext;
use crate::topology::sending::{Parcel, Sending};
use crate::topology::telemetry::ComponentTelemetry;
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::RwLock;

/// What all uploads share.
pub(super) struct Uploader {
    bucket: Bucket,
    headers: ObjectHeaders,
    part_bytes: usize,
    pub(super) sending: Sending,
    orphans: Orphans,
    /// Held while uploads are looked for of which nobody has heard the id, so that none is begun
    /// of the same key meanwhile and taken for one.
    looking: RwLock<()>,
    manifests: Option<Arc<Manifests>>,
    telemetry: ComponentTelemetry,
}

/// An object on its way.
struct Upload<'u> {
    uploader: &'u Uploader,
    key: String,
    body: Bytes,
    parts: Option<Parts>,
    /// Whether an upload was asked for and no answer came, so that the server may have one more.
    in_doubt: bool,
}

/// How far an object has come that goes in parts.
struct Parts {
    id: String,
    /// Tags of the parts that the server has.
    tags: Vec<String>,
}

impl Uploader {
    pub(super) fn new(
        bucket: Bucket,
        headers: ObjectHeaders,
        part_bytes: usize,
        sending: Sending,
        (cx, manifests): (&SinkContext, Option<Arc<Manifests>>),
    ) -> Self {
        let name = format!("s3/{}.uploads", cx.name);
        let orphans = Orphans::new(cx.env.keeps_state.then(|| cx.env.data_dir.join(name)));
        let telemetry = cx.telemetry.clone();
        let looking = RwLock::default();
        Self { bucket, headers, part_bytes, sending, orphans, looking, manifests, telemetry }
    }

    /// Looks whether the server is there, and gives up what an earlier run began and did not end.
    pub(super) async fn start(&self) {
        self.sending.look(self.bucket.check()).await;
        let earlier = self.orphans.of_earlier_runs();
        for (id, key) in &earlier.begun {
            self.abort(key, id).await;
        }
        for key in &earlier.asked {
            self.look_for_unheard(key).await;
        }
    }

    /// Gives up uploads of `key` that the server began and nobody heard of, where there may be
    /// some.
    async fn look_for_unheard(&self, key: &str) {
        if !self.orphans.is_in_doubt(key) {
            return;
        }
        let _looking = self.looking.write().await;
        match self.bucket.begun(key).await {
            Ok(ids) => {
                for id in ids.into_iter().filter(|id| !self.orphans.knows(id)) {
                    // On record by its id now, should this fail.
                    self.orphans.begun(&id, key);
                    self.abort(key, &id).await;
                }
                self.orphans.is_sure(key);
            }
            Err(fault) => {
                // Some servers cannot list uploads, and will not learn it by being asked again.
                if fault.status.is_some_and(|status| matches!(status, 405 | 501)) {
                    self.orphans.is_sure(key);
                }
                let (component, reason) = (self.telemetry.name(), fault.message);
                tracing::warn!(component, reason, key, "parts of an object may stay at the server");
            }
        }
    }

    /// Puts the object, which is on record as `entry`, for as long as that takes, and tells whoever
    /// waits for it. `flying` are on their way, this one included.
    pub(super) async fn deliver(&self, mut object: Object, entry: u64, flying: usize) {
        let body = Bytes::from(std::mem::take(&mut object.body));
        let bytes = body.len() as u64;
        let key = object.key.clone();
        let mut upload =
            Upload { uploader: self, key: key.clone(), body, parts: None, in_doubt: false };
        let brought = self.sending.bring(&mut upload, flying).await;
        let (parts, in_doubt) = (upload.parts.take(), upload.in_doubt);
        match brought {
            Ok(()) => {
                self.telemetry.delivered(object.records, bytes);
                if let Some(manifests) = &self.manifests {
                    blocking(|| manifests.done(entry));
                }
                object.shares.into_iter().for_each(|share| share.ack.settle(Outcome::Delivered));
            }
            Err(why) => {
                if let Some(parts) = parts {
                    self.abort(&object.key, &parts.id).await;
                }
                if let Some(manifests) = &self.manifests {
                    if why.is_refused() {
                        manifests.journal.void(entry);
                    } else {
                        manifests.journal.unsure(entry);
                    }
                }
                letters::give_up(&self.sending, object, &why).await;
            }
        }
        if in_doubt {
            self.look_for_unheard(&key).await;
        }
    }

    /// Puts on record what the object is made of, before its first byte is sent; gives its number.
    ///
    /// Objects go on record in the order in which they were ended. After a crash, records that are
    /// not on record become a new object: were some on record that came after them, it would reach
    /// around those.
    pub(super) fn put_on_record(&self, object: &Object) -> u64 {
        match (&object.manifest, &self.manifests) {
            (Manifest::Known(id), _) => *id,
            (Manifest::New(told), Some(manifests)) => {
                blocking(|| manifests.begin(&object.key, &object.prefix, told))
            }
            (Manifest::New(_), None) => 0,
        }
    }

    /// Gives up what the server has of an upload. Where that fails, the next run tries again.
    async fn abort(&self, key: &str, id: &str) {
        match self.bucket.abort(key, id).await {
            Ok(()) => self.orphans.settled(id),
            Err(fault) => {
                let (component, reason) = (self.telemetry.name(), fault.message);
                tracing::warn!(component, reason, key, "parts of an object stay at the server");
            }
        }
    }
}

/// Runs what waits for the disk without holding up other tasks, where the runtime can do that.
pub(super) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

#[async_trait]
impl Parcel for Upload<'_> {
    async fn attempt(&mut self) -> Result<(), Fault> {
        let Uploader { bucket, headers, part_bytes, sending, orphans, .. } = self.uploader;
        if self.body.len() <= *part_bytes {
            sending.turn().await;
            return bucket.put(&self.key, headers, self.body.clone()).await;
        }
        let sent = self.in_parts().await;
        if sent.as_ref().is_err_and(|fault| fault.message.contains("NoSuchUpload"))
            && let Some(gone) = self.parts.take()
        {
            // The server gave it up, or completed it without our hearing: it begins anew.
            orphans.settled(&gone.id);
        }
        sent
    }
}

impl Upload<'_> {
    async fn in_parts(&mut self) -> Result<(), Fault> {
        let Uploader { bucket, headers, part_bytes, sending, orphans, .. } = self.uploader;
        let (key, body) = (&self.key, &self.body);
        let parts = match &mut self.parts {
            Some(parts) => parts,
            none => {
                if !self.in_doubt {
                    // An earlier run may have begun the same one.
                    self.uploader.look_for_unheard(key).await;
                }
                sending.turn().await;
                let _begins = self.uploader.looking.read().await;
                orphans.asks(key);
                let id = match bucket.begin(key, headers).await {
                    Ok(id) if self.in_doubt => {
                        orphans.begun(&id, key);
                        id
                    }
                    Ok(id) => {
                        orphans.heard(&id, key);
                        id
                    }
                    Err(fault) => {
                        // Whoever refuses it has begun nothing; an answer may have been lost.
                        self.in_doubt |= !fault.status.is_some_and(|it| (400..500).contains(&it));
                        if !self.in_doubt {
                            orphans.is_sure(key);
                        }
                        return Err(fault);
                    }
                };
                none.insert(Parts { id, tags: Vec::new() })
            }
        };
        loop {
            let from = parts.tags.len() * part_bytes;
            if from >= body.len() {
                break;
            }
            let part = body.slice(from..body.len().min(from + part_bytes));
            let number = parts.tags.len() + 1;
            sending.turn().await;
            let tag = bucket.part(key, &parts.id, number, part).await?;
            parts.tags.push(tag);
        }
        sending.turn().await;
        bucket.complete(key, &parts.id, &parts.tags).await?;
        orphans.settled(&parts.id);
        Ok(())
    }
}
