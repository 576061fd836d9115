//! `http`: sends records to an HTTP server.

#[cfg(test)]
mod tests;

use crate::event::encode::compress::Compression;
use crate::event::encode::{Encoder, Encoding, Extra};
use crate::event::secret::{Masker, SecretText};
use crate::event::{Batch, Kinds};
use crate::host::clock;
use crate::net::auth::Auth;
use crate::net::endpoint::{Endpoint, Method, Wanted};
use crate::net::endpoints::{Balance, Endpoints};
use crate::net::parts::{SendPart, packed, send_in_parts};
use crate::net::tls::TlsSettings;
use crate::net::urls::Urls;
use crate::topology::component::{BuildContext, BuiltSink, Deliver, Encode, Fault, SinkConfig};
use crate::topology::delivery::{Concurrency, Delivery, RateLimit};
use crate::topology::request::{Answer, Request, Requests};
use crate::topology::settings::{BatchSettings, Period, RetrySettings};
use async_trait::async_trait;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Sends records to an HTTP server, many in one request.
///
/// An answer of 2xx means that the server has them. After 408, 425, 429, 5xx, a redirect, or no
/// answer at all, the same request is sent again, for as long as it takes and not before the
/// server wants it (`Retry-After`). So it is where the server lets nobody in (401, 403) or there is
/// nothing to send to (404, 405): everything waits until somebody has put that right.
///
/// A request that is too large (413) or has something wrong in it (400, 422) is sent in halves,
/// until what the server cannot take is found. That goes to the `dead_letter`, or is dropped without
/// one, counted as `rejected`; all else is delivered. In a request with very many such records
/// others beside them may go there as well. Any other answer rejects the whole request.
///
/// Where `url` is a list, a request that meets no answer or 5xx at one server goes to the next at
/// once, and the one that failed is left alone for 30 s, or longer if it says so (`Retry-After`).
/// Only when all have failed comes the pause of `retry`. A server that took a request but gave no
/// answer in time has it then, and so has the next.
///
/// ```yaml
/// sinks:
///   collector:
///     type: http
///     inputs: [app]
///     url: [https://one.example.com/in, https://two.example.com/in]
///     auth: {bearer: "{{ secrets.COLLECTOR_TOKEN }}"}
///     compression: gzip
///     concurrency: adaptive
///     rate_limit: {requests: 600, per: 1m}
///     timeout: 10s
///     retry: {initial: 500ms, max: 1m, attempts: 50}
///     dead_letter: refused
///   refused:
///     type: file
///     inputs: []
///     path: /var/lib/driftless/refused.ndjson
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to: a URL, or a list of URLs of servers that are as good as each other. Shown in
    /// messages without its query, which may hold a key.
    pub url: Urls,
    /// Which server of a list gets a request.
    #[serde(default)]
    pub balance: Balance,
    /// The request's method.
    #[serde(default)]
    pub method: Method,
    /// How records are written. All but untouched text carry `timestamp`, `host` and `path`.
    #[serde(default = "ndjson")]
    pub encoding: Encoding,
    /// Headers to send, by name.
    #[serde(default)]
    pub headers: IndexMap<String, SecretText>,
    /// Who sends it.
    #[serde(default)]
    pub auth: Auth,
    /// How the body is compressed, by default not at all.
    #[serde(default)]
    pub compression: Compression,
    /// When a request is full.
    #[serde(default)]
    pub batch: BatchSettings,
    /// Pauses after a failure.
    #[serde(default)]
    pub retry: RetrySettings,
    /// How many requests may be in flight: a number up to 64, or `adaptive`. By default 1, which
    /// keeps the order of records; with more, one request may overtake another.
    #[serde(default)]
    pub concurrency: Concurrency,
    /// How many requests may be sent: so many a second, or `{requests: 100, per: 1m}`. By default
    /// as many as there are.
    #[serde(default)]
    pub rate_limit: Option<RateLimit>,
    /// How long a request may take, answer included. After that it counts as lost on the way.
    #[serde(default = "default_timeout")]
    pub timeout: Period,
    /// Another sink, which takes the records that the server rejects for good.
    #[serde(default)]
    pub dead_letter: Option<String>,
    /// Whom to trust.
    #[serde(default)]
    pub tls: TlsSettings,
}

fn ndjson() -> Encoding {
    Encoding::Ndjson
}

fn default_timeout() -> Period {
    Period(Duration::from_secs(30))
}

impl SinkConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS.union(Kinds::METRICS)
    }

    fn dead_letter(&self) -> Option<&str> {
        self.dead_letter.as_deref()
    }

    fn build(&self, cx: &BuildContext) -> Result<BuiltSink, Fault> {
        let sender = self.sender(&cx.env.masker).map_err(Fault::fatal)?;
        let delivery = Delivery {
            batch: self.batch,
            retry: self.retry,
            concurrency: self.concurrency,
            rate_limit: self.rate_limit,
            // Each server of a list has its own time, and so has each part.
            timeout: None,
            key_order: false,
            partial: true,
            ..Delivery::default()
        };
        let encoder = Box::new(Body(self.encoder()));
        Ok(BuiltSink::Requests { encoder, sender: Arc::new(sender), delivery })
    }
}

impl Config {
    fn encoder(&self) -> Encoder {
        Encoder::new(&self.encoding, Extra::Origin)
    }

    fn sender(&self, masker: &Masker) -> Result<Http, String> {
        let endpoints = self.url.iter().map(|url| self.endpoint(url, masker.clone()));
        let endpoints = Endpoints::new(endpoints.collect::<Result<_, _>>()?, self.balance);
        let (mut begin, mut end) = (Vec::new(), Vec::new());
        self.encoder().begin(&mut begin);
        self.encoder().end(&mut end);
        let is_list = self.encoding == Encoding::Json;
        Ok(Http { endpoints, begin, end, is_list, compression: self.compression })
    }

    fn endpoint(&self, url: &str, masker: Masker) -> Result<Endpoint, String> {
        let mut endpoint = Endpoint::new(url, self.method, self.timeout.0, &self.tls, masker)?;
        endpoint.header("Content-Type", content_type(&self.encoding))?;
        if let Some(name) = self.compression.content_encoding() {
            endpoint.header("Content-Encoding", name)?;
        }
        endpoint.authorize(&self.auth)?;
        for (name, value) in &self.headers {
            endpoint.header(name, value.expose())?;
        }
        Ok(endpoint)
    }
}

fn content_type(encoding: &Encoding) -> &'static str {
    match encoding {
        Encoding::Ndjson => "application/x-ndjson",
        Encoding::Json => "application/json",
        Encoding::Csv(_) => "text/csv; charset=utf-8",
        Encoding::Text | Encoding::Logfmt => "text/plain; charset=utf-8",
    }
}

struct Body(Encoder);

impl Encode for Body {
    fn encode(&mut self, batch: &Batch, requests: &mut Requests) -> Result<(), Fault> {
        requests.append("", &mut self.0, batch)
    }
}

struct Http {
    endpoints: Endpoints,
    /// What a body begins with.
    begin: Vec<u8>,
    /// What it ends with.
    end: Vec<u8>,
    /// Whether there is a comma before each record but the first.
    is_list: bool,
    compression: Compression,
}

#[async_trait]
impl Deliver for Http {
    async fn deliver(&self, request: &Request) -> Result<Answer, Fault> {
        let records: Vec<&[u8]> = request.encoded().collect();
        let count = records.len();
        send_in_parts(&Parts { http: self, request, records }, count).await
    }

    async fn check(&self) -> Result<(), Fault> {
        self.endpoints.answer().await
    }
}

impl Http {
    /// A body of these records, wherever in a request they stood.
    fn body(&self, records: &[&[u8]]) -> Result<Vec<u8>, Fault> {
        let records = records.concat();
        let records = match records.strip_prefix(b",") {
            Some(rest) if self.is_list => rest,
            _ => &records,
        };
        packed(self.compression, &[&self.begin, records, &self.end])
    }
}

/// A request that may be sent in parts.
struct Parts<'r> {
    http: &'r Http,
    request: &'r Request,
    records: Vec<&'r [u8]>,
}

#[async_trait]
impl SendPart for Parts<'_> {
    async fn send(&self, part: Range<usize>) -> Result<Answer, Fault> {
        let http = self.http;
        let records = self.records.get(part).unwrap_or_default();
        let body = if records.len() == self.records.len() {
            self.request.wire(|encoded| match http.begin.is_empty() {
                true => packed(http.compression, &[encoded, &http.end]),
                false => http.body(records),
            })?
        } else {
            http.body(records)?.into()
        };
        let sent = http.endpoints.send(&body, Wanted::Status, clock::now()).await;
        sent.map(|_| Answer::default())
    }
}
