//! An HTTP server for receivers that are stricter than most: it listens in the test's own process,
//! can be told to fail, and can come back at its old address.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use tokio::runtime::Runtime;

/// A request, its body unpacked.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Bytes of the body before it was packed, and as it came.
    pub(crate) wire_bytes: usize,
}

/// An answer: status, and text.
pub(crate) type Answer = (u16, String);

/// What comes before any receiver's own rules.
#[derive(Default)]
pub(crate) struct Manners {
    /// Answers to the next requests, whatever they bring: status and `Retry-After`.
    pub(crate) refusals: VecDeque<(u16, Option<u64>)>,
    /// Answers that others give in the server's place to the next requests, which it never sees.
    pub(crate) strangers: VecDeque<(u16, &'static str)>,
    /// How many requests to take in before their connection is cut.
    pub(crate) resets: usize,
    /// What `Authorization` has to say.
    pub(crate) authorization: Option<String>,
    /// The most bytes that a body may have.
    pub(crate) limit: Option<usize>,
    /// How many requests to take in and leave without an answer.
    pub(crate) silences: usize,
    /// Statuses of all answers so far.
    pub(crate) answers: Vec<u16>,
}

/// A server; it ends with this value.
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Stub {
    /// Listens at `address`, or on any free port.
    pub(crate) fn start<R>(
        address: Option<SocketAddr>,
        manners: &Arc<Mutex<Manners>>,
        receive: R,
    ) -> Self
    where
        R: Fn(&Asked) -> Answer + Clone + Send + Sync + 'static,
    {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TcpListener::bind(address.unwrap_or(any)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let manners = Arc::clone(manners);
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let (manners, receive) = (Arc::clone(&manners), receive.clone());
                let service = service_fn(move |request| {
                    let (manners, receive) = (Arc::clone(&manners), receive.clone());
                    async move { answer(request, &manners, receive).await }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move { connection.await.ok() });
            }
        });
        Self { address, runtime: Some(runtime) }
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    manners: &Mutex<Manners>,
    receive: impl Fn(&Asked) -> Answer,
) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let packed = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    let asked = Asked {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        wire_bytes: packed.len(),
        body: unpacked(&head.headers, packed),
        headers: head.headers,
    };
    if asked.method == "POST"
        && let Some((status, text)) = manners.lock().unwrap().strangers.pop_front()
    {
        return Ok(Response::builder().status(status).body(Full::from(text)).unwrap());
    }
    let ((status, after), text) = match manners.lock().unwrap().says(&asked) {
        Some(refusal) => (refusal, "not now".to_owned()),
        None => {
            let (status, text) = receive(&asked);
            ((status, None), text)
        }
    };
    let is_silent = {
        let mut manners = manners.lock().unwrap();
        if manners.resets > 0 && asked.method == "POST" {
            manners.resets -= 1;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let is_silent = manners.silences > 0 && asked.method == "POST";
        manners.silences -= usize::from(is_silent);
        manners.answers.push(if is_silent { 0 } else { status });
        is_silent
    };
    if is_silent {
        std::future::pending::<()>().await;
    }
    let mut response = Response::builder().status(status);
    if let Some(seconds) = after {
        response = response.header("retry-after", seconds);
    }
    Ok(response.body(Full::new(Bytes::from(text))).unwrap())
}

/// The body as it was before it was compressed.
fn unpacked(headers: &HeaderMap, packed: Vec<u8>) -> Vec<u8> {
    match headers.get("content-encoding").map(|name| name.to_str().unwrap()) {
        None => packed,
        Some("gzip") => {
            let mut body = Vec::new();
            flate2::read::GzDecoder::new(&*packed).read_to_end(&mut body).unwrap();
            body
        }
        Some(other) => panic!("no server takes {other}"),
    }
}

impl Manners {
    /// The refusal for this request, if there is one.
    fn says(&mut self, asked: &Asked) -> Option<(u16, Option<u64>)> {
        if self.authorization.as_deref().is_some_and(|it| it != asked.header("authorization")) {
            return Some((401, None));
        }
        if asked.method != "POST" {
            return None;
        }
        if self.limit.is_some_and(|limit| asked.body.len() > limit) {
            return Some((413, None));
        }
        self.refusals.pop_front()
    }
}
