//! `alertmanager`: sends alerts to Prometheus's Alertmanager.

mod alert;
#[cfg(test)]
mod tests;

use crate::event::secret::{Masker, SecretText};
use crate::event::{Batch, Kinds};
use crate::host::clock;
use crate::net::auth::Auth;
use crate::net::endpoint::{Endpoint, Method, Wanted};
use crate::net::endpoints::{Balance, Endpoints};
use crate::net::parts::{SendPart, send_in_parts};
use crate::net::tls::TlsSettings;
use crate::net::urls::Urls;
use crate::topology::component::{BuildContext, BuiltSink, Deliver, Encode, Fault, SinkConfig};
use crate::topology::delivery::Delivery;
use crate::topology::request::{Answer, Request, Requests};
use crate::topology::settings::{BatchSettings, Period, RetrySettings};
use alert::alert;
use async_trait::async_trait;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Sends the records of a `threshold` transform to Alertmanager, by its API of version 2.
///
/// It reads the output `standing` of that transform, which says once a minute what is bad, and for
/// 15 minutes what no longer is: Alertmanager takes an alert that it does not hear of for
/// `resolve_timeout` (5 minutes) as resolved, and knows nothing after a restart of its own.
///
/// A check becomes an alert with the labels `alertname` (its name), `severity` (its state:
/// `warning`, `critical`, `unknown`), those of the series and its own, and `host`; an alert of a
/// Prometheus rule is the one that Prometheus would send, and `host`.
///
/// What meets no answer or 5xx is sent again, and so is what lets nobody in (401, 403). What
/// Alertmanager refuses (400) is sent in halves until the alert at fault is found; that is dropped,
/// counted as `rejected`.
///
/// ```yaml
/// transforms:
///   watch:
///     type: threshold
///     inputs: [host]
///     rule_files: [rules/*.yml]
///     labels: {job: node}
/// sinks:
///   alertmanager:
///     type: alertmanager
///     inputs: [watch.standing]
///     url: https://alertmanager.example.com
///     labels: {site: north}
/// ```
///
/// In `facts.yml` it is `alerts: [alertmanager: {url: URL}]`, or `http: {url: URL, format:
/// alertmanager}`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The server, or a list of servers; `/api/v2/alerts` is added, unless the path ends with
    /// `alerts`. Members of a cluster do not tell each other of alerts: name one sink for each.
    pub url: Urls,
    /// Who sends it.
    #[serde(default)]
    pub auth: Auth,
    /// Labels that every alert has that does not have its own.
    #[serde(default)]
    pub labels: IndexMap<String, String>,
    /// Further headers to send, by name.
    #[serde(default)]
    pub headers: IndexMap<String, SecretText>,
    /// When a request is full. By default a second after its first alert.
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

fn default_timeout() -> Period {
    Period(Duration::from_secs(10))
}

impl SinkConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, cx: &BuildContext) -> Result<BuiltSink, Fault> {
        let sender = self.sender(&cx.env.masker).map_err(Fault::fatal)?;
        let delivery = Delivery {
            batch: self.batch,
            retry: self.retry,
            // Each server of a list has its own time, and so has each part.
            timeout: None,
            partial: true,
            ..Delivery::default()
        };
        let encoder = Box::new(Alerts { labels: self.labels.clone() });
        Ok(BuiltSink::Requests { encoder, sender: Arc::new(sender), delivery })
    }
}

impl Config {
    fn sender(&self, masker: &Masker) -> Result<Alertmanager, String> {
        let endpoint = |url: &str| {
            let mut endpoint =
                Endpoint::new(url, Method::Post, self.timeout.0, &self.tls, masker.clone())?;
            endpoint.below(&["api", "v2", "alerts"], &[]);
            endpoint.header("Content-Type", "application/json")?;
            endpoint.authorize(&self.auth)?;
            for (name, value) in &self.headers {
                endpoint.header(name, value.expose())?;
            }
            Ok::<_, String>(endpoint)
        };
        let endpoints = self.url.iter().map(endpoint).collect::<Result<_, _>>()?;
        Ok(Alertmanager { endpoints: Endpoints::new(endpoints, Balance::default()) })
    }
}

/// Records as alerts, with a comma before each.
struct Alerts {
    labels: IndexMap<String, String>,
}

impl Encode for Alerts {
    fn encode(&mut self, batch: &Batch, requests: &mut Requests) -> Result<(), Fault> {
        let Batch::Logs(logs) = batch else {
            return Err(Fault::fatal("Alertmanager takes the records of a `threshold` only"));
        };
        for record in logs.records() {
            let alert = alert(&record, &self.labels).to_string();
            requests.to("").append_record(&record, |body| {
                body.push(b',');
                body.extend_from_slice(alert.as_bytes());
                body.len() - alert.len()
            });
        }
        Ok(())
    }
}

struct Alertmanager {
    endpoints: Endpoints,
}

#[async_trait]
impl Deliver for Alertmanager {
    async fn deliver(&self, request: &Request) -> Result<Answer, Fault> {
        let alerts: Vec<&[u8]> = request.encoded().collect();
        let count = alerts.len();
        send_in_parts(&Parts { endpoints: &self.endpoints, alerts }, count).await
    }

    async fn check(&self) -> Result<(), Fault> {
        self.endpoints.answer().await
    }
}

/// A request that may be sent in parts.
struct Parts<'r> {
    endpoints: &'r Endpoints,
    alerts: Vec<&'r [u8]>,
}

#[async_trait]
impl SendPart for Parts<'_> {
    async fn send(&self, part: Range<usize>) -> Result<Answer, Fault> {
        let alerts = self.alerts.get(part).unwrap_or_default().concat();
        let alerts = alerts.strip_prefix(b",").unwrap_or(&alerts);
        let body = [b"[", alerts, b"]"].concat().into();
        let sent = self.endpoints.send(&body, Wanted::Status, clock::now()).await;
        sent.map(|_| Answer::default())
    }
}
