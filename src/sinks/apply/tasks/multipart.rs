//! Forms with files in them, as `uri` sends them: `multipart/form-data` (RFC 7578).

use super::copy::find_source;
use super::{Failure, TaskContext};
use crate::event::hex::hex;
use crate::event::tree::Node;
use crate::host::machine::Machine;
use sha2::{Digest, Sha256};
use std::path::Path;

/// A field of a form.
struct Part {
    name: String,
    file_name: Option<String>,
    kind: String,
    content: Vec<u8>,
}

/// The form that `body` describes, and its content type.
pub(super) fn form(
    body: &Node,
    machine: &Machine,
    cx: &TaskContext<'_>,
) -> Result<(Vec<u8>, String), Failure> {
    let Some(fields) = body.as_map() else {
        return Err(Failure::new("a form's `body` is a mapping of names and values"));
    };
    let parts = fields.iter().map(|(key, value)| part(&key.name, value, machine, cx));
    let parts: Vec<Part> = parts.collect::<Result<_, _>>()?;
    let boundary = boundary(&parts);
    let mut out = Vec::new();
    for part in &parts {
        let mut head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"",
            escaped(&part.name)
        );
        if let Some(name) = &part.file_name {
            head.push_str(&format!("; filename=\"{}\"", escaped(name)));
        }
        head.push_str(&format!("\r\nContent-Type: {}\r\n\r\n", part.kind));
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(&part.content);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok((out, format!("multipart/form-data; boundary={boundary}")))
}

/// A field: text, or a mapping with `filename`, `content` and `mime_type`.
fn part(
    name: &str,
    value: &Node,
    machine: &Machine,
    cx: &TaskContext<'_>,
) -> Result<Part, Failure> {
    let wrong = |why: &str| Failure::new(format!("the field `{name}` {why}"));
    let named = name.to_owned();
    if let Some(text) = value.scalar_text() {
        let (kind, content) = ("text/plain".to_owned(), text.as_bytes().to_vec());
        return Ok(Part { name: named, file_name: None, kind, content });
    }
    let Some(entries) = value.as_map() else {
        return Err(wrong("is neither text nor a mapping with `filename` or `content`"));
    };
    let known = ["filename", "content", "mime_type", "multipart_encoding"];
    if let Some((key, _)) = entries.iter().find(|(key, _)| !known.contains(&&*key.name)) {
        return Err(wrong(&format!(
            "has `{}`, and only `{}` are known",
            key.name,
            known.join("`, `")
        )));
    }
    let text = |key: &str| value.get(key).and_then(Node::scalar_text);
    let file = text("filename");
    let content = match (text("content"), file) {
        (Some(content), _) => content.as_bytes().to_vec(),
        (None, Some(file)) => machine.read(&find_source(file, "files", machine, cx)?)?.to_vec(),
        (None, None) => return Err(wrong("has neither `filename` nor `content`")),
    };
    let content = match text("multipart_encoding") {
        None | Some("7or8bit" | "base64") => content,
        Some(other) => {
            return Err(wrong(&format!(
                "has the encoding `{other}`; `base64` and `7or8bit` are known"
            )));
        }
    };
    let file_name = file.and_then(|file| Path::new(file).file_name());
    let file_name = file_name.map(|name| name.to_string_lossy().into_owned());
    let usual = if file.is_some() { "application/octet-stream" } else { "text/plain" };
    let kind = text("mime_type").unwrap_or(usual).to_owned();
    if kind.contains(['\r', '\n']) {
        return Err(wrong("has a `mime_type` of several lines"));
    }
    Ok(Part { name: named, file_name, kind, content })
}

/// As browsers write names.
fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// A line that is in none of the parts. The same form has the same one.
fn boundary(parts: &[Part]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(&part.name);
        hash.update(&part.content);
    }
    loop {
        let digits = hex(&hash.clone().finalize());
        let is_in = |part: &Part| memchr::memmem::find(&part.content, digits.as_bytes()).is_some();
        if !parts.iter().any(is_in) {
            return digits;
        }
        hash.update(b"+");
    }
}
