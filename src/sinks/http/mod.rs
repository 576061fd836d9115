//! `http`: sends records to an HTTP server.

#[cfg(test)]
mod tests;

use crate::event::encode::compress::Compression;
use crate::event::encode::{Encoder, Encoding, Extra};
use crate::event::secret::{Masker, SecretText};
use crate::event::{Batch, Kinds};
use crate::host::clock;
use crate::net::auth::Auth;
use crate::net::endpoint::{Endpoint, Method};
use crate::net::tls::TlsSettings;
use crate::topology::component::{BuildContext, BuiltSink, Fault, Request, Sink, SinkConfig};
use crate::topology::settings::{BatchSettings, Period, RetrySettings};
use async_trait::async_trait;
use bytes::Bytes;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// Sends records to an HTTP server, many in one request.
///
/// An answer of 2xx means that the server has them. After 408, 425, 429, 5xx, a redirect, or no
/// answer at all, the same request is sent again, for as long as it takes and not before the
/// server wants it (`Retry-After`). Any other answer drops the request's records, counted as
/// `rejected`.
///
/// ```yaml
/// sinks:
///   collector:
///     type: http
///     inputs: [app]
///     url: https://collector.example.com/in
///     auth: {bearer: "{{ secrets.COLLECTOR_TOKEN }}"}
///     compression: gzip
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to. Shown in messages without its query, which may hold a key.
    pub url: SecretText,
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
    /// How long a request may take, answer included.
    #[serde(default = "default_timeout")]
    pub timeout: Period,
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

    fn build(&self, cx: &BuildContext) -> Result<BuiltSink, Fault> {
        let sink = self.sink(cx.env.masker.clone()).map_err(Fault::fatal)?;
        Ok(BuiltSink::Requests { sink: Box::new(sink), batch: self.batch, retry: self.retry })
    }
}

impl Config {
    fn sink(&self, masker: Masker) -> Result<Http, String> {
        let mut endpoint =
            Endpoint::new(self.url.expose(), self.method, self.timeout.0, &self.tls, masker)?;
        endpoint.header("Content-Type", content_type(&self.encoding))?;
        if let Some(name) = self.compression.content_encoding() {
            endpoint.header("Content-Encoding", name)?;
        }
        endpoint.authorize(&self.auth)?;
        for (name, value) in &self.headers {
            endpoint.header(name, value.expose())?;
        }
        let encoder = Encoder::new(&self.encoding, Extra::Origin);
        Ok(Http { endpoint, encoder, compression: self.compression, prepared: None })
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

struct Http {
    endpoint: Endpoint,
    encoder: Encoder,
    compression: Compression,
    /// The body of the request at hand as it is sent, kept for further attempts.
    prepared: Option<Bytes>,
}

impl Http {
    fn body(&mut self, encoded: &[u8]) -> std::io::Result<Bytes> {
        if let Some(body) = &self.prepared {
            return Ok(body.clone());
        }
        let mut end = Vec::new();
        self.encoder.end(&mut end);
        let room = if self.compression.is_none() { encoded.len() } else { encoded.len() / 8 };
        let mut body = Vec::with_capacity(room + 64);
        self.compression.append(&[encoded, &end], &mut body)?;
        Ok(self.prepared.insert(body.into()).clone())
    }
}

#[async_trait]
impl Sink for Http {
    fn encode(&mut self, batch: &Batch, request: &mut Request) -> Result<(), Fault> {
        self.prepared = None;
        let part = request.part("");
        self.encoder.append(batch, &mut part.body).map_err(Fault::fatal)?;
        part.records += batch.len() as u64;
        Ok(())
    }

    async fn send(&mut self, request: &Request) -> Result<(), Fault> {
        let Some(part) = request.parts.first() else { return Ok(()) };
        let body = self
            .body(&part.body)
            .map_err(|error| Fault::fatal(format!("compress a request: {error}")))?;
        self.endpoint.deliver(body, clock::now()).await
    }
}
