//! `elasticsearch`: sends records to Elasticsearch or OpenSearch.

mod answer;
mod bulk;
mod documents;
mod identity;
#[cfg(test)]
mod tests;

use crate::event::Kinds;
use crate::event::encode::compress::Compression;
use crate::event::secret::Masker;
use crate::expr::path_template::PathTemplate;
use crate::host::clock;
use crate::net::auth::Auth;
use crate::net::endpoint::{Endpoint, Method};
use crate::net::endpoints::{Balance, Endpoints};
use crate::net::tls::TlsSettings;
use crate::net::urls::Urls;
use crate::topology::component::{BuildContext, BuiltSink, Fault, SinkConfig};
use crate::topology::delivery::{Concurrency, Delivery, RateLimit};
use crate::topology::settings::{BatchSettings, ByteSize, Period, RetrySettings};
use bulk::Bulk;
use documents::{Documents, Ids};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

/// Where records go that nothing else is said about.
const INDEX: &str = "driftless-%Y.%m.%d";

/// Sends records to Elasticsearch (7 and later) or OpenSearch, many in one `_bulk` request.
///
/// A record becomes a document: its fields, and `@timestamp`, `host` and `path` where it has none of
/// its own. The server answers for each document. What it has no room for (429), and what met an
/// error of its own (5xx), is sent again alone; what it will never take, such as a field of the
/// wrong type, goes to the `dead_letter` with the server's reason, or is dropped without one,
/// counted as `rejected`. Where the server cannot be reached, asks for a pause, or lets nobody in
/// (401, 403), everything waits, and nothing is dropped. A request that is too large for the server
/// or a proxy before it (413) is sent in halves.
///
/// A document's `_id` is made of where its record was read: host, source, file and offset. A record
/// that is sent again, be it after a crash, is refused by the server as one that it has (409), which
/// counts as delivered. So nothing is doubled within an index; a data stream that has rolled over in
/// between takes it once more. Records that come from no file get an `_id` that holds for as long as
/// the agent runs.
///
/// ```yaml
/// sinks:
///   elk:
///     type: elasticsearch
///     inputs: [app]
///     url: [https://es1.example.com:9200, https://es2.example.com:9200]
///     auth: {user: shipper, password: "{{ secrets.ES_PASSWORD }}"}
///     index: "app-{{ service }}-%Y.%m.%d"
///     compression: gzip
///     dead_letter: refused
///   stream:
///     type: elasticsearch
///     inputs: [app]
///     url: https://es.example.com:9200
///     auth: {api_key: "{{ secrets.ES_API_KEY }}"}
///     data_stream: {dataset: nginx.access, namespace: production}
///   refused:
///     type: file
///     inputs: []
///     path: /var/lib/driftless/refused.ndjson
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The server, or a list of servers of one cluster. One that cannot be reached, does not answer
    /// in time or answers 5xx is left alone for 30 s, and the next gets the same request at once. A
    /// path before `_bulk` may be part of it.
    pub url: Urls,
    /// Which server of a list gets a request.
    #[serde(default)]
    pub balance: Balance,
    /// Who sends it.
    #[serde(default)]
    pub auth: Auth,
    /// The index. `%Y.%m.%d` and other strftime codes mean the record's time in UTC;
    /// `{{ host }}`, `{{ source }}` and `{{ FIELD }}` what the record says, a missing field `_`.
    /// Letters are made small, and what no index name can have becomes `_`. By default
    /// `driftless-%Y.%m.%d`.
    #[serde(default)]
    pub index: Option<PathTemplate>,
    /// In place of `index`: the data stream.
    #[serde(default)]
    pub data_stream: Option<DataStream>,
    /// What is asked for: to `create` a document, or to `index` it, which replaces one of the same
    /// `_id`. By default `create`, which alone a data stream takes.
    #[serde(default)]
    pub action: Action,
    /// The documents' `_id`: `origin` makes it of where the record was read; `none` leaves it to
    /// the server, which is quicker there, and doubles what is sent again; any other text, such as
    /// `"{{ request_id }}"`, is the `_id` itself. A record without such a field gets the one of its
    /// origin. With a text of one's own and `create`, a second document of the same `_id` is
    /// rejected.
    #[serde(default = "default_id")]
    pub id: String,
    /// What picks the shard, such as `"{{ customer }}"`. By default the `_id` does.
    #[serde(default)]
    pub routing: Option<String>,
    /// The ingest pipeline that the documents go through. By default that of the index.
    #[serde(default)]
    pub pipeline: Option<String>,
    /// Further headers to send, by name.
    #[serde(default)]
    pub headers: IndexMap<String, crate::event::secret::SecretText>,
    /// How requests are compressed, by default not at all. The servers take `gzip`; `zstd` is for a
    /// proxy before them that takes it.
    #[serde(default)]
    pub compression: Compression,
    /// When a request is full.
    #[serde(default)]
    pub batch: BatchSettings,
    /// The most that is sent in one request, before compression; a larger one goes in parts. Where
    /// the server takes less it is found out.
    #[serde(default = "default_max_request")]
    pub max_request_bytes: ByteSize,
    /// Pauses after a failure.
    #[serde(default)]
    pub retry: RetrySettings,
    /// How many requests may be in flight: a number up to 64, or `adaptive`. By default 1.
    #[serde(default)]
    pub concurrency: Concurrency,
    /// How many requests may be sent: so many a second, or `{requests: 100, per: 1m}`. By default
    /// as many as there are.
    #[serde(default)]
    pub rate_limit: Option<RateLimit>,
    /// How long a request may take, answer included.
    #[serde(default = "default_timeout")]
    pub timeout: Period,
    /// Another sink, which takes the records that the server rejects for good.
    #[serde(default)]
    pub dead_letter: Option<String>,
    /// Whom to trust.
    #[serde(default)]
    pub tls: TlsSettings,
}

/// A data stream, called `TYPE-DATASET-NAMESPACE`. The server has to have an index template for it,
/// as Elasticsearch has for `logs-*-*`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DataStream {
    /// What the records are.
    #[serde(rename = "type")]
    pub kind: String,
    /// What they are about, such as `nginx.access`; it may have `{{ FIELD }}` in it.
    pub dataset: String,
    /// Whose they are, such as `production`; it may have `{{ FIELD }}` in it.
    pub namespace: String,
}

impl Default for DataStream {
    fn default() -> Self {
        Self { kind: "logs".into(), dataset: "generic".into(), namespace: "default".into() }
    }
}

/// What a server is asked to do with a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Take it if there is none of its `_id`.
    #[default]
    Create,
    /// Take it in place of the one of its `_id`.
    Index,
}

fn default_id() -> String {
    "origin".to_owned()
}

fn default_max_request() -> ByteSize {
    ByteSize(20 << 20)
}

fn default_timeout() -> Period {
    Period(Duration::from_secs(60))
}

impl SinkConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn dead_letter(&self) -> Option<&str> {
        self.dead_letter.as_deref()
    }

    fn build(&self, cx: &BuildContext) -> Result<BuiltSink, Fault> {
        let documents = self.documents(&cx.env.constants.load()).map_err(Fault::fatal)?;
        let bulk = self.bulk(&cx.env.masker).map_err(Fault::fatal)?;
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
        let (encoder, sender) = (Box::new(documents), Arc::new(bulk));
        Ok(BuiltSink::Requests { encoder, sender, delivery })
    }
}

impl Config {
    fn documents(&self, constants: &Map<String, Json>) -> Result<Documents, String> {
        if self.data_stream.is_some() && self.action == Action::Index {
            return Err("a data stream takes `action: create` only".to_owned());
        }
        let ids = match self.id.as_str() {
            "none" => Ids::Server,
            "origin" => Ids::Origin,
            text => Ids::text(text, constants)?,
        };
        // Whatever read the records before this run, these are others.
        let salt = format!("{}-{}", clock::now_ns(), std::process::id());
        Documents::new(
            self.action,
            &self.target()?,
            ids,
            self.routing.as_deref(),
            (&salt, constants),
        )
    }

    /// The template of the index or data stream.
    fn target(&self) -> Result<PathTemplate, String> {
        match (&self.index, &self.data_stream) {
            (Some(_), Some(_)) => Err("`index` and `data_stream` are two places; keep one".into()),
            (Some(index), None) => Ok(index.clone()),
            (None, Some(DataStream { kind, dataset, namespace })) => {
                PathTemplate::new(&format!("{kind}-{dataset}-{namespace}"))
                    .map_err(|error| format!("`data_stream`: {error}"))
            }
            (None, None) => PathTemplate::new(INDEX),
        }
    }

    fn bulk(&self, masker: &Masker) -> Result<Bulk, String> {
        let mut query = vec![("filter_path", "errors,items.*.status,items.*.error")];
        if let Some(pipeline) = &self.pipeline {
            query.push(("pipeline", pipeline));
        }
        let (mut nodes, mut roots) = (Vec::new(), Vec::new());
        for url in self.url.iter() {
            let timeout = self.timeout.0;
            let mut node = Endpoint::new(url, Method::Post, timeout, &self.tls, masker.clone())?;
            node.header("Content-Type", "application/x-ndjson")?;
            if let Some(name) = self.compression.content_encoding() {
                node.header("Content-Encoding", name)?;
            }
            node.authorize(&self.auth)?;
            for (name, value) in &self.headers {
                node.header(name, value.expose())?;
            }
            roots.push(node.clone());
            node.below(&["_bulk"], &query);
            nodes.push(node);
        }
        // An id of the record's own that is there already says nothing about this record.
        let own_ids = !matches!(self.id.as_str(), "origin" | "none");
        let refuses_known = own_ids && self.action == Action::Create;
        Ok(Bulk {
            nodes: Endpoints::new(nodes, self.balance),
            roots: Endpoints::new(roots, self.balance),
            compression: self.compression,
            limit: AtomicUsize::new(self.max_request_bytes.as_usize().max(1)),
            refuses_known,
        })
    }
}
