//! What `get_url` and `uri` share: the request that their parameters describe.

use super::{Failure, values};
use crate::event::tree::Node;
use crate::net::fetch::{Proxies, Redirects, Request, Trust};
use crate::net::tls::TlsSettings;
use crate::sinks::apply::params::Params;
use std::time::Duration;

/// A request without a body, as the parameters that both tasks have describe it.
pub(super) fn request(params: &Params, usual_timeout: f64) -> Result<Request, Failure> {
    let timeout = values::number(params, "timeout")?.unwrap_or(usual_timeout);
    let trust = if params.flag("validate_certs", true) {
        Trust::Proven(Box::new(TlsSettings {
            ca_file: params.path("ca_path"),
            cert_file: params.path("client_cert"),
            key_file: params.path("client_key").or_else(|| params.path("client_cert")),
            ..TlsSettings::default()
        }))
    } else {
        Trust::Anybody
    };
    let mut headers = Vec::new();
    for (key, value) in params.any("headers").and_then(Node::as_map).unwrap_or_default() {
        let Some(value) = value.scalar_text() else {
            return Err(Failure::new(format!("the header `{}` takes text", key.name)));
        };
        headers.push((key.name.to_string(), value.to_owned()));
    }
    if let Some(agent) = params.text("http_agent") {
        headers.push(("user-agent".into(), agent.to_owned()));
    }
    let login = params.text("url_username").map(|user| {
        (user.to_owned(), params.text("url_password").unwrap_or_default().to_owned())
    });
    Ok(Request {
        method: "GET".into(),
        url: params.text("url").unwrap_or_default().trim().to_owned(),
        headers,
        login,
        body: Vec::new(),
        timeout: Duration::from_secs_f64(timeout.clamp(0.001, 1e9)),
        redirects: Redirects::Follow,
        proxies: if params.flag("use_proxy", true) {
            Proxies::OfEnvironment
        } else {
            Proxies::None
        },
        trust,
    })
}
