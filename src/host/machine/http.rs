//! Asking other hosts over HTTP.

use super::Machine;
use super::fault::Fault;
use crate::net::fetch::{Answer, Request};
use bytes::Bytes;
use std::path::Path;

impl Machine {
    /// Asks a server for something without changing anything there; in a dry run too. A `file:`
    /// URL is a file of this host.
    ///
    /// Errors: no answer.
    pub fn fetch(&self, request: &Request) -> Result<Answer, Fault> {
        if let Some(path) = request.url.strip_prefix("file://") {
            let body = self.read(Path::new(path))?;
            return Ok(of_file(request, body));
        }
        request.send().map_err(Fault::new)
    }

    /// Sends a server something that may change what it has. A dry run sends nothing: `None`.
    ///
    /// Errors: no answer.
    pub fn send(&mut self, request: &Request) -> Result<Option<Answer>, Fault> {
        if self.is_dry_run() {
            return Ok(None);
        }
        request.send().map(Some).map_err(Fault::new)
    }
}

fn of_file(request: &Request, body: Bytes) -> Answer {
    Answer {
        status: 200,
        reason: "OK".into(),
        headers: vec![("content-length".into(), body.len().to_string())],
        url: request.url.clone(),
        body,
    }
}
