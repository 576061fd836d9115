//! `loki`: sends records to Grafana Loki.

mod entries;
mod labels;
mod push;
#[cfg(test)]
mod tests;

use crate::event::Kinds;
use crate::event::encode::compress::Compression;
use crate::event::encode::{Encoder, Encoding, Extra};
use crate::event::secret::{Masker, SecretText};
use crate::expr::text_value::TextValue;
use crate::net::auth::Auth;
use crate::net::endpoint::{Endpoint, Method};
use crate::net::tls::TlsSettings;
use crate::topology::component::{BuildContext, BuiltSink, Fault, SinkConfig};
use crate::topology::delivery::{Concurrency, Delivery, RateLimit};
use crate::topology::settings::{BatchSettings, Period, RetrySettings};
use entries::Entries;
use indexmap::IndexMap;
use labels::{Labels, Names};
use push::Push;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use std::sync::Arc;
use std::time::Duration;

/// Sends records to Grafana Loki, grouped into streams by their labels.
///
/// Labels are what Loki finds a stream by, and each different set of them is a stream of its own:
/// take what has few values, such as the level, and put the rest into `structured_metadata`. A label
/// that says nothing for a record is left out of its set.
///
/// Within a stream records are sent in the order of their times. Those that follow each other with
/// the very same time are set apart by a nanosecond each, since Loki keeps only one of two lines
/// that are the same at the same time.
///
/// After 429, 5xx or no answer at all a request is sent again; so is one that lets nobody in (401,
/// 403), and nothing is dropped. Where Loki refuses a request (400), as it does for lines that are
/// too old or have too many labels, it is sent in halves until the lines at fault are found. These
/// go to the `dead_letter` with Loki's reason, or are dropped without one, counted as `rejected`. In
/// a request with very many of them, lines beside them may go there as well.
///
/// A crash before Loki has answered sends the same lines again. Loki keeps those once that have a
/// time of their own, as `parse` finds it, unless they share it with the line before.
///
/// ```yaml
/// sinks:
///   loki:
///     type: loki
///     inputs: [app]
///     url: https://loki.example.com:3100
///     labels: {job: app, host: "{{ host }}", level: "{{ level }}"}
///     structured_metadata: {trace_id: "{{ trace_id }}"}
///     tenant_id: shop
///     compression: gzip
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The server. `/loki/api/v1/push` is added, unless the path ends with `push`.
    pub url: SecretText,
    /// Who sends it.
    #[serde(default)]
    pub auth: Auth,
    /// Whose the records are, for servers with several tenants: `X-Scope-OrgID`. It may have
    /// `{{ FIELD }}` in it; a record without such a field goes without tenant.
    #[serde(default)]
    pub tenant_id: Option<String>,
    /// The labels, at least one: a name and a text each, with `{{ FIELD }}`, `{{ host }}`,
    /// `{{ source }}` or `{{ path }}` in it. What no name can have becomes `_`. By default `host`
    /// and `source`.
    #[serde(default)]
    pub labels: Labels,
    /// What goes with a line and is no label: a name and a text each, as for `labels`. Needs Loki 2.9
    /// or later; since 3.0 it is switched on there by default.
    #[serde(default)]
    pub structured_metadata: Names,
    /// How the line is written: `text` (as it was read while nothing has changed it, else as JSON),
    /// `ndjson`, `logfmt` or `csv`.
    #[serde(default)]
    pub encoding: Encoding,
    /// Further headers to send, by name.
    #[serde(default)]
    pub headers: IndexMap<String, SecretText>,
    /// How requests are compressed, by default not at all. Loki takes `gzip`.
    #[serde(default)]
    pub compression: Compression,
    /// Streams in one request, at most; one with more goes in parts. From 1.
    #[serde(default = "default_max_streams")]
    #[schemars(range(min = 1))]
    pub max_streams: usize,
    /// When a request is full.
    #[serde(default)]
    pub batch: BatchSettings,
    /// Pauses after a failure.
    #[serde(default)]
    pub retry: RetrySettings,
    /// How many requests may be in flight: a number up to 64, or `adaptive`. By default 1, which
    /// keeps the order within streams. With more, records may reach Loki out of order, which it
    /// takes since 2.4.
    #[serde(default)]
    pub concurrency: Concurrency,
    /// How many requests may be sent: so many a second, or `{requests: 100, per: 1m}`. By default
    /// as many as there are.
    #[serde(default)]
    pub rate_limit: Option<RateLimit>,
    /// How long a request may take, answer included.
    #[serde(default = "default_timeout")]
    pub timeout: Period,
    /// Another sink, which takes the records that Loki rejects for good.
    #[serde(default)]
    pub dead_letter: Option<String>,
    /// Whom to trust.
    #[serde(default)]
    pub tls: TlsSettings,
}

fn default_max_streams() -> usize {
    1000
}

fn default_timeout() -> Period {
    Period(Duration::from_secs(30))
}

impl SinkConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn dead_letter(&self) -> Option<&str> {
        self.dead_letter.as_deref()
    }

    fn build(&self, cx: &BuildContext) -> Result<BuiltSink, Fault> {
        let entries = self.entries(&cx.env.constants.load()).map_err(Fault::fatal)?;
        let push = self.push(cx.env.masker.clone()).map_err(Fault::fatal)?;
        let delivery = Delivery {
            batch: self.batch,
            retry: self.retry,
            concurrency: self.concurrency,
            rate_limit: self.rate_limit,
            // Each part of a request has its own time.
            timeout: None,
            key_order: false,
            partial: true,
            ..Delivery::default()
        };
        let (encoder, sender) = (Box::new(entries), Arc::new(push));
        Ok(BuiltSink::Requests { encoder, sender, delivery })
    }
}

impl Config {
    fn entries(&self, constants: &Map<String, Json>) -> Result<Entries, String> {
        if self.encoding == Encoding::Json {
            return Err("`encoding`: an array is no line; take `ndjson`".to_owned());
        }
        let tenant = self.tenant_id.as_deref();
        let tenant = tenant.map(|text| TextValue::new("tenant_id", Some(text), &[], constants));
        let labels = self.labels.values("labels", constants)?;
        let metadata = self.structured_metadata.values("structured_metadata", constants)?;
        let encoder = Encoder::new(&self.encoding, Extra::Nothing);
        Ok(Entries::new(labels, metadata, tenant.transpose()?, encoder))
    }

    fn push(&self, masker: Masker) -> Result<Push, String> {
        if self.max_streams == 0 {
            return Err("`max_streams` is at least 1".to_owned());
        }
        let (url, timeout) = (self.url.expose(), self.timeout.0);
        let mut endpoint = Endpoint::new(url, Method::Post, timeout, &self.tls, masker)?;
        endpoint.below(&["loki", "api", "v1", "push"], &[]);
        endpoint.header("Content-Type", "application/json")?;
        if let Some(name) = self.compression.content_encoding() {
            endpoint.header("Content-Encoding", name)?;
        }
        endpoint.authorize(&self.auth)?;
        for (name, value) in &self.headers {
            endpoint.header(name, value.expose())?;
        }
        Ok(Push { endpoint, compression: self.compression, max_streams: self.max_streams })
    }
}
