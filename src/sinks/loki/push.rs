//! Sends entries to Loki's push API, grouped into streams.

use super::entries::Entry;
use crate::event::encode::compress::Compression;
use crate::event::encode::json;
use crate::host::clock;
use crate::net::endpoint::{Endpoint, Wanted};
use crate::net::parts::{SendPart, packed, send_in_parts};
use crate::topology::component::{Deliver, Fault};
use crate::topology::request::{Answer, Request};
use async_trait::async_trait;
use bytes::Bytes;
use indexmap::IndexMap;
use std::ops::Range;

/// Loki says nothing where all is well, and its clones say little.
const ANSWER: Wanted = Wanted::Text(16 << 10);

/// A Loki.
pub(super) struct Push {
    pub(super) endpoint: Endpoint,
    pub(super) compression: Compression,
    pub(super) max_streams: usize,
}

#[async_trait]
impl Deliver for Push {
    async fn deliver(&self, request: &Request) -> Result<Answer, Fault> {
        let entries: Option<Vec<Entry<'_>>> = request.encoded().map(Entry::read).collect();
        let entries = entries.ok_or_else(|| Fault::fatal("an entry is damaged"))?;
        let count = entries.len();
        send_in_parts(&Parts { push: self, request, entries }, count).await
    }

    async fn check(&self) -> Result<(), Fault> {
        self.endpoint.admits().await
    }
}

/// A request that may be sent in parts.
struct Parts<'r> {
    push: &'r Push,
    request: &'r Request,
    entries: Vec<Entry<'r>>,
}

#[async_trait]
impl SendPart for Parts<'_> {
    async fn send(&self, part: Range<usize>) -> Result<Answer, Fault> {
        let push = self.push;
        let entries = self.entries.get(part).unwrap_or_default();
        let streams = streams(entries);
        if streams.len() > push.max_streams {
            let status = Some(413);
            return Err(Fault { status, ..Fault::fatal("more streams than `max_streams`") });
        }
        let is_all = entries.len() == self.entries.len();
        let body = if is_all {
            self.request.wire(|_| packed(push.compression, &[&body(&streams)]))?
        } else {
            packed(push.compression, &[&body(&streams)])?.into()
        };
        push.send(body, &self.request.key).await.map(|()| Answer::default())
    }
}

/// The entries by their labels, in the order of their times.
fn streams<'e>(entries: &[Entry<'e>]) -> IndexMap<&'e [u8], Vec<Entry<'e>>> {
    let mut streams: IndexMap<&[u8], Vec<Entry<'e>>> = IndexMap::new();
    for entry in entries {
        streams.entry(entry.labels).or_default().push(*entry);
    }
    for entries in streams.values_mut() {
        // Those before Loki 2.4 take no other order. What is sorted already costs a look.
        entries.sort_by_key(|entry| entry.time_ns);
    }
    streams
}

/// What Loki is sent.
pub(super) fn body(streams: &IndexMap<&[u8], Vec<Entry<'_>>>) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(b"{\"streams\":[");
    for (at, (labels, entries)) in streams.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        body.extend_from_slice(b"{\"stream\":");
        body.extend_from_slice(labels);
        body.extend_from_slice(b",\"values\":[");
        for (at, entry) in entries.iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            body.extend_from_slice(b"[\"");
            body.extend_from_slice(itoa::Buffer::new().format(entry.time_ns).as_bytes());
            body.extend_from_slice(b"\",");
            json::string(entry.line, &mut body);
            if !entry.metadata.is_empty() {
                body.push(b',');
                body.extend_from_slice(entry.metadata);
            }
            body.push(b']');
        }
        body.extend_from_slice(b"]}");
    }
    body.extend_from_slice(b"]}");
    body
}

impl Push {
    async fn send(&self, body: Bytes, tenant: &str) -> Result<(), Fault> {
        let header = (!tenant.is_empty()).then_some(("x-scope-orgid", tenant));
        let said = self.endpoint.send(body, header, ANSWER, clock::now()).await?;
        if said.trim_start().starts_with('<') {
            // A proxy that wants somebody to log in says so with 200.
            let url = self.endpoint.shown();
            return Err(Fault::passing(format!("{url} answers with a page; is this Loki?")));
        }
        Ok(())
    }
}
