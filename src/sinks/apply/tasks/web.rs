//! What `get_url` and `uri` share: the request that their parameters describe.

use super::{Failure, values};
use crate::event::tree::Node;
use crate::host::machine::Machine;
use crate::net::fetch::{Answer, Proxies, Redirects, Request, Trust};
use crate::net::tls::TlsSettings;
use crate::sinks::apply::params::{Kind, Param, Params};
use std::io::Read as _;
use std::time::Duration;

/// What an answer may unpack to.
const MOST_BYTES: u64 = 2 << 30;

/// What Ansible's requests take, and none here yet.
pub(super) const NOT_YET: &[&str] = &["ciphers", "use_gssapi", "use_netrc"];

/// What a request is made of, beside where it goes.
pub(super) const PARAMS: &[Param] = &[
    Param::new("headers", Kind::Any).says("Header lines, by name."),
    Param::new("unredirected_headers", Kind::Texts)
        .says("The names of headers that are not sent again where an answer points elsewhere."),
    Param::new("http_agent", Kind::Text).says("What the request says that it is sent by."),
    Param::new("use_proxy", Kind::Bool)
        .says("Use the proxies that the environment names; true where not given."),
    Param::new("url_username", Kind::Text).or(&["user", "username"]).says("The user to log in as."),
    Param::new("url_password", Kind::Text).or(&["password"]).says("The password of that user."),
    Param::new("force_basic_auth", Kind::Bool)
        .says("Accepted: a user and password are always sent with the first request."),
    Param::new("validate_certs", Kind::Bool)
        .says("Believe only servers that can prove who they are; true where not given."),
    Param::new("client_cert", Kind::Path).says("A file with the certificate that this host shows."),
    Param::new("client_key", Kind::Path)
        .says("A file with its key, where it is not in `client_cert`."),
    Param::new("ca_path", Kind::Path).says(
        "A file with the certificates that servers are proven by, in place of the \
                 system's.",
    ),
    Param::new("decompress", Kind::Bool)
        .says("Unpack an answer that the server packed with gzip; true where not given."),
];

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
    let packs = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept-encoding"));
    if params.flag("decompress", true) && !packs {
        headers.push(("accept-encoding".into(), "gzip".into()));
    }
    let login = params
        .text("url_username")
        .map(|user| (user.to_owned(), params.text("url_password").unwrap_or_default().to_owned()));
    Ok(Request {
        method: "GET".into(),
        url: params.text("url").unwrap_or_default().trim().to_owned(),
        headers,
        only_first: params
            .texts("unredirected_headers")
            .unwrap_or_default()
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .collect(),
        login,
        socket: None,
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

/// The text at an address.
pub(super) fn text(machine: &Machine, url: &str, trust: Trust) -> Result<String, Failure> {
    let answer = machine.fetch(&Request {
        method: "GET".into(),
        url: url.to_owned(),
        headers: Vec::new(),
        login: None,
        socket: None,
        body: Vec::new(),
        timeout: Duration::from_secs(10),
        redirects: Redirects::Follow,
        proxies: Proxies::OfEnvironment,
        trust,
    })?;
    if answer.status != 200 {
        return Err(Failure::new(format!("{url} answers with the status {}", answer.status)));
    }
    String::from_utf8(answer.body.to_vec())
        .map_err(|_| Failure::new(format!("what {url} answers is no UTF-8 text")))
}

/// The answer with its content unpacked, unless `decompress: false` says that it stays as it was
/// sent.
pub(super) fn unpacked(params: &Params, mut answer: Answer) -> Result<Answer, Failure> {
    let is_packed = answer.header("content-encoding").is_some_and(|how| how.trim() == "gzip");
    if !is_packed || !params.flag("decompress", true) {
        return Ok(answer);
    }
    let mut content = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(&answer.body[..]).take(MOST_BYTES + 1);
    reader
        .read_to_end(&mut content)
        .map_err(|error| Failure::new(format!("the answer cannot be unpacked: {error}")))?;
    if content.len() as u64 > MOST_BYTES {
        return Err(Failure::new("the answer unpacks to more than 2 GiB"));
    }
    answer.body = content.into();
    Ok(answer)
}
