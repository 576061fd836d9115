//! `http`: sends records to an HTTP server.

#[cfg(test)]
mod tests;

use crate::event::encode::{Encoder, Encoding, Extra};
use crate::event::secret::SecretText;
use crate::event::{Batch, Kinds};
use crate::host::clock;
use crate::net::http::{self, TlsSettings};
use crate::topology::component::{BuildContext, BuiltSink, Fault, Request, Sink, SinkConfig};
use crate::topology::settings::{BatchSettings, Period, RetrySettings};
use async_trait::async_trait;
use bytes::Bytes;
use flate2::Compression as Level;
use flate2::write::GzEncoder;
use indexmap::IndexMap;
use reqwest::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use reqwest::{Client, Method as HttpMethod, Url};
use schemars::JsonSchema;
use serde::Deserialize;
use std::io::Write;
use std::time::Duration;

/// How much of an answer is read: enough to say why, and to use the connection again.
const ANSWER_BYTES: usize = 16 << 10;

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
    /// How the body is compressed.
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

/// The request's method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// POST.
    #[default]
    Post,
    /// PUT.
    Put,
}

/// How the body is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// With gzip.
    Gzip,
}

/// Who sends it: `{user, password}` or `{bearer}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// A user's name, for basic authentication.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<SecretText>,
    /// A bearer token.
    pub bearer: Option<SecretText>,
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

    fn build(&self, _: &BuildContext) -> Result<BuiltSink, Fault> {
        let sink = self.sink().map_err(Fault::fatal)?;
        Ok(BuiltSink::Requests { sink: Box::new(sink), batch: self.batch, retry: self.retry })
    }
}

impl Config {
    fn sink(&self) -> Result<Http, String> {
        Ok(Http {
            client: http::client(self.timeout.0, &self.tls)?,
            url: http::parse_url(self.url.expose())?,
            method: match self.method {
                Method::Post => HttpMethod::POST,
                Method::Put => HttpMethod::PUT,
            },
            headers: self.all_headers()?,
            encoder: Encoder::new(&self.encoding, Extra::Origin),
            compression: self.compression,
            prepared: None,
        })
    }

    fn all_headers(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(&self.encoding)));
        if self.compression == Compression::Gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Some(value) = self.auth.header()? {
            headers.insert(AUTHORIZATION, secret_value("auth", &value)?);
        }
        for (name, value) in &self.headers {
            let header = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| format!("`headers`: `{name}` is no name of a header"))?;
            headers.insert(header, secret_value(name, value.expose())?);
        }
        Ok(headers)
    }
}

impl Auth {
    fn header(&self) -> Result<Option<String>, String> {
        use base64::Engine as _;
        Ok(match (&self.user, &self.password, &self.bearer) {
            (None, None, None) => None,
            (None, None, Some(token)) => Some(format!("Bearer {}", token.expose())),
            (Some(user), password, None) => {
                let password = password.as_ref().map_or("", SecretText::expose);
                let both = format!("{user}:{password}");
                let both = base64::engine::general_purpose::STANDARD.encode(both);
                Some(format!("Basic {both}"))
            }
            _ => {
                return Err("`auth` takes either `user` and `password`, or `bearer`".to_owned());
            }
        })
    }
}

fn secret_value(name: &str, value: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| format!("`{name}`: the value has bytes that no header can have"))?;
    value.set_sensitive(true);
    Ok(value)
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
    client: Client,
    url: Url,
    method: HttpMethod,
    headers: HeaderMap,
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
        let body = match self.compression {
            Compression::None => [encoded, &end].concat(),
            Compression::Gzip => {
                let room = Vec::with_capacity(encoded.len() / 8 + 64);
                let mut gzip = GzEncoder::new(room, Level::fast());
                gzip.write_all(encoded)?;
                gzip.write_all(&end)?;
                gzip.finish()?
            }
        };
        Ok(self.prepared.insert(body.into()).clone())
    }

    async fn attempt(&self, body: Bytes) -> Result<(), Fault> {
        let mut answer = self
            .client
            .request(self.method.clone(), self.url.clone())
            .headers(self.headers.clone())
            .body(body)
            .send()
            .await
            .map_err(http::unanswered)?;
        let mut text = Vec::new();
        // What the status says counts, whatever becomes of the rest of the answer.
        while let Ok(Some(chunk)) = answer.chunk().await {
            text.extend_from_slice(&chunk);
            if text.len() > ANSWER_BYTES {
                break;
            }
        }
        let text = String::from_utf8_lossy(&text);
        http::judge(answer.status(), answer.headers(), &text, clock::now())
    }
}

#[async_trait]
impl Sink for Http {
    fn encode(&mut self, batch: &Batch, request: &mut Request) -> Result<(), Fault> {
        self.prepared = None;
        let part = request.part("");
        if part.body.is_empty() {
            self.encoder.begin(&mut part.body);
        }
        match batch {
            Batch::Logs(logs) => self.encoder.encode(logs, &mut part.body),
            Batch::Metrics(metrics) => self.encoder.encode_metrics(metrics, &mut part.body),
            Batch::Tasks(_) => return Err(Fault::fatal("an HTTP server takes no tasks")),
        }
        part.records += batch.len() as u64;
        Ok(())
    }

    async fn send(&mut self, request: &Request) -> Result<(), Fault> {
        let Some(part) = request.parts.first() else { return Ok(()) };
        let place = http::shown(&self.url);
        let body = self
            .body(&part.body)
            .map_err(|error| Fault::fatal(format!("compress for {place}: {error}")))?;
        self.attempt(body).await.map_err(|fault| Fault {
            message: format!("{} {place}: {}", self.method, fault.message),
            kind: fault.kind,
        })
    }
}
