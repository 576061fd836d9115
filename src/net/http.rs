//! The one HTTP client: how it is set up, what an answer means, and how a fault is told without
//! telling a secret.

use super::tls::TlsSettings;
use crate::topology::component::{Fault, FaultKind};
use chrono::DateTime;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url, redirect};
use std::error::Error;
use std::time::Duration;

/// How this program calls itself.
const USER_AGENT: &str = concat!("driftless/", env!("CARGO_PKG_VERSION"));

/// A server that does not even accept a connection by then is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A server that asks for a longer pause than this does not mean it.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// A client with these settings. `timeout` is for a request as a whole.
///
/// # Errors
/// What is wrong with the certificates, in a user's words.
pub(super) fn client(timeout: Duration, tls: &TlsSettings) -> Result<Client, String> {
    client_through(timeout, tls, None)
}

/// The same, through the proxy at this address, or the one that the environment names.
///
/// # Errors
/// As above.
pub(super) fn client_through(
    timeout: Duration,
    tls: &TlsSettings,
    proxy: Option<&str>,
) -> Result<Client, String> {
    let mut config = tls.client_config()?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let builder = Client::builder();
    let builder = match proxy {
        Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy).map_err(|_| "no such proxy")?),
        None => builder,
    };
    builder
        .user_agent(USER_AGENT)
        .timeout(timeout)
        .connect_timeout(CONNECT_TIMEOUT.min(timeout))
        // A POST that is sent elsewhere may come back as a GET, and what it carried is gone.
        .redirect(redirect::Policy::none())
        .use_preconfigured_tls(config)
        .build()
        .map_err(|error| format!("the TLS set-up: {}", innermost(&error)))
}

/// Reads a URL for HTTP.
///
/// # Errors
/// What is wrong with it; the URL itself, which may hold a secret, is left out.
pub(super) fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("`url` is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("`url` begins with neither http: nor https:".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("`url` has a user or password in it; put them under `auth`".to_owned());
    }
    Ok(url)
}

/// The URL as it may be shown: without user, password and query.
pub(super) fn shown(url: &Url) -> String {
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// What a status means for a request that brings something: `Ok` where the server has it.
///
/// `body` is the beginning of the answer's text, masked; `now` is the time since the epoch.
///
/// # Errors
/// A passing fault for 408, 425, 429, 5xx and redirects, a final one for everything else.
pub(super) fn judge(
    status: StatusCode,
    headers: &HeaderMap,
    body: &str,
    now: Duration,
) -> Result<(), Fault> {
    if status.is_success() {
        return Ok(());
    }
    let mut message = format!("the server answers {status}");
    if status.is_redirection() {
        message.push_str(" (a redirect, which is not followed)");
    } else if let Some(line) = body.lines().map(str::trim).find(|line| !line.is_empty()) {
        message.push_str(": ");
        message.extend(line.chars().filter(|char| !char.is_control()).take(200));
    }
    let passing = status.is_server_error()
        || status.is_redirection()
        || matches!(status.as_u16(), 408 | 425 | 429);
    let kind = if passing {
        let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        FaultKind::Passing(asked.and_then(|value| retry_after(value, now)))
    } else {
        FaultKind::Final
    };
    Err(Fault { message, kind, status: Some(status.as_u16()) })
}

/// The pause that a `Retry-After` asks for: seconds, or a date.
pub(super) fn retry_after(value: &str, now: Duration) -> Option<Duration> {
    let value = value.trim();
    let pause = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = DateTime::parse_from_rfc2822(value).ok()?;
            let date = u64::try_from(date.timestamp()).ok()?;
            Duration::from_secs(date).saturating_sub(now)
        }
    };
    Some(pause.min(LONGEST_PAUSE))
}

/// What kept a request from being answered, without its URL. Always worth another try.
pub(super) fn unanswered(error: reqwest::Error) -> Fault {
    let error = error.without_url();
    Fault::passing(if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        advised(innermost(&error))
    })
}

/// With what to do about it, where the library's words leave that open.
fn advised(message: String) -> String {
    if message.ends_with("UnknownIssuer") {
        return format!("{message}; `tls: {{ca_file: FILE}}` names an authority of your own");
    }
    message
}

/// The cause of all causes, which is the one that a person understands.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_by_a_date() {
        let now = Duration::from_secs(784_111_777 - 30);
        assert_eq!(retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now),
            Some(Duration::from_secs(30))
        );
        assert_eq!(retry_after("Sat, 05 Nov 1994 08:49:37 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("99999999999", now), Some(LONGEST_PAUSE));
        assert_eq!(retry_after("soon", now), None);
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let kind = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            judge(status, &HeaderMap::new(), "why\n", Duration::ZERO).map_err(|fault| fault.kind)
        };
        for status in [200, 201, 204] {
            assert_eq!(kind(status), Ok(()));
        }
        for status in [301, 408, 425, 429, 500, 503] {
            assert_eq!(kind(status), Err(FaultKind::Passing(None)), "{status}");
        }
        for status in [400, 401, 403, 404, 413] {
            assert_eq!(kind(status), Err(FaultKind::Final), "{status}");
        }
    }

    #[test]
    fn a_url_never_brings_a_secret_into_a_message() {
        let refusal = parse_url("https://me:hunter2@example.com/").unwrap_err();
        assert!(refusal.contains("auth") && !refusal.contains("hunter2"));
        let url = parse_url("https://example.com:8443/in?token=hunter2").unwrap();
        assert_eq!(shown(&url), "https://example.com:8443/in");
        assert!(parse_url("ftp://example.com").unwrap_err().contains("http:"));
    }
}
