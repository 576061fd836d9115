//! The endpoint's HTTP side: one scrape is one request.

use super::Config;
use super::answers::Answers;
use super::buffers::{Buffers, Lent};
use super::guard::Guard;
use super::negotiate::{accepts_gzip, format};
use super::own::{Own, node_exporter_build_info};
use crate::event::exposition::Format;
use crate::event::exposition_memory::Memory;
use crate::event::metric::Family;
use crate::net::query;
use crate::topology::context::{Environment, SinkContext};
use crate::topology::demand::Wanted;
use crate::topology::probe::Probe;
use crate::topology::telemetry::ComponentTelemetry;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::Full;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, VARY,
    WWW_AUTHENTICATE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use std::convert::Infallible;
use std::io::Write;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// A client that has not sent its request by then is hung up on.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// A request's head may take this much.
const HEAD_BYTES: usize = 16 << 10;

/// No connection lives longer, so that one whose client does not read cannot stay for ever.
const CONNECTION_LIFE: Duration = Duration::from_secs(600);

/// What a connection has for its last answer.
const LAST_ANSWER: Duration = Duration::from_secs(10);

/// How long a scraper waits that does not say so.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the way back takes of a scraper's time.
const MARGIN: Duration = Duration::from_millis(500);

/// Whether the agent is well, and whether it does what it is for.
const HEALTH: &str = "/healthz";
const READINESS: &str = "/readyz";

/// How long the scraper waits, in seconds.
const TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";

type Answer = Response<Full<Bytes>>;

/// What all connections share.
pub(super) struct Server {
    config: Config,
    guard: Guard,
    answers: Arc<Answers>,
    env: Arc<Environment>,
    probe: Probe,
    counters: ComponentTelemetry,
    own: Mutex<Own>,
    turns: Semaphore,
    buffers: Buffers,
    /// What was answered last, which the next answer is mostly like: in the text format, and in
    /// OpenMetrics.
    memories: [Mutex<Memory>; 2],
}

impl Server {
    pub(super) fn new(
        config: Config,
        guard: Guard,
        answers: Arc<Answers>,
        cx: &SinkContext,
    ) -> Self {
        let (env, counters) = (Arc::clone(&cx.env), cx.telemetry.clone());
        let (own, turns) = (
            Mutex::new(Own::new()),
            Semaphore::new(config.max_requests.min(Semaphore::MAX_PERMITS)),
        );
        let (probe, buffers, memories) = Default::default();
        Self { config, guard, answers, env, probe, counters, own, turns, buffers, memories }
    }

    /// Shakes hands where TLS is spoken, and answers what comes on the connection, until it ends
    /// or `closing` does.
    pub(super) async fn greet(
        self: Arc<Self>,
        stream: TcpStream,
        tls: Option<TlsAcceptor>,
        closing: watch::Receiver<()>,
    ) {
        let Some(tls) = tls else { return self.serve(stream, closing).await };
        // Who cannot shake hands, or does not in time, is none of ours.
        if let Ok(Ok(stream)) = timeout(HEADER_TIMEOUT, tls.accept(stream)).await {
            self.serve(stream, closing).await;
        }
    }

    async fn serve(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        mut closing: watch::Receiver<()>,
    ) {
        let service = service_fn(move |request| {
            let server = Arc::clone(&self);
            async move { Ok::<_, Infallible>(server.answer(&request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        // Why a client hangs up is its own affair.
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = closing.changed() => {}
            () = sleep(CONNECTION_LIFE) => {}
        }
        connection.as_mut().graceful_shutdown();
        timeout(LAST_ANSWER, connection).await.ok();
    }

    async fn answer<B>(&self, request: &Request<B>) -> Answer {
        let (method, path) = (request.method(), request.uri().path());
        if !self.guard.admits(request.headers()).await {
            let mut refusal = plain(StatusCode::UNAUTHORIZED, "Who are you?\n".to_owned());
            let challenge = HeaderValue::from_static("Basic realm=\"metrics\", charset=\"UTF-8\"");
            refusal.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            return refusal;
        }
        let own = &self.config.path;
        let is_probe = path != own && (path == HEALTH || path == READINESS);
        if path != own && path != "/" && !is_probe {
            let text = format!("There is nothing here. The metrics are at {own}\n");
            return plain(StatusCode::NOT_FOUND, text);
        }
        if !matches!(*method, Method::GET | Method::HEAD) {
            let text = format!("{method} is not for metrics. Use GET.\n");
            let mut refusal = plain(StatusCode::METHOD_NOT_ALLOWED, text);
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refusal;
        }
        match path {
            _ if path == own => self.scrape(request).await,
            HEALTH => self.told(&self.probe.ills(&self.env)),
            READINESS => self.told(&self.probe.lacks(&self.env)),
            _ => self.index(),
        }
    }

    async fn scrape<B>(&self, request: &Request<B>) -> Answer {
        let Ok(_turn) = self.turns.try_acquire() else {
            let text = format!(
                "{} scrapes are under way already. Try again later.\n",
                self.config.max_requests
            );
            return plain(StatusCode::SERVICE_UNAVAILABLE, text);
        };
        let asked = |name| query::values(request.uri().query().unwrap_or_default(), name);
        let wanted = Wanted { only: asked("collect[]"), except: asked("exclude[]") };
        if !wanted.only.is_empty() && !wanted.except.is_empty() {
            let text = "Either collect[] or exclude[], not both.\n".to_owned();
            return plain(StatusCode::BAD_REQUEST, text);
        }
        let deadline = Instant::now() + patience(request.headers());
        let gathered = self.answers.gather(deadline, &wanted).await;
        if let Some(unknown) = gathered.unknown(&wanted.only) {
            let text = format!("There is no collector `{unknown}` among those that run here.\n");
            return plain(StatusCode::BAD_REQUEST, text);
        }
        let format = format(request.headers());
        let mut text = self.text(format, gathered.families, gathered.unanswered);
        let packed = accepts_gzip(request.headers()) && self.pack(&mut text);
        let mut answer = Response::new(Full::new(text.freeze()));
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
        headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
        if packed {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        answer
    }

    /// The exposition of these families and of the agent's own.
    fn text(&self, format: Format, mut families: Vec<Family>, unanswered: usize) -> Lent {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if self.config.own_metrics {
            families.extend(self.env.telemetry.families());
            own.add_to(&mut families, unanswered);
        }
        if self.config.node_exporter_info {
            families.push(node_exporter_build_info());
        }
        families.sort_by(|one, other| one.name.cmp(&other.name));
        let mut text = self.buffers.lend();
        let [of_text, of_open_metrics] = &self.memories;
        let memory = match format {
            Format::Text => of_text,
            Format::OpenMetrics => of_open_metrics,
        };
        let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = memory.encode_as(format, &families, &mut text.bytes);
        drop(memory);
        own.left_out += left_out as u64;
        let samples: usize = families.iter().map(|family| family.samples.len()).sum();
        self.counters.delivered((samples - left_out) as u64, text.bytes.len() as u64);
        text
    }

    /// Puts the compressed form in the text's place; `false` where that did not work.
    fn pack(&self, text: &mut Lent) -> bool {
        let mut packed = self.buffers.lend();
        // The fast level: the way to Prometheus is rarely as narrow as a busy host's processor.
        let mut encoder = GzEncoder::new(std::mem::take(&mut packed.bytes), Compression::fast());
        match encoder.write_all(&text.bytes).and_then(|()| encoder.finish()) {
            Ok(bytes) => {
                packed.bytes = bytes;
                std::mem::swap(&mut text.bytes, &mut packed.bytes);
                true
            }
            Err(_) => false,
        }
    }

    /// That all is well, or what is not.
    fn told(&self, reasons: &[String]) -> Answer {
        let reasons: Vec<_> = reasons.iter().map(|reason| self.env.masker.mask(reason)).collect();
        let (status, word) = match reasons.is_empty() {
            true => (StatusCode::OK, "ok"),
            false => (StatusCode::SERVICE_UNAVAILABLE, "failing"),
        };
        let text = format!("{}\n", json!({"status": word, "reasons": reasons}));
        let mut answer = plain(status, text);
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer
    }

    fn index(&self) -> Answer {
        let path = &self.config.path;
        let page = format!(
            "<!doctype html><html lang=\"en\"><title>Driftless</title>\
             <h1>Driftless {}</h1><p><a href=\"{path}\">Metrics</a> \
             <a href=\"{HEALTH}\">Health</a> <a href=\"{READINESS}\">Readiness</a></html>\n",
            env!("CARGO_PKG_VERSION")
        );
        let mut answer = Response::new(Full::new(page.into()));
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        answer.headers_mut().insert(CONTENT_TYPE, html);
        answer
    }
}

fn plain(status: StatusCode, text: String) -> Answer {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// How long to wait for the sources: as long as the scraper waits, less the way back.
fn patience(headers: &HeaderMap) -> Duration {
    let told = headers.get(TIMEOUT_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
    let told = told.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let told = told
        .filter(|told| !told.is_zero())
        .map_or(PATIENCE, |told| told.saturating_sub(MARGIN).max(told / 2));
    told.min(CONNECTION_LIFE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn a_scraper_is_answered_before_it_gives_up() {
        let patience = |value: &str| patience(&header(TIMEOUT_HEADER, value)).as_secs_f64();
        assert!((patience("15") - 14.5).abs() < 1e-9);
        assert!((patience("0.2") - 0.1).abs() < 1e-9);
        for nonsense in ["", "soon", "-1", "0", "NaN"] {
            assert!((patience(nonsense) - 10.0).abs() < 1e-9, "{nonsense}");
        }
        assert!(patience("1e9") <= CONNECTION_LIFE.as_secs_f64());
    }
}
