//! An endpoint: one URL that requests are sent to, again and again.

use super::auth::Auth;
use super::http::{client, judge, parse_url, shown, unanswered};
use super::tls::TlsSettings;
use crate::event::secret::Masker;
use crate::topology::component::Fault;
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, StatusCode, Url};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// How much of an answer is read that only its status counts of: enough to say why, and to use the
/// connection again.
const ANSWER_BYTES: usize = 16 << 10;

/// The request's method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// POST.
    #[default]
    Post,
    /// PUT.
    Put,
}

/// Where requests go, and how. It cannot be printed: URL and headers may hold secrets.
#[derive(Clone)]
pub struct Endpoint {
    client: Client,
    url: Url,
    method: Method,
    headers: HeaderMap,
    masker: Masker,
}

/// What counts of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// What the status says, whatever becomes of the rest.
    Status,
    /// The text too, all of it, which has up to about so many bytes.
    Text(usize),
}

/// What a server said, without secrets.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    /// Only its beginning, unless `is_whole`.
    text: String,
    is_whole: bool,
}

impl Endpoint {
    /// An endpoint; `timeout` is for a request as a whole. `masker` keeps secrets out of what is
    /// told of a server's answers.
    ///
    /// # Errors
    /// What is wrong with the settings, in a user's words and without secrets.
    pub fn new(
        url: &str,
        method: Method,
        timeout: Duration,
        tls: &TlsSettings,
        masker: Masker,
    ) -> Result<Self, String> {
        let (client, url) = (client(timeout, tls)?, parse_url(url)?);
        Ok(Self { client, url, method, headers: HeaderMap::new(), masker })
    }

    /// Its URL as it may be shown: without its query.
    pub fn shown(&self) -> String {
        shown(&self.url)
    }

    /// Sends this header with every request, in place of one of the same name. Its value is shown
    /// nowhere.
    ///
    /// # Errors
    /// Where name or value cannot be those of a header.
    pub fn header(&mut self, name: &str, value: &str) -> Result<(), String> {
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("`{name}` is no name of a header"))?;
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| format!("`{name}`: the value has bytes that no header can have"))?;
        value.set_sensitive(true);
        self.headers.insert(header, value);
        Ok(())
    }

    /// Says with every request who sends it.
    ///
    /// # Errors
    /// Where `auth` says two things at a time.
    pub fn authorize(&mut self, auth: &Auth) -> Result<(), String> {
        match auth.header()? {
            Some((name, value)) => self.header(name, &value),
            None => Ok(()),
        }
    }

    /// Leads to what lies below its URL, unless that ends so already, with this query added.
    pub fn below(&mut self, path: &[&str], query: &[(&str, &str)]) {
        let ends_so = self
            .url
            .path_segments()
            .is_some_and(|mut segments| segments.next_back() == path.last().copied());
        if !ends_so && let Ok(mut segments) = self.url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        for (name, value) in query {
            self.url.query_pairs_mut().append_pair(name, value);
        }
    }

    /// Sends `body`, with a header of this request alone where there is one, and waits until the
    /// server has it; `now` is the time since the epoch. Gives the answer's text, without secrets.
    ///
    /// # Errors
    /// As [`judge`] has it for the server's answer; a passing fault where there is none, or only a
    /// part of what is wanted of it.
    pub async fn send(
        &self,
        body: Bytes,
        header: Option<(&'static str, &str)>,
        wanted: Wanted,
        now: Duration,
    ) -> Result<String, Fault> {
        let told = self.exchange(body, header, wanted).await.and_then(|answer| {
            judge(answer.status, &answer.headers, &answer.text, now)?;
            match wanted {
                Wanted::Text(_) if !answer.is_whole => Err(Fault::passing(format!(
                    "the server answers {}, and the rest of its answer does not come",
                    answer.status
                ))),
                _ => Ok(answer.text),
            }
        });
        told.map_err(|fault| Fault {
            message: format!("{} {}: {}", self.method.name(), shown(&self.url), fault.message),
            ..fault
        })
    }

    /// Whether a server there lets this client in.
    ///
    /// # Errors
    /// A passing fault where nothing answers, or the answer is 401 or 403.
    pub async fn admits(&self) -> Result<(), Fault> {
        let request = self.client.head(self.url.clone()).headers(self.headers.clone());
        let told = match request.send().await {
            Ok(answer) if matches!(answer.status().as_u16(), 401 | 403) => {
                Err(format!("the server answers {}; look at `auth`", answer.status()))
            }
            Ok(_) => Ok(()),
            Err(error) => Err(unanswered(error).message),
        };
        told.map_err(|message| Fault::passing(format!("{}: {message}", shown(&self.url))))
    }

    /// Whether anything answers there, whatever it says.
    ///
    /// # Errors
    /// A passing fault where nothing does.
    pub async fn answers(&self) -> Result<(), Fault> {
        let request = self.client.head(self.url.clone()).headers(self.headers.clone());
        let told = request.send().await.map(drop).map_err(unanswered);
        told.map_err(|fault| Fault::passing(format!("{}: {}", shown(&self.url), fault.message)))
    }

    async fn exchange(
        &self,
        body: Bytes,
        header: Option<(&'static str, &str)>,
        wanted: Wanted,
    ) -> Result<Answer, Fault> {
        let request = match self.method {
            Method::Post => self.client.post(self.url.clone()),
            Method::Put => self.client.put(self.url.clone()),
        };
        let mut request = request.headers(self.headers.clone()).body(body);
        if let Some((name, value)) = header {
            let value = HeaderValue::from_str(value).map_err(|_| {
                Fault::fatal(format!("`{name}`: the value has bytes that no header can have"))
            })?;
            request = request.header(name, value);
        }
        let mut answer = request.send().await.map_err(unanswered)?;
        let most = match wanted {
            Wanted::Status => ANSWER_BYTES,
            Wanted::Text(most) => most,
        };
        let mut text = Vec::new();
        let is_whole = loop {
            match answer.chunk().await {
                Ok(Some(chunk)) => text.extend_from_slice(&chunk),
                Ok(None) => break true,
                Err(_) => break false,
            }
            if text.len() > most {
                break false;
            }
        };
        // Before anything is cut: half a secret cannot be found any more.
        let text = match is_whole {
            true => self.masker.mask_bytes(&text),
            false => self.masker.mask_beginning(&text),
        };
        Ok(Answer {
            status: answer.status(),
            headers: std::mem::take(answer.headers_mut()),
            text: String::from_utf8_lossy(&text).into_owned(),
            is_whole,
        })
    }
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_cannot_be_sent_is_refused_without_showing_its_value() {
        let tls = TlsSettings::default();
        let timeout = Duration::from_secs(1);
        let mut endpoint =
            Endpoint::new("http://localhost/", Method::Post, timeout, &tls, Masker::default())
                .unwrap();
        assert!(endpoint.header("no name", "x").unwrap_err().contains("`no name`"));
        let refusal = endpoint.header("X-Key", "hunter2\n").unwrap_err();
        assert!(refusal.contains("X-Key") && !refusal.contains("hunter2"));
    }
}
