//! An HTTP server of a test, which answers as the test says.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What the server does with a request.
pub(crate) enum Reply {
    /// It answers, and says when to come back, in seconds.
    Says(u16, Option<u64>),
    /// It answers 200, after a while.
    Late(Duration),
    /// It closes the connection before it has read the body.
    Breaks,
    /// It closes the connection once it has read all of it.
    Hangs,
}

/// A request that was answered.
pub(crate) struct Arrived {
    pub(crate) at: Instant,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// The `message` of each record, or the line itself where it is no JSON.
    pub(crate) lines: Vec<String>,
}

/// What a server decides by: how many requests came before this one and how many are with it now,
/// itself included, and its lines.
pub(crate) type Rule = dyn Fn(usize, usize, &[String]) -> Reply + Send + Sync;

pub(crate) struct Receiver {
    pub(crate) url: String,
    state: Arc<State>,
    _runtime: tokio::runtime::Runtime,
}

struct State {
    rule: Box<Rule>,
    count: AtomicUsize,
    with_it: AtomicUsize,
    most: AtomicUsize,
    arrived: Mutex<Vec<Arrived>>,
}

impl Receiver {
    pub(crate) fn new(
        rule: impl Fn(usize, usize, &[String]) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        let state = Arc::new(State {
            rule: Box::new(rule),
            count: AtomicUsize::new(0),
            with_it: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            arrived: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                let service = service_fn(move |request| serve(Arc::clone(&state), request));
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move { connection.await.ok() });
            }
        });
        Self { url, state, _runtime: runtime }
    }

    /// One that takes everything.
    pub(crate) fn good() -> Self {
        Self::new(|_, _, _| Reply::Says(200, None))
    }

    /// The lines that it has taken, in order.
    pub(crate) fn taken(&self) -> Vec<String> {
        let taken = |arrived: &[Arrived]| {
            let taken = arrived.iter().filter(|arrived| arrived.status == 200);
            taken.flat_map(|arrived| arrived.lines.clone()).collect()
        };
        self.arrived(taken)
    }

    /// Looks at the requests so far.
    pub(crate) fn arrived<T>(&self, look: impl FnOnce(&[Arrived]) -> T) -> T {
        look(&self.state.arrived.lock().unwrap())
    }

    /// How many requests were with it at a time at most.
    pub(crate) fn most_at_a_time(&self) -> usize {
        self.state.most.load(SeqCst)
    }
}

/// A request that is with the server.
struct Here<'s>(&'s State);

impl Drop for Here<'_> {
    fn drop(&mut self) {
        self.0.with_it.fetch_sub(1, SeqCst);
    }
}

async fn serve(state: Arc<State>, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
    // A look whether anybody is there.
    if request.method() == Method::HEAD {
        return Ok(Response::default());
    }
    let now = state.with_it.fetch_add(1, SeqCst) + 1;
    let _here = Here(&state);
    state.most.fetch_max(now, SeqCst);
    let before = state.count.fetch_add(1, SeqCst);
    let (head, body) = request.into_parts();
    if matches!((state.rule)(before, now, &[]), Reply::Breaks) {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let text = |line: &str| match serde_json::from_str::<serde_json::Value>(line) {
        Ok(record) if record["message"].is_string() => {
            record["message"].as_str().unwrap().to_owned()
        }
        _ => line.to_owned(),
    };
    let lines: Vec<String> = std::str::from_utf8(&body).unwrap().lines().map(text).collect();
    let (status, after) = match (state.rule)(before, now, &lines) {
        Reply::Says(status, after) => (status, after),
        Reply::Late(pause) => {
            tokio::time::sleep(pause).await;
            (200, None)
        }
        Reply::Breaks | Reply::Hangs => return Err(io::ErrorKind::ConnectionAborted.into()),
    };
    let arrived = Arrived { at: Instant::now(), status, headers: head.headers, lines };
    state.arrived.lock().unwrap().push(arrived);
    let mut response = Response::builder().status(status);
    if let Some(seconds) = after {
        response = response.header("retry-after", seconds);
    }
    let why = if status == 200 { "" } else { "because of the test" };
    Ok(response.body(Full::from(why)).unwrap())
}
