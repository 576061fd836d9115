//! `uri`: a request to a server, and its answer.

use super::command::not_needed;
use super::copy::find_source;
use super::edit::options;
use super::{Failure, Module, Outcome, Task, TaskContext, file_attributes, multipart, values, web};
use crate::event::fault::Diagnostic;
use crate::event::tree::Node;
use crate::expr::value::{from_json, from_node, to_json};
use crate::host::machine::Machine;
use crate::host::machine::meta::Kind as FileKind;
use crate::host::machine::path::Follow;
use crate::net::fetch::{Answer, Redirects, Request};
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use minijinja::Value;
use std::path::PathBuf;
use std::time::Instant;

pub(super) static MODULE: Module = Module {
    name: "uri",
    summary: "Sends a request to a server and returns its answer.",
    acts_unless: None,
    spec: Spec {
        exclusive: &[&["body", "src"]],
        not_yet: &[file_attributes::NOT_YET, web::NOT_YET],
        shared: &[file_attributes::PARAMS, web::PARAMS],
        ..Spec::new(&[
            Param::new("url", Kind::Text)
                .required()
                .says("Where to ask: `http:`, `https:` or `file:`."),
            Param::new("unix_socket", Kind::Path)
                .says("The socket of this host that the server listens on."),
            Param::new("method", Kind::Text).says("`GET` where not given."),
            Param::new("body", Kind::Any).says("What is sent."),
            Param::new(
                "body_format",
                Kind::OneOf(&["form-multipart", "form-urlencoded", "json", "raw"]),
            )
            .says("How `body` is written; `raw` where not given."),
            Param::new("src", Kind::Path).says("A file that is sent."),
            Param::new("remote_src", Kind::Bool)
                .says("`src` is on the host, not among the files of the config."),
            Param::new("dest", Kind::Path)
                .says("A file for the answer, or the directory that it goes into."),
            Param::new("return_content", Kind::Bool).says("Return the answer as text."),
            Param::new("status_code", Kind::Any)
                .says("The answers that are fine; 200 where not given."),
            Param::new("follow_redirects", Kind::Text).says(
                "Go where the server points: `safe` (with `GET` and `HEAD`; where not given), \
                 `all` or `none`.",
            ),
            Param::new("creates", Kind::Path)
                .says("A path or pattern; where something is there, nothing is sent."),
            Param::new("removes", Kind::Path)
                .says("A path or pattern; where nothing is there, nothing is sent."),
            Param::new("timeout", Kind::Any)
                .says("Seconds that the whole of it may take; 30 where not given."),
            Param::new("force", Kind::Bool)
                .says("Accepted, and without effect: nothing is kept between requests."),
        ])
    },
    check,
    build: |params| Box::new(Uri { params }),
};

struct Uri {
    params: Params,
}

fn check(params: &Params) -> Vec<Diagnostic> {
    let follow = params.text("follow_redirects").unwrap_or("safe");
    let known = ["all", "none", "safe", "urllib2", "yes", "no", "true", "false"];
    if known.contains(&follow) {
        return Vec::new();
    }
    let why = format!("`follow_redirects` takes `safe`, `all` or `none`, and this is `{follow}`");
    vec![Diagnostic::new(why, params.span.clone())]
}

impl Task for Uri {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        if let Some(reason) = not_needed(params, machine)? {
            let outcome = Outcome { message: Some(reason.clone()), ..Outcome::default() };
            return Ok(outcome.with("msg", reason));
        }
        let request = self.request(machine, cx)?;
        let looks = matches!(request.method.as_str(), "GET" | "HEAD" | "OPTIONS");
        let started = Instant::now();
        let answer = if looks { machine.fetch(&request).map(Some) } else { machine.send(&request) };
        let answer = match answer {
            Ok(Some(answer)) => web::unpacked(params, answer)?,
            Ok(None) => return Ok(Outcome { unknown: true, ..Outcome::default() }),
            Err(fault) => {
                let outcome = Outcome { failed: Some(fault.message.clone()), ..Outcome::default() };
                let outcome = outcome.with("status", -1).with("url", request.url.as_str());
                return Ok(outcome
                    .with("msg", format!("Status code was -1 and not [200]: {}", fault.message)));
            }
        };
        let mut outcome = self.told(&answer, &request);
        outcome = outcome.with("elapsed", started.elapsed().as_secs());
        if outcome.failed.is_none() && params.has("dest") {
            outcome = self.store(machine, &answer, outcome)?;
        }
        Ok(outcome)
    }
}

impl Uri {
    fn request(&self, machine: &Machine, cx: &TaskContext<'_>) -> Result<Request, Failure> {
        let params = &self.params;
        let mut request = web::request(params, 30.0)?;
        request.socket = params.path("unix_socket");
        request.method = params.text("method").unwrap_or("GET").to_uppercase();
        request.redirects = match (params.text("follow_redirects"), request.method.as_str()) {
            (Some("all" | "yes" | "true" | "urllib2"), _) => Redirects::Follow,
            (Some("none" | "no" | "false"), _) => Redirects::Keep,
            (_, "GET" | "HEAD") => Redirects::Follow,
            _ => Redirects::Keep,
        };
        let has_type =
            request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if let Some(src) = params.text("src") {
            let source = match params.flag("remote_src", false) {
                true => PathBuf::from(src),
                false => find_source(src, "files", machine, cx)?,
            };
            request.body = machine.read(&source)?.to_vec();
        }
        let Some(body) = params.any("body") else { return Ok(request) };
        if params.text("body_format") == Some("form-multipart") {
            let (form, kind) = multipart::form(body, machine, cx)?;
            // The type names the line between the fields, so that no other will do.
            request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
            request.headers.push(("content-type".into(), kind));
            request.body = form;
            return Ok(request);
        }
        let (text, kind) = match params.text("body_format") {
            Some("json") => {
                // Text that is JSON already is sent as it is.
                let text = match body.as_str().filter(|text| is_json(text)) {
                    Some(text) => text.to_owned(),
                    None => to_json(&from_node(body)).to_string(),
                };
                (text, Some("application/json"))
            }
            Some("form-urlencoded") => (form(body)?, Some("application/x-www-form-urlencoded")),
            _ => match body.scalar_text() {
                Some(text) => (text.to_owned(), None),
                None => (to_json(&from_node(body)).to_string(), None),
            },
        };
        if let (false, Some(kind)) = (has_type, kind) {
            request.headers.push(("content-type".into(), kind.into()));
        }
        request.body = text.into_bytes();
        Ok(request)
    }

    fn told(&self, answer: &Answer, request: &Request) -> Outcome {
        let wanted = values::list(&self.params, "status_code");
        let status = answer.status.to_string();
        let fits = if wanted.is_empty() { status == "200" } else { wanted.contains(&status) };
        let wanted = if wanted.is_empty() { "200".to_owned() } else { wanted.join(", ") };
        let length = answer.header("content-length").unwrap_or("unknown");
        let good = (200..300).contains(&answer.status);
        let mut message = if good {
            format!("OK ({length} bytes)")
        } else {
            format!("HTTP Error {status}: {}", answer.reason)
        };
        if !fits {
            message = format!("Status code was {status} and not [{wanted}]: {message}");
        }
        let mut outcome =
            Outcome { failed: (!fits).then(|| message.clone()), ..Outcome::default() };
        for (name, value) in &answer.headers {
            outcome = outcome.with(&name.replace('-', "_"), value.as_str());
        }
        let text = String::from_utf8_lossy(&answer.body);
        let kind = answer.header("content-type").unwrap_or_default();
        if kind.contains("json")
            && let Ok(json) = serde_json::from_str(&text)
        {
            outcome = outcome.with("json", from_json(&json));
        }
        if self.params.flag("return_content", false) || !fits {
            outcome = outcome.with("content", text.as_ref());
        }
        let cookies: Vec<(String, Value)> = answer
            .headers
            .iter()
            .filter(|(name, _)| name == "set-cookie")
            .filter_map(|(_, value)| {
                let (name, value) = value.split(';').next()?.split_once('=')?;
                Some((name.trim().to_owned(), value.trim().into()))
            })
            .collect();
        outcome
            .with("status", answer.status)
            .with("url", answer.url.as_str())
            .with(
                "redirected",
                answer.url.trim_end_matches('/') != request.url.trim_end_matches('/'),
            )
            .with("cookies", Value::from_pairs(cookies))
            .with("msg", message)
    }

    fn store(
        &self,
        machine: &mut Machine,
        answer: &Answer,
        outcome: Outcome,
    ) -> Result<Outcome, Failure> {
        let params = &self.params;
        let attributes = file_attributes::read(params, machine)?;
        let mut dest = params.path("dest").unwrap_or_default();
        let found = machine.stat(&dest, Follow::Yes)?;
        if found.is_some_and(|found| found.kind == FileKind::Directory) {
            let path = answer.url.split(['?', '#']).next().unwrap_or_default();
            let name = path.rsplit('/').next().filter(|name| !name.is_empty());
            dest.push(name.unwrap_or("index.html"));
        }
        machine.write_file(&dest, &answer.body, &attributes, &options(params, Follow::Yes)?)?;
        let outcome = outcome.with("path", dest.display().to_string());
        file_attributes::returned(outcome, machine, &dest, Follow::Yes)
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok()
}

/// A mapping, or a list of pairs, as a form sends it; text is taken as it is.
fn form(body: &Node) -> Result<String, Failure> {
    if let Some(text) = body.as_str() {
        return Ok(text.to_owned());
    }
    let wrong = || Failure::new("a form's `body` is a mapping of names and values");
    let mut pairs: Vec<(String, &Node)> = Vec::new();
    if let Some(map) = body.as_map() {
        pairs.extend(map.iter().map(|(key, value)| (key.name.to_string(), value)));
    }
    for item in body.as_list().unwrap_or_default() {
        let [name, value] = item.as_list().ok_or_else(wrong)? else { return Err(wrong()) };
        pairs.push((name.scalar_text().ok_or_else(wrong)?.to_owned(), value));
    }
    let mut out = Vec::new();
    for (name, value) in pairs {
        for value in value.as_list().unwrap_or(std::slice::from_ref(value)) {
            let value = value.scalar_text().ok_or_else(wrong)?;
            out.push(format!("{}={}", escaped(&name), escaped(value)));
        }
    }
    Ok(out.join("&"))
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
