//! What becomes of a request: it is checked, read, decoded, and answered when its records are
//! where they should be.

use super::body::{Packing, Records, Refusal, decode};
use super::{Acknowledge, Format, Http};
use crate::event::ack::Outcome;
use crate::net::listen::handshake;
use crate::topology::held::Told;
use crate::topology::telemetry::ComponentTelemetry;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{
    ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

/// A request's head may take this much.
const HEAD_BYTES: usize = 64 << 10;
/// Permits are counted in these, since a semaphore counts in 32 bits.
const UNIT_BYTES: usize = 1024;
/// Larger bodies, and packed ones, are decoded where that holds up nobody.
const DECODED_HERE: usize = 64 << 10;

type Answer = Response<Full<Bytes>>;

/// What one request brought.
pub(super) struct Work {
    pub(super) records: Records,
    /// Field and value, from the request's headers.
    pub(super) fields: Vec<(String, Vec<u8>)>,
    pub(super) peer: IpAddr,
    pub(super) told: Told,
}

/// What all connections share.
pub(super) struct Server {
    http: Http,
    /// Where records go; nowhere once the run comes to its end.
    to_take: Mutex<Option<mpsc::Sender<Work>>>,
    /// Room for bodies, held until they are delivered.
    room: Arc<Semaphore>,
    turns: Semaphore,
    telemetry: ComponentTelemetry,
    /// When all that still waits is answered; nothing while the run goes on.
    end: watch::Sender<Option<Instant>>,
}

impl Server {
    pub(super) fn new(
        http: Http,
        to_take: mpsc::Sender<Work>,
        room_bytes: usize,
        telemetry: ComponentTelemetry,
    ) -> Self {
        let room = Arc::new(Semaphore::new(room_bytes.div_ceil(UNIT_BYTES)));
        let turns = Semaphore::new(http.config.request_limit);
        let end = watch::Sender::new(None);
        Self { http, to_take: Mutex::new(Some(to_take)), room, turns, telemetry, end }
    }

    /// Takes no further request, and answers those that it has within this time.
    pub(super) fn close(&self, within: Duration) {
        self.end.send_replace(Some(Instant::now() + within));
        self.to_take.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Waits for something until `deadline`, and no longer than the end of the run allows.
    async fn in_time<T>(&self, deadline: Instant, wanted: impl Future<Output = T>) -> Waited<T> {
        let end = async {
            let mut told = self.end.subscribe();
            // The sender is this server's own, so that there is no error.
            let end = told.wait_for(Option::is_some).await.ok().and_then(|end| *end);
            sleep_until(end.unwrap_or(deadline)).await;
        };
        tokio::select! {
            biased;
            got = wanted => Waited::Got(got),
            () = sleep_until(deadline) => Waited::TooLong,
            () = end => Waited::Closing,
        }
    }

    /// Answers what comes on one connection, over TLS where that is asked for.
    pub(super) async fn welcome(
        self: Arc<Self>,
        stream: TcpStream,
        peer: IpAddr,
        closing: watch::Receiver<()>,
    ) {
        let Some(acceptor) = &self.http.tls else { return self.serve(stream, peer, closing).await };
        match handshake(acceptor, stream).await {
            Ok(stream) => self.serve(stream, peer, closing).await,
            Err(error) => {
                self.telemetry.errors(1);
                tracing::warn!(component = self.telemetry.name(), %peer, %error, "no TLS");
            }
        }
    }

    /// Answers what comes on one connection, until it ends or `closing` does.
    async fn serve(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: IpAddr,
        mut closing: watch::Receiver<()>,
    ) {
        let head_timeout = self.http.config.header_timeout.0;
        let service = service_fn(move |request| {
            let server = Arc::clone(&self);
            async move {
                let answer = server.answer(request, peer).await.unwrap_or_else(|refusal| *refusal);
                Ok::<_, Infallible>(answer)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head_timeout)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        // Why a client hangs up is its own affair.
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = closing.changed() => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await.ok();
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: IpAddr,
    ) -> Result<Answer, Box<Answer>> {
        let to_take = self.to_take.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (format, packing) = self.check(&request)?;
        let Ok(_turn) = self.turns.try_acquire() else { return Err(busy("requests").into()) };
        let Some(to_take) = to_take else {
            return Err(closing().into());
        };
        let fields = self.fields(request.headers());
        let (mut room, body) = self.read(request.into_body()).await?;
        let limit = self.http.config.max_body_bytes.as_usize();
        let records = if packing == Packing::Plain && body.len() <= DECODED_HERE {
            decode(body, packing, (format, self.http.joiner.as_ref()), limit)
        } else {
            let joiner = self.http.joiner.clone();
            let decode = move || decode(body, packing, (format, joiner.as_ref()), limit);
            tokio::task::spawn_blocking(decode)
                .await
                .unwrap_or_else(|_| Err(Refusal::Bad("the body cannot be read".to_owned())))
        };
        let records = records.map_err(|refusal| Box::new(self.refuse(refusal)))?;
        if packing != Packing::Plain {
            room.grow_to(&self.room, records.data.len())?;
        }
        let is_empty =
            records.data.is_empty() || records.places.as_ref().is_some_and(std::vec::Vec::is_empty);
        if is_empty {
            return Ok(plain(StatusCode::OK, ""));
        }
        let (tell, outcome) = oneshot::channel();
        let told: Told = Box::new(move |outcome| {
            drop(room);
            // A client that has hung up wants to know no more.
            tell.send(outcome).ok();
        });
        if to_take.try_send(Work { records, fields, peer, told }).is_err() {
            return Err(busy("requests").into());
        }
        drop(to_take);
        if self.http.config.acknowledge == Acknowledge::Accepted {
            return Ok(plain(StatusCode::ACCEPTED, ""));
        }
        let deadline = Instant::now() + self.http.config.timeout.0;
        match self.in_time(deadline, outcome).await {
            Waited::Got(Ok(Outcome::Delivered)) => Ok(plain(StatusCode::OK, "")),
            Waited::Got(Ok(Outcome::Dropped)) => {
                Err(plain(StatusCode::BAD_REQUEST, "A sink gave these records up for good.\n")
                    .into())
            }
            _ => Err(later(
                StatusCode::SERVICE_UNAVAILABLE,
                "The records are not at their sinks yet; they may get there later.",
            )
            .into()),
        }
    }

    /// Looks at the head of a request.
    fn check(&self, request: &Request<Incoming>) -> Result<(Format, Packing), Box<Answer>> {
        let config = &self.http.config;
        if request.uri().path() != config.path {
            return Err(plain(StatusCode::NOT_FOUND, "There is nothing here.\n").into());
        }
        if !matches!(*request.method(), Method::POST | Method::PUT) {
            let mut refusal = plain(StatusCode::METHOD_NOT_ALLOWED, "Use POST or PUT.\n");
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("POST, PUT"));
            return Err(refusal.into());
        }
        let headers = request.headers();
        if !self.http.guard.admits(headers) {
            self.telemetry.errors(1);
            let mut refusal = plain(StatusCode::UNAUTHORIZED, "Who are you?\n");
            let challenge = HeaderValue::from_static(self.http.guard.challenge());
            refusal.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            return Err(refusal.into());
        }
        let word = |name| headers.get(name).map_or("", |value| value.to_str().unwrap_or("?"));
        let Some(packing) = Packing::of(word(CONTENT_ENCODING)) else {
            let text = "This Content-Encoding is not known here. Use gzip, zstd or none.\n";
            return Err(plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into());
        };
        let told = request.body().size_hint().lower();
        if told > config.max_body_bytes.0 {
            return Err(self.refuse(Refusal::TooLarge).into());
        }
        let kind = word(CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
        let format = match config.format {
            Format::Auto if kind.eq_ignore_ascii_case("application/json") => Format::Json,
            Format::Auto if kind.eq_ignore_ascii_case("text/plain") => Format::Text,
            Format::Auto => Format::Ndjson,
            format => format,
        };
        Ok((format, packing))
    }

    /// The fields that are asked for, of those headers that are there.
    fn fields(&self, headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
        let wanted = self.http.headers.iter();
        wanted
            .filter_map(|(header, field)| {
                Some((field.clone(), headers.get(header)?.as_bytes().to_vec()))
            })
            .collect()
    }

    /// Reads a body, as far as there is room and time for it.
    async fn read(&self, mut body: Incoming) -> Result<(Room, Vec<u8>), Box<Answer>> {
        let deadline = Instant::now() + self.http.config.timeout.0;
        let limit = self.http.config.max_body_bytes.as_usize();
        let (mut room, mut bytes) = (Room::default(), Vec::new());
        loop {
            let frame = match self.in_time(deadline, body.frame()).await {
                Waited::Got(None) => return Ok((room, bytes)),
                Waited::Got(Some(Ok(frame))) => frame,
                Waited::Got(Some(Err(_))) => {
                    return Err(plain(StatusCode::BAD_REQUEST, "The body broke off.\n").into());
                }
                Waited::Closing => return Err(closing().into()),
                Waited::TooLong => {
                    return Err(
                        plain(StatusCode::REQUEST_TIMEOUT, "The body took too long.\n").into()
                    );
                }
            };
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > limit {
                return Err(self.refuse(Refusal::TooLarge).into());
            }
            room.grow_to(&self.room, bytes.len() + data.len())?;
            bytes.extend_from_slice(&data);
        }
    }

    fn refuse(&self, refusal: Refusal) -> Answer {
        self.telemetry.errors(1);
        match refusal {
            Refusal::TooLarge => {
                let limit = self.http.config.max_body_bytes;
                plain(StatusCode::PAYLOAD_TOO_LARGE, &format!("A body may take {limit}.\n"))
            }
            Refusal::Bad(why) => plain(StatusCode::BAD_REQUEST, &format!("{why}\n")),
        }
    }
}

/// The share of the common room that a request has taken.
#[derive(Default)]
struct Room {
    permits: Vec<OwnedSemaphorePermit>,
    units: usize,
}

impl Room {
    fn grow_to(&mut self, all: &Arc<Semaphore>, bytes: usize) -> Result<(), Box<Answer>> {
        let more = bytes.div_ceil(UNIT_BYTES).saturating_sub(self.units);
        let permits = u32::try_from(more).ok();
        let permit = permits.and_then(|more| Arc::clone(all).try_acquire_many_owned(more).ok());
        match (permit, self.permits.first_mut()) {
            (None, _) => return Err(busy("bytes").into()),
            (Some(permit), Some(first)) => first.merge(permit),
            (Some(permit), None) => self.permits.push(permit),
        }
        self.units += more;
        Ok(())
    }
}

/// How waiting has ended.
enum Waited<T> {
    Got(T),
    TooLong,
    /// The run ends.
    Closing,
}

fn closing() -> Answer {
    later(StatusCode::SERVICE_UNAVAILABLE, "The agent is shutting down.")
}

fn busy(what: &str) -> Answer {
    later(StatusCode::TOO_MANY_REQUESTS, &format!("Too many {what} are on their way already."))
}

/// An answer that asks to come back.
fn later(status: StatusCode, text: &str) -> Answer {
    let mut answer = plain(status, &format!("{text} Try again later.\n"));
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

fn plain(status: StatusCode, text: &str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(text.to_owned())));
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}
