//! Sends `_bulk` requests to the nodes of a cluster.

use super::answer;
use crate::event::encode::compress::Compression;
use crate::host::clock;
use crate::net::endpoint::Endpoint;
use crate::net::parts::{SendPart, send_in_parts};
use crate::topology::component::{Deliver, Fault, FaultKind};
use crate::topology::request::{Answer, Request};
use async_trait::async_trait;
use bytes::Bytes;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// An answer is read up to here: a result for each document of the largest request.
const ANSWER_BYTES: usize = 32 << 20;
/// However little a server takes, no request is held to less.
const LEAST_REQUEST_BYTES: usize = 64 << 10;

/// A cluster.
pub(super) struct Bulk {
    /// Where requests go, and where it shows if somebody is there, node by node.
    nodes: Vec<(Endpoint, Endpoint)>,
    /// The node that is asked; it counts on.
    current: AtomicUsize,
    compression: Compression,
    timeout: Duration,
    /// The most that is sent in one request, as far as is known.
    limit: AtomicUsize,
    refuses_known: bool,
}

impl Bulk {
    pub(super) fn new(
        (nodes, roots): (Vec<Endpoint>, Vec<Endpoint>),
        compression: Compression,
        timeout: Duration,
        limit: usize,
        refuses_known: bool,
    ) -> Self {
        let nodes = nodes.into_iter().zip(roots).collect();
        let (current, limit) = (AtomicUsize::new(0), AtomicUsize::new(limit));
        Self { nodes, current, compression, timeout, limit, refuses_known }
    }

    fn compressed(&self, body: &[u8]) -> Result<Vec<u8>, Fault> {
        let room = if self.compression.is_none() { body.len() } else { body.len() / 8 };
        let mut compressed = Vec::with_capacity(room + 64);
        self.compression
            .append(&[body], &mut compressed)
            .map_err(|error| Fault::fatal(format!("compress a request: {error}")))?;
        Ok(compressed)
    }

    /// Asks the nodes in turn until one answers for itself. Gives the answer's text.
    async fn ask(&self, body: &Bytes) -> Result<String, Fault> {
        let mut told = Err(Fault::passing("there is no server"));
        for _ in 0..self.nodes.len() {
            let current = self.current.load(Ordering::Relaxed);
            let Some((node, _)) = self.nodes.get(current % self.nodes.len()) else { break };
            let asking = node.ask(body.clone(), None, ANSWER_BYTES, clock::now());
            let said = tokio::time::timeout(self.timeout, asking).await.unwrap_or_else(|_| {
                let seconds = self.timeout.as_secs_f64();
                Err(Fault::passing(format!("{}: no answer within {seconds} s", node.shown())))
            });
            let is_away = said.as_ref().is_err_and(|fault| {
                matches!(fault.kind, FaultKind::Passing(_))
                    && matches!(fault.status, None | Some(502..=504))
            });
            told = said;
            if !is_away {
                break;
            }
            // Unless somebody else has gone on already.
            let next = current.wrapping_add(1);
            let order = Ordering::Relaxed;
            self.current.compare_exchange(current, next, order, order).ok();
        }
        told.map_err(mend)
    }
}

/// What a person has to put right at the server or in the config is no reason to drop anything.
fn mend(fault: Fault) -> Fault {
    let hint = match fault.status {
        Some(401 | 403) => "look at `auth` and what this user may do",
        Some(404 | 405) => "look at `url`",
        _ => return fault,
    };
    let message = format!("{}; {hint}; until then everything waits", fault.message);
    Fault { message, kind: FaultKind::Passing(None), ..fault }
}

#[async_trait]
impl Deliver for Bulk {
    async fn deliver(&self, request: &Request) -> Result<Answer, Fault> {
        let documents: Vec<&[u8]> = request.encoded().collect();
        let count = documents.len();
        send_in_parts(&Parts { bulk: self, request, documents }, count).await
    }

    async fn check(&self) -> Result<(), Fault> {
        let mut told = Ok(());
        for (_, root) in &self.nodes {
            told = root.admits().await;
            if told.is_ok() {
                break;
            }
        }
        told
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
            self.request.wire(|body| bulk.compressed(body))?
        } else {
            bulk.compressed(&documents.concat())?.into()
        };
        match bulk.ask(&body).await {
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
