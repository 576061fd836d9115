//! `http`: listens for records that are sent to it in requests.

mod auth;
mod body;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod server;
mod serving;

use crate::event::Kinds;
use crate::event::log::multiline::Joiner;
use crate::net::auth::Auth;
use crate::net::tls::ListenTls;
use crate::topology::component::{BuildContext, Fault, Source, SourceConfig};
use crate::topology::context::SourceContext;
use crate::topology::multiline;
use crate::topology::output::Output;
use crate::topology::settings::{ByteSize, Period};
use async_trait::async_trait;
use auth::Guard;
use hyper::header::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

/// Listens for records that are sent in the bodies of POST and PUT requests, plain or compressed
/// with gzip or zstd. Each line, or each object of JSON, is a record; `parse` with
/// `format: json` makes its entries into fields.
///
/// ```yaml
/// sources:
///   apps:
///     type: http
///     listen: 0.0.0.0:8080
///     path: /logs
///     auth: {bearer: "{{ secrets.APP_TOKEN }}"}
///     headers: {X-Service: service}
/// ```
///
/// It answers
///
/// - 200 when every sink has the records, or 202 at once with `acknowledge: accepted`;
/// - 400 where the body is not of the format, with the line, and where a sink gave the records
///   up for good; nothing of a request that is refused is taken;
/// - 401 where `auth` is not met, 404 for another path, 405 for another method, 408 for a body
///   that does not come in time, 413 for one that is too large, 415 for an unknown compression;
/// - 429 with `Retry-After` where there is no room: nothing is ever put off without bound;
/// - 503 with `Retry-After` where the sinks did not take the records in time, at the end of the
///   run within five seconds. The records may yet arrive, so a client that sends again may double
///   them.
///
/// With `agent --once` it does not listen.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and port to listen on.
    pub listen: String,
    /// The path that takes records.
    #[serde(default = "root")]
    pub path: String,
    /// What bodies hold.
    #[serde(default)]
    pub format: Format,
    /// Who may send: `{user, password}`, `{bearer}` or `{header: {name, value}}`. By default everybody.
    #[serde(default)]
    pub auth: Auth,
    /// Speak TLS.
    #[serde(default)]
    pub tls: Option<ListenTls>,
    /// When a request is answered.
    #[serde(default)]
    pub acknowledge: Acknowledge,
    /// The largest body, before and after it is unpacked.
    #[serde(default = "largest_body")]
    pub max_body_bytes: ByteSize,
    /// What the bodies of all requests that are not delivered yet may take together, unpacked.
    /// Beyond it new requests are answered 429.
    #[serde(default = "buffered")]
    pub max_buffered_bytes: ByteSize,
    /// Requests that are worked on at a time; further ones are answered 429.
    #[serde(default = "requests")]
    pub request_limit: usize,
    /// Clients that may be connected; more have to wait.
    #[serde(default = "connections")]
    pub connection_limit: usize,
    /// How long a client has for the head of a request, also for the next one on its connection.
    #[serde(default = "head_timeout")]
    pub header_timeout: Period,
    /// How long a client has for the body of a request, and the sinks then for taking it.
    #[serde(default = "body_timeout")]
    pub timeout: Period,
    /// Joins lines of `text` that belong together, within one body. Its `timeout` means nothing
    /// here, since a body has an end. Default: each line is a record.
    #[serde(default)]
    pub multiline: Option<multiline::Config>,
    /// Headers whose values are put into fields, beside `message`: header to field.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Put the sender's IP address into this field, beside `message`.
    #[serde(default)]
    pub peer_field: Option<String>,
}

/// What bodies hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// What the header `Content-Type` says: `application/json` is `json`, `text/plain` is `text`,
    /// anything else and nothing is `ndjson`.
    #[default]
    Auto,
    /// A JSON object on each line; empty lines count for nothing.
    Ndjson,
    /// One JSON object, or an array of them.
    Json,
    /// Lines of any text.
    Text,
}

/// When a request is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Acknowledge {
    /// When every sink has its records: a client that sends again until it gets 200 loses nothing.
    #[default]
    Delivered,
    /// When its records are in memory: faster, but a process that is killed loses them.
    Accepted,
}

fn root() -> String {
    "/".to_owned()
}

fn largest_body() -> ByteSize {
    ByteSize(10 << 20)
}

fn buffered() -> ByteSize {
    ByteSize(32 << 20)
}

fn requests() -> usize {
    256
}

fn connections() -> usize {
    1000
}

fn head_timeout() -> Period {
    Period(Duration::from_secs(30))
}

fn body_timeout() -> Period {
    Period(Duration::from_secs(60))
}

impl SourceConfig for Config {
    fn gives(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Source>, Fault> {
        let address = self.check().map_err(Fault::fatal)?;
        let multiline = self.multiline.as_ref();
        let joiner = multiline.map(|multiline| multiline.joiner(self.max_body_bytes)).transpose();
        let joiner = joiner.map_err(Fault::fatal)?;
        let guard = Guard::new(&self.auth).map_err(Fault::fatal)?;
        let tls = self.tls.as_ref().map(ListenTls::acceptor).transpose().map_err(Fault::fatal)?;
        let headers = self.headers.iter().map(|(header, field)| {
            let name = HeaderName::from_bytes(header.as_bytes())
                .map_err(|_| Fault::fatal(format!("`{header}` is no name of a header")))?;
            Ok((name, field.clone()))
        });
        let headers = headers.collect::<Result<_, Fault>>()?;
        Ok(Box::new(Http { config: self.clone(), address, guard, tls, headers, joiner }))
    }
}

impl Config {
    fn check(&self) -> Result<SocketAddr, String> {
        let listen = &self.listen;
        let address = listen.parse().map_err(|_| {
            format!(
                "`listen` is `{listen}`, expected an address with a port such as `0.0.0.0:8080`"
            )
        })?;
        if !self.path.starts_with('/') || self.path.contains(['?', '#']) {
            return Err(format!("`path` is `{}`, expected one such as `/logs`", self.path));
        }
        if self.max_body_bytes.0 == 0 || self.max_body_bytes > self.max_buffered_bytes {
            return Err(format!(
                "`max_body_bytes` is {}; it can be up to `max_buffered_bytes`, which is {}",
                self.max_body_bytes, self.max_buffered_bytes
            ));
        }
        if self.max_buffered_bytes.0 > 4 << 30 {
            return Err(format!(
                "`max_buffered_bytes` is {}; it can be up to 4GiB",
                self.max_buffered_bytes
            ));
        }
        if self.multiline.is_some() && matches!(self.format, Format::Ndjson | Format::Json) {
            return Err("`multiline` is for text, and `format` lets none in".to_owned());
        }
        if self.request_limit == 0 || self.connection_limit == 0 {
            return Err("a limit of 0 lets nobody in".to_owned());
        }
        Ok(address)
    }
}

struct Http {
    config: Config,
    address: SocketAddr,
    guard: Guard,
    tls: Option<TlsAcceptor>,
    /// Header and field.
    headers: Vec<(HeaderName, String)>,
    joiner: Option<Joiner>,
}

#[async_trait]
impl Source for Http {
    async fn run(self: Box<Self>, out: Output, cx: SourceContext) -> Result<(), Fault> {
        serving::run(*self, out, cx).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused_in_the_files_own_words() {
        let told = |json: &str| {
            let config: Config = serde_json::from_str(json).unwrap();
            config.check().unwrap_err()
        };
        insta::assert_snapshot!(
            told(r#"{"listen": "8080"}"#),
            @"`listen` is `8080`, expected an address with a port such as `0.0.0.0:8080`"
        );
        insta::assert_snapshot!(
            told(r#"{"listen": "[::]:8080", "path": "logs"}"#),
            @"`path` is `logs`, expected one such as `/logs`"
        );
        insta::assert_snapshot!(
            told(r#"{"listen": "[::]:8080", "max_body_bytes": "1GiB"}"#),
            @"`max_body_bytes` is 1GiB; it can be up to `max_buffered_bytes`, which is 32MiB"
        );
        insta::assert_snapshot!(
            told(r#"{"listen": "[::]:8080", "format": "json", "multiline": {"mode": "java"}}"#),
            @"`multiline` is for text, and `format` lets none in"
        );
    }
}
