//! One request and its whole answer, for a caller that waits for it.

use super::http::{shown, unanswered};
use super::tls::TlsSettings;
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Url, redirect};
use std::path::PathBuf;
use std::time::Duration;

/// More than this is not held in memory.
const MOST_BYTES: u64 = 2 << 30;

/// How this program calls itself.
const USER_AGENT: &str = concat!("driftless/", env!("CARGO_PKG_VERSION"));

/// Which servers are believed to be who they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those that can prove it.
    Proven(Box<TlsSettings>),
    /// All.
    Anybody,
}

/// Whether an answer that points elsewhere is gone after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    /// It is, up to ten times.
    Follow,
    /// It is not.
    Keep,
}

/// Whether the proxies that the environment names are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxies {
    /// They are.
    OfEnvironment,
    /// They are not.
    None,
}

/// What is asked.
#[derive(Clone)]
pub struct Request {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// Where to.
    pub url: String,
    /// Header lines.
    pub headers: Vec<(String, String)>,
    /// The names, in lower case, of those that are not sent again where an answer points elsewhere.
    pub only_first: Vec<String>,
    /// User and password.
    pub login: Option<(String, String)>,
    /// The socket of this host that the server listens on, in place of the URL's host.
    pub socket: Option<PathBuf>,
    /// What is sent.
    pub body: Vec<u8>,
    /// How long the whole of it may take.
    pub timeout: Duration,
    /// Whether redirects are followed.
    pub redirects: Redirects,
    /// Whether proxies are used.
    pub proxies: Proxies,
    /// Whom to believe.
    pub trust: Trust,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status, such as 200.
    pub status: u16,
    /// The status in words.
    pub reason: String,
    /// Header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Where it came from in the end.
    pub url: String,
    /// What was sent back.
    pub body: Bytes,
}

impl Answer {
    /// The value of a header; `name` is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

impl Request {
    /// Asks, and waits for the whole answer. Runs on a thread of its own, since the caller's may
    /// belong to a runtime that must not wait.
    ///
    /// # Errors
    /// What is wrong with the request, or why there is no answer; without the URL's query.
    pub fn send(&self) -> Result<Answer, String> {
        let work = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| format!("no thread to ask on: {error}"))?;
            runtime.block_on(self.exchange())
        };
        let joined = std::thread::scope(|scope| scope.spawn(work).join());
        joined.unwrap_or_else(|_| Err("the request broke off".into()))
    }

    fn client(&self) -> Result<Client, String> {
        let redirects = match self.redirects {
            Redirects::Follow => redirect::Policy::limited(10),
            Redirects::Keep => redirect::Policy::none(),
        };
        let builder =
            Client::builder().user_agent(USER_AGENT).timeout(self.timeout).redirect(redirects);
        let builder = match self.proxies {
            Proxies::OfEnvironment => builder,
            Proxies::None => builder.no_proxy(),
        };
        let builder = match &self.socket {
            Some(socket) => builder.unix_socket(socket.as_path()),
            None => builder,
        };
        let builder = match &self.trust {
            Trust::Anybody => builder.danger_accept_invalid_certs(true),
            Trust::Proven(tls) => {
                let mut config = tls.client_config()?;
                config.alpn_protocols = vec![b"http/1.1".to_vec()];
                builder.use_preconfigured_tls(config)
            }
        };
        builder.build().map_err(|error| format!("the TLS set-up: {error}"))
    }

    async fn exchange(&self) -> Result<Answer, String> {
        if self.only_first.is_empty() || self.redirects == Redirects::Keep {
            return self.once().await;
        }
        let first = Self { redirects: Redirects::Keep, ..self.clone() };
        let answer = first.once().await?;
        match self.redirected(&answer) {
            Some(next) => next.once().await,
            None => Ok(answer),
        }
    }

    /// What is asked next where `answer` points elsewhere, without the headers that only the first
    /// request has. A login goes to no other server.
    fn redirected(&self, answer: &Answer) -> Option<Self> {
        let keeps_method = match answer.status {
            301 | 302 => !matches!(self.method.as_str(), "POST"),
            303 => self.method == "HEAD",
            307 | 308 => true,
            _ => return None,
        };
        let here = Url::parse(&self.url).ok()?;
        let next = here.join(answer.header("location")?).ok()?;
        let is_same = next.origin() == here.origin();
        let is_private =
            |name: &str| ["authorization", "cookie", "proxy-authorization"].contains(&name);
        let mut headers = self.headers.clone();
        headers.retain(|(name, _)| {
            let name = name.to_ascii_lowercase();
            !self.only_first.contains(&name) && (is_same || !is_private(&name))
        });
        Some(Self {
            method: if keeps_method { self.method.clone() } else { "GET".into() },
            url: next.to_string(),
            headers,
            login: self.login.clone().filter(|_| is_same),
            body: if keeps_method { self.body.clone() } else { Vec::new() },
            ..self.clone()
        })
    }

    async fn once(&self) -> Result<Answer, String> {
        let url = Url::parse(&self.url).map_err(|error| format!("`url` is no URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("`url` begins with neither http: nor https:".into());
        }
        let place = shown(&url);
        let told = |why: String| format!("{place}: {why}");
        let method = Method::from_bytes(self.method.as_bytes())
            .map_err(|_| format!("`{}` is no method of HTTP", self.method))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let header = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| format!("`{name}` is no name of a header"))?;
            let value = HeaderValue::from_str(value)
                .map_err(|_| format!("`{name}`: the value has bytes that no header can have"))?;
            headers.insert(header, value);
        }
        let mut request = self.client()?.request(method, url).headers(headers);
        if let Some((user, password)) = &self.login {
            request = request.basic_auth(user, Some(password));
        }
        if !self.body.is_empty() {
            request = request.body(self.body.clone());
        }
        let mut answer = request.send().await.map_err(|error| told(unanswered(error).message))?;
        let mut body = Vec::new();
        if answer.content_length().is_some_and(|length| length > MOST_BYTES) {
            return Err(told("the answer is over 2 GiB".into()));
        }
        while let Some(piece) =
            answer.chunk().await.map_err(|error| told(unanswered(error).message))?
        {
            body.extend_from_slice(&piece);
            if body.len() as u64 > MOST_BYTES {
                return Err(told("the answer is over 2 GiB".into()));
            }
        }
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Ok(Answer {
            status: answer.status().as_u16(),
            reason: answer.status().canonical_reason().unwrap_or_default().to_owned(),
            headers: answer
                .headers()
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), text(value)))
                .collect(),
            url: answer.url().to_string(),
            body: body.into(),
        })
    }
}
