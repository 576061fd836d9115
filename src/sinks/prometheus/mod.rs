//! `prometheus`: lets Prometheus scrape what the sources know, as of that moment.

mod answers;
mod buffers;
mod guard;
mod negotiate;
mod own;
mod server;

use self::answers::Answers;
use self::guard::Guard;
use self::server::Server;
use crate::event::ack::Outcome;
use crate::event::secret::SecretText;
use crate::event::{Batch, Kinds};
use crate::net::tls::ListenTls;
use crate::topology::component::{BuildContext, BuiltSink, Fault, SinkConfig, StreamSink};
use crate::topology::context::SinkContext;
use crate::topology::edge::{Envelope, Input};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

/// More connections than this wait until others end.
const MAX_CONNECTIONS: usize = 256;

/// How long to wait after a connection could not be accepted, most likely for want of file
/// descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// How long running scrapes have once the sink is to end.
const LAST_SCRAPES: Duration = Duration::from_secs(2);

/// Serves metrics to Prometheus, together with the agent's own (`driftless_*`, `process_*`).
///
/// Each scrape polls the sources anew and waits for them no longer than Prometheus does.
/// `?collect[]=NAME`, given once or more, runs these collectors only, `?exclude[]=NAME` all but
/// these. Who asks for OpenMetrics gets it, others the text format 0.0.4. A source that cannot be
/// asked is shown as it was last heard of, for up to five minutes.
///
/// Beside the metrics are `/healthz` and `/readyz`, for whoever starts the agent anew or sends it
/// work, by the same rules of TLS and users: 200 where all is well, else 503, and in both cases
/// `{"status": "ok", "reasons": []}` with what is wrong. `/healthz` answers 503 while a component
/// has failed and is not at work again (for ten seconds), or is stuck: batches wait for it and from
/// one question to the next, over a minute or more, it has done nothing. `/readyz` does so too
/// where a sink has failed to deliver anything for a minute, where a buffer has been full for a
/// minute with nothing leaving it, and until a desired state that the
/// config declares was run once.
///
/// ```yaml
/// sinks:
///   scrape: {type: prometheus, inputs: [host], listen: 0.0.0.0:8000}
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address and port to listen on. The default can be reached from this host alone;
    /// `0.0.0.0:8000` from everywhere.
    #[serde(deserialize_with = "address")]
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Where the metrics are.
    pub path: String,
    /// Speak TLS.
    pub tls: Option<ListenTls>,
    /// Who may scrape: names, and the bcrypt hashes of their passwords (`htpasswd -nB NAME`). By
    /// default everybody.
    pub users: BTreeMap<String, SecretText>,
    /// Scrapes that are worked on at a time; further ones are answered 503.
    pub max_requests: usize,
    /// Tell of the agent itself too: `driftless_*` and `process_*`.
    pub own_metrics: bool,
    /// Tell which version of `node_exporter` the host's metrics are like, as it does itself
    /// (`node_exporter_build_info`). Some dashboards find hosts by it.
    pub node_exporter_info: bool,
}

/// As many scrapes at a time as `node_exporter` allows.
const MAX_SCRAPES: usize = 40;

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8000).into(),
            path: "/metrics".to_owned(),
            tls: None,
            users: BTreeMap::new(),
            max_requests: MAX_SCRAPES,
            own_metrics: true,
            node_exporter_info: false,
        }
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        de::Error::custom(format!(
            "found `{text}`, expected an address with a port such as `127.0.0.1:8000`"
        ))
    })
}

impl SinkConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::METRICS
    }

    fn build(&self, _: &BuildContext) -> Result<BuiltSink, Fault> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_.~-".contains(&byte);
        if !self.path.starts_with('/') || !self.path.bytes().all(plain) {
            let message = format!("`path` is `{}`, expected one such as `/metrics`", self.path);
            return Err(Fault::fatal(message));
        }
        if self.max_requests == 0 {
            return Err(Fault::fatal("`max_requests` is 0; it can be from 1 on".to_owned()));
        }
        let guard = Guard::new(&self.users).map_err(Fault::fatal)?;
        let tls = self.tls.as_ref().map(ListenTls::acceptor).transpose().map_err(Fault::fatal)?;
        Ok(BuiltSink::Stream(Box::new(Prometheus { config: self.clone(), guard, tls })))
    }
}

struct Prometheus {
    config: Config,
    guard: Guard,
    tls: Option<TlsAcceptor>,
}

#[async_trait]
impl StreamSink for Prometheus {
    async fn run(self: Box<Self>, input: Input, cx: SinkContext) -> Result<(), Fault> {
        let Self { config, guard, tls } = *self;
        let Config { listen, path, .. } = config.clone();
        // Tokio sets SO_REUSEADDR, so that connections of a former run do not stand in the way.
        let listener = match TcpListener::bind(listen).await {
            Ok(listener) => listener,
            Err(error) => {
                // What nobody can ask for must not hold back the sources.
                while let Some(Envelope { ack, .. }) = input.try_next().await {
                    ack.settle(Outcome::Delivered);
                }
                return Err(Fault::passing(format!("listen on {listen}: {error}")));
            }
        };
        tracing::info!(component = &*cx.name, %listen, path, "listening for scrapes");
        let answers = Arc::new(Answers::new(Arc::clone(&cx.demand)));
        let server = Arc::new(Server::new(config, guard, Arc::clone(&answers), &cx));
        let (close, closing) = watch::channel(());
        let mut connections = JoinSet::new();
        let mut accept_from = Instant::now();
        loop {
            let accept = async {
                sleep_until(accept_from).await;
                listener.accept().await
            };
            tokio::select! {
                envelope = input.next() => match envelope.map(Envelope::open) {
                    None => break,
                    Some((batch, ack, demand)) => {
                        cx.telemetry.received(&batch);
                        if let Batch::Metrics(metrics) = batch {
                            answers.take(metrics, demand);
                        }
                        ack.settle(Outcome::Delivered);
                    }
                },
                accepted = accept, if connections.len() < MAX_CONNECTIONS => match accepted {
                    Ok((stream, _)) => {
                        let (server, tls) = (Arc::clone(&server), tls.clone());
                        connections.spawn(server.greet(stream, tls, closing.clone()));
                    }
                    Err(error) => {
                        cx.telemetry.errors(1);
                        tracing::warn!(component = &*cx.name, %error, "a scrape was not accepted");
                        accept_from = Instant::now() + ACCEPT_PAUSE;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        answers.close();
        drop(close);
        let ended = async { while connections.join_next().await.is_some() {} };
        // Whoever still reads then is cut off.
        timeout(LAST_SCRAPES, ended).await.ok();
        Ok(())
    }
}
