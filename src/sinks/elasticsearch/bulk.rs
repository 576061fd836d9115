//! Sends `_bulk` requests to the nodes of a cluster.

use super::answer;
use crate::event::encode::compress::Compression;
use crate::host::clock;
use crate::net::endpoint::Wanted;
use crate::net::endpoints::Endpoints;
use crate::net::parts::{SendPart, packed, send_in_parts};
use crate::topology::component::{Deliver, Fault};
use crate::topology::request::{Answer, Request};
use async_trait::async_trait;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An answer is read up to here: a result for each document of the largest request.
const ANSWER: Wanted = Wanted::Text(32 << 20);
/// However little a server takes, no request is held to less.
const LEAST_REQUEST_BYTES: usize = 64 << 10;

/// A cluster.
pub(super) struct Bulk {
    /// Where requests go.
    pub(super) nodes: Endpoints,
    /// Where it shows whether somebody is there.
    pub(super) roots: Endpoints,
    pub(super) compression: Compression,
    /// The most that is sent in one request, as far as is known.
    pub(super) limit: AtomicUsize,
    /// Whether a document is refused for good whose `_id` is there already.
    pub(super) refuses_known: bool,
}

#[async_trait]
impl Deliver for Bulk {
    async fn deliver(&self, request: &Request) -> Result<Answer, Fault> {
        let documents: Vec<&[u8]> = request.encoded().collect();
        let count = documents.len();
        send_in_parts(&Parts { bulk: self, request, documents }, count).await
    }

    async fn check(&self) -> Result<(), Fault> {
        self.roots.admit().await
    }
}

/// A request that may be sent in parts.
struct Parts<'r> {
    bulk: &'r Bulk,
    request: &'r Request,
    documents: Vec<&'r [u8]>,
}

#[async_trait]
impl SendPart for Parts<'_> {
    async fn send(&self, part: Range<usize>) -> Result<Answer, Fault> {
        let bulk = self.bulk;
        let documents = self.documents.get(part.clone()).unwrap_or_default();
        let bytes: usize = documents.iter().map(|document| document.len()).sum();
        if bytes > bulk.limit.load(Ordering::Relaxed) && documents.len() > 1 {
            let status = Some(413);
            return Err(Fault { status, ..Fault::fatal("more than goes into one request") });
        }
        let body = if documents.len() == self.documents.len() {
            self.request.wire(|body| packed(bulk.compression, &[body]))?
        } else {
            packed(bulk.compression, &[&documents.concat()])?.into()
        };
        match bulk.nodes.send(&body, ANSWER, clock::now()).await {
            Ok(text) => answer::read(&text, documents.len(), bulk.refuses_known),
            Err(fault) => {
                if fault.status == Some(413) && documents.len() > 1 {
                    let fits = (bytes / 2).max(LEAST_REQUEST_BYTES);
                    bulk.limit.fetch_min(fits, Ordering::Relaxed);
                }
                Err(fault)
            }
        }
    }
}
