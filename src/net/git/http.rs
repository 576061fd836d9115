//! A line over HTTP: git's smart protocol, as gitprotocol-http(5) has it.

use super::settings::Settings;
use crate::net::auth::Auth;
use crate::net::http::{client_through, parse_url, shown, unanswered};
use bytes::{Buf as _, Bytes};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use reqwest::{Client, Response, StatusCode, Url};
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// How often a server may point elsewhere before it is taken to run in circles.
const MOST_REDIRECTS: usize = 5;

/// A repository that an HTTP server has.
#[derive(Clone)]
pub(super) struct Http {
    runtime: Arc<Runtime>,
    client: Client,
    /// Who asks: shown to the server that the config names, and to no other.
    login: Option<(HeaderName, HeaderValue)>,
    home: Url,
    /// The proxy that the config names.
    proxy: Option<String>,
    /// Where the repository turned out to be.
    base: Arc<Mutex<Url>>,
}

impl Http {
    pub(super) fn new(url: Url, settings: &Settings, deadline: Instant) -> Result<Self, String> {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = left.max(Duration::from_millis(1));
        let client = client_through(left, &settings.tls, settings.proxy.as_deref())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("no thread to fetch on: {error}"))?;
        let header = settings.auth.as_ref().map(Auth::header).transpose()?.flatten();
        let login = header.map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| format!("`{name}` is no name of a header"))?;
            let mut value = HeaderValue::from_str(&value)
                .map_err(|_| "`auth` has bytes that no header can have".to_owned())?;
            value.set_sensitive(true);
            Ok::<_, String>((name, value))
        });
        let base = Arc::new(Mutex::new(url.clone()));
        let login = login.transpose()?;
        let proxy =
            settings.proxy.as_deref().and_then(|proxy| Some(shown(&parse_url(proxy).ok()?)));
        Ok(Self { runtime: Arc::new(runtime), client, login, home: url, proxy, base })
    }

    /// What the repository has: its branches and tags. Where the server points elsewhere, all
    /// that follows goes there.
    pub(super) fn advertisement(&self) -> Result<Body, String> {
        let mut url = below(&self.home, "info/refs");
        url.set_query(Some("service=git-upload-pack"));
        for _ in 0..MOST_REDIRECTS {
            let request = self.client.get(url.clone());
            let answer = self.runtime.block_on(self.ask(&url, request))?;
            if !answer.status().is_redirection() {
                self.judge(&url, &answer, "advertisement")?;
                let path = url.path().strip_suffix("/info/refs");
                let path = path.ok_or("the server points to something else than a repository")?;
                let mut base = url.clone();
                base.set_path(path);
                base.set_query(None);
                *self.base.lock().unwrap_or_else(PoisonError::into_inner) = base;
                return Ok(Body { http: self.clone(), answer: Some(answer), piece: Bytes::new() });
            }
            let next = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            let next = next.and_then(|to| url.join(to).ok());
            let next = next.ok_or("the server points elsewhere, and does not say where")?;
            let is_safe = next.scheme() == "https" || next.scheme() == url.scheme();
            if !is_safe || !matches!(next.scheme(), "http" | "https") {
                return Err("the server points from https: to something else".into());
            }
            url = next;
        }
        Err("the server points elsewhere again and again".into())
    }

    /// One question and its answer.
    pub(super) fn exchange(&self) -> Exchange {
        Exchange { http: self.clone(), question: Vec::new(), answer: None }
    }

    async fn ask(&self, url: &Url, request: reqwest::RequestBuilder) -> Result<Response, String> {
        let request = match &self.login {
            Some((name, value)) if url.origin() == self.home.origin() => {
                request.header(name, value)
            }
            _ => request,
        };
        request.send().await.map_err(|error| {
            let (is_connect, message) = (error.is_connect(), unanswered(error).message);
            match &self.proxy {
                Some(proxy) if is_connect => format!("by the proxy {proxy}: {message}"),
                _ => message,
            }
        })
    }

    /// Whether this is what was asked for, and not a page that says something else.
    fn judge(&self, url: &Url, answer: &Response, kind: &str) -> Result<(), String> {
        let (status, place) = (answer.status(), shown(url));
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            let hint = if self.login.is_some() { "it does not accept" } else { "it wants" };
            return Err(format!("{place} answers {status}: {hint} the login under `auth`"));
        }
        if !status.is_success() {
            return Err(format!("{place} answers {status}"));
        }
        let expected = format!("application/x-git-upload-pack-{kind}");
        let found = answer.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        if found != Some(expected.as_str()) {
            return Err(format!("{place} does not answer as a repository does"));
        }
        Ok(())
    }
}

/// The URL of something below a repository.
fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let whole = format!("{}/{path}", base.path().trim_end_matches('/'));
    url.set_path(&whole);
    url
}

/// An answer, as it comes in.
pub(super) struct Body {
    http: Http,
    answer: Option<Response>,
    piece: Bytes,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let Some(answer) = &mut self.answer else { return Ok(0) };
            let next = self.http.runtime.block_on(answer.chunk());
            match next.map_err(|error| io::Error::other(unanswered(error).message))? {
                Some(piece) => self.piece = piece,
                None => self.answer = None,
            }
        }
        let count = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

impl Write for Body {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A question that is sent once its answer is wanted.
pub(super) struct Exchange {
    http: Http,
    question: Vec<u8>,
    answer: Option<Body>,
}

impl Exchange {
    fn ask(&self) -> Result<Body, String> {
        let http = &self.http;
        let base = http.base.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let url = below(&base, "git-upload-pack");
        let request = http.client.post(url.clone());
        let request = request
            .header(CONTENT_TYPE, "application/x-git-upload-pack-request")
            .header(ACCEPT, "application/x-git-upload-pack-result")
            .body(self.question.clone());
        let answer = http.runtime.block_on(http.ask(&url, request))?;
        http.judge(&url, &answer, "result")?;
        Ok(Body { http: http.clone(), answer: Some(answer), piece: Bytes::new() })
    }
}

impl Read for Exchange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.answer.is_none() {
            self.answer = Some(self.ask().map_err(io::Error::other)?);
        }
        self.answer.as_mut().map_or(Ok(0), |answer| answer.read(buffer))
    }
}

impl Write for Exchange {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.question.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
