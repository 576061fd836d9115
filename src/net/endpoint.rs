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

/// How much of an answer is read: enough to say why, and to use the connection again.
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

/// What a server said: the text only in its beginning, and without secrets.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
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

    /// Sends `body` and waits until the server has it; `now` is the time since the epoch.
    ///
    /// # Errors
    /// As [`judge`] has it for the server's answer; a passing fault where there is none.
    pub async fn deliver(&self, body: Bytes, now: Duration) -> Result<(), Fault> {
        let told = match self.exchange(body).await {
            Ok(answer) => judge(answer.status, &answer.headers, &answer.text, now),
            Err(fault) => Err(fault),
        };
        told.map_err(|fault| Fault {
            message: format!("{} {}: {}", self.method.name(), shown(&self.url), fault.message),
            ..fault
        })
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

    async fn exchange(&self, body: Bytes) -> Result<Answer, Fault> {
        let request = match self.method {
            Method::Post => self.client.post(self.url.clone()),
            Method::Put => self.client.put(self.url.clone()),
        };
        let request = request.headers(self.headers.clone()).body(body);
        let mut answer = request.send().await.map_err(unanswered)?;
        let mut text = Vec::new();
        // What the status says counts, whatever becomes of the rest of the answer.
        let is_whole = loop {
            match answer.chunk().await {
                Ok(Some(chunk)) => text.extend_from_slice(&chunk),
                Ok(None) => break true,
                Err(_) => break false,
            }
            if text.len() > ANSWER_BYTES {
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
