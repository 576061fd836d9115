//! `get_url`: a file that a server has.

use super::edit::{check as check_edit, options};
use super::{Failure, Module, Outcome, Task, TaskContext, facts, file_attributes, web};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::meta::{Kind as FileKind, Stamp};
use crate::host::machine::path::Follow;
use crate::net::fetch::{Answer, Request};
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use chrono::DateTime;
use std::path::Path;

pub(super) static MODULE: Module = Module {
    name: "get_url",
    summary: "Makes sure that a file is what a server has under a URL.",
    acts_unless: None,
    spec: Spec {
        not_yet: &[file_attributes::NOT_YET, web::NOT_YET],
        shared: &[file_attributes::PARAMS, web::PARAMS],
        ..Spec::new(&[
            Param::new("url", Kind::Text)
                .required()
                .says("Where to ask: `http:`, `https:` or `file:`."),
            Param::new("dest", Kind::Path)
                .required()
                .says("The file, or the directory that it goes into."),
            Param::new("checksum", Kind::Text).says(
                "The sum that the file must have: `sha256:0a1b…`, or with the URL of a list \
                 of sums. With it nothing is fetched that is there already.",
            ),
            Param::new("force", Kind::Bool).says(
                "Ask for the file even where the server says that it has not changed since it \
                 was fetched.",
            ),
            file_attributes::BACKUP,
            Param::new("timeout", Kind::Any)
                .says("Seconds that the whole of it may take; 10 where not given."),
            Param::new("tmp_dest", Kind::Path)
                .says("Accepted: the file is written beside `dest` and renamed."),
        ])
    },
    check,
    build: |params| Box::new(GetUrl { params }),
};

struct GetUrl {
    params: Params,
}

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = check_edit(params, &[]);
    if let Some(checksum) = params.text("checksum").filter(|text| !text.is_empty())
        && let Err(why) = Sum::parse(checksum)
    {
        complaints.push(Diagnostic::new(why, params.span.clone()).hint("like `sha256:0a1b…`"));
    }
    complaints
}

/// A sum that the file must have.
struct Sum<'a> {
    algorithm: &'a str,
    /// The digits, or where a list of them is.
    value: &'a str,
}

impl<'a> Sum<'a> {
    fn parse(text: &'a str) -> Result<Self, String> {
        let wrong = || format!("`checksum` is `{text}`, which is no algorithm with a sum");
        let (algorithm, value) = text.split_once(':').ok_or_else(wrong)?;
        let (algorithm, value) = (algorithm.trim(), value.trim());
        if !["md5", "sha1", "sha224", "sha256", "sha384", "sha512"].contains(&algorithm) {
            return Err(format!(
                "`checksum` names the algorithm `{algorithm}`, which is not known"
            ));
        }
        let is_url = value.contains("://");
        if !is_url && (value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            return Err(wrong());
        }
        Ok(Self { algorithm, value })
    }

    /// The digits; looked up in the list, where one is named.
    fn digits(
        &self,
        params: &Params,
        request: &Request,
        machine: &Machine,
    ) -> Result<String, Failure> {
        if !self.value.contains("://") {
            return Ok(self.value.to_lowercase());
        }
        let request_of_list = Request { url: self.value.to_owned(), ..request.clone() };
        let list = web::unpacked(params, machine.fetch(&request_of_list)?)?;
        refuse(&list)?;
        let text = String::from_utf8_lossy(&list.body).into_owned();
        let name = file_name(&request.url);
        let lines = text.lines().filter_map(|line| {
            let (sum, name) = line.trim().split_once(char::is_whitespace)?;
            Some((sum, name.trim().trim_start_matches(['*', ' ']).trim_start_matches("./")))
        });
        let found = lines.filter(|(_, own)| *own == name || own.ends_with(&format!("/{name}")));
        let mut words = text.split_whitespace();
        let only = match (words.next(), words.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        };
        match found.map(|(sum, _)| sum).next().or(only) {
            Some(sum) => Ok(sum.to_lowercase()),
            None => Err(Failure::new(format!("{} has no sum for `{name}`", self.value))),
        }
    }
}

fn refuse(answer: &Answer) -> Result<(), Failure> {
    if (200..300).contains(&answer.status) || answer.status == 304 {
        return Ok(());
    }
    let (status, reason) = (answer.status, &answer.reason);
    let url = answer.url.split('?').next().unwrap_or_default();
    Err(Failure::new(format!("{url}: the server answers {status} {reason}")))
}

/// The last part of a URL's path.
fn file_name(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    match path.rsplit_once('/') {
        Some((_, name)) if !name.is_empty() => name,
        _ => "index.html",
    }
}

/// The name that the server gives the file, without any directory.
fn named(answer: &Answer) -> Option<String> {
    let header = answer.header("content-disposition")?;
    let name = header.split(';').find_map(|part| part.trim().strip_prefix("filename="))?;
    let name = name.trim_matches(['"', '\'']).rsplit(['/', '\\']).next()?;
    (!name.is_empty() && name != "." && name != "..").then(|| name.to_owned())
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(stamp: Stamp) -> String {
    let time = DateTime::from_timestamp(stamp.seconds, 0).unwrap_or_default();
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

impl Task for GetUrl {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let attributes = file_attributes::read(params, machine)?;
        let mut request = web::request(params, 10.0)?;
        let mut dest = params.path("dest").unwrap_or_default();
        let is_directory = |machine: &Machine, path: &Path| {
            let found = machine.stat(path, Follow::Yes);
            found.map(|found| found.is_some_and(|found| found.kind == FileKind::Directory))
        };
        let into = is_directory(machine, &dest)?;
        if into {
            dest.push(file_name(&request.url));
        }
        let sum = params.text("checksum").filter(|text| !text.is_empty());
        let sum = sum.map(Sum::parse).transpose().map_err(Failure::new)?;
        let digits = match &sum {
            Some(sum) => Some((sum.algorithm, sum.digits(params, &request, machine)?)),
            None => None,
        };
        let force = params.flag("force", false);
        let found = machine.stat(&dest, Follow::Yes)?.filter(|found| found.kind == FileKind::File);
        if let (Some(_), Some((algorithm, digits))) = (&found, &digits)
            && !force
            && facts::sum(machine, &dest, algorithm)? == *digits
        {
            machine.set_attributes(&dest, Follow::Yes, &attributes)?;
            let outcome = Outcome::default().with("msg", "file already exists");
            return self.told(outcome, machine, &dest, &request);
        }
        if let (Some(found), false, None) = (&found, force, &digits) {
            request.headers.push(("if-modified-since".into(), http_date(found.modified)));
        }
        let answer = web::unpacked(params, machine.fetch(&request)?)?;
        refuse(&answer)?;
        let outcome = Outcome::default().with("status_code", answer.status);
        if answer.status == 304 {
            machine.set_attributes(&dest, Follow::Yes, &attributes)?;
            return self.told(
                outcome.with("msg", "HTTP Error 304: Not Modified"),
                machine,
                &dest,
                &request,
            );
        }
        if into && let Some(name) = named(&answer) {
            dest.set_file_name(name);
        }
        if let Some((algorithm, digits)) = &digits {
            let got = facts::sum_of(&answer.body, algorithm);
            if got != *digits {
                let why = format!(
                    "the {algorithm} of what the server sent is {got}, and {digits} is expected"
                );
                return Err(Failure::new(why));
            }
        }
        let replaced =
            machine.stat(&dest, Follow::Yes)?.filter(|found| found.kind == FileKind::File);
        let before = match &replaced {
            Some(_) => Some(facts::sum(machine, &dest, "sha1")?),
            None => None,
        };
        let size = answer.body.len();
        let written =
            machine.write_file(&dest, &answer.body, &attributes, &options(params, Follow::Yes)?)?;
        let length = answer.header("content-length").unwrap_or("unknown");
        let mut outcome = outcome
            .with("msg", format!("OK ({length} bytes)"))
            .with("checksum_src", facts::sum_of(&answer.body, "sha1"))
            .with("checksum_dest", before.map_or(minijinja::Value::from(()), Into::into))
            .with("md5sum", facts::sum_of(&answer.body, "md5"))
            .with("size", size);
        if let Some(backup) = written.backup {
            outcome = outcome.with("backup_file", backup.display().to_string());
        }
        self.told(outcome, machine, &dest, &request)
    }
}

impl GetUrl {
    fn told(
        &self,
        outcome: Outcome,
        machine: &Machine,
        dest: &Path,
        request: &Request,
    ) -> Result<Outcome, Failure> {
        let outcome =
            outcome.with("url", request.url.as_str()).with("dest", dest.display().to_string());
        file_attributes::returned(outcome, machine, dest, Follow::Yes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_as_the_end_of_its_url() {
        assert_eq!(file_name("https://h/a/b.tgz?x=/y#z"), "b.tgz");
        assert_eq!(file_name("https://h/"), "index.html");
        assert_eq!(file_name("https://h"), "index.html");
    }

    #[test]
    fn a_date_is_written_as_http_has_it() {
        let stamp = Stamp { seconds: 784_111_777, nanoseconds: 0 };
        assert_eq!(http_date(stamp), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
