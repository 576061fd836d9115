//! `nftables`: a table of the kernel's packet filter, or all of them, now and after the next start.

mod packet;

use super::{Failure, Module, Outcome, Task, TaskContext, session, system};
use crate::event::fault::Diagnostic;
use crate::event::hex::hex;
use crate::host::machine::Machine;
use crate::host::machine::command::{Command, Output};
use crate::host::machine::mode::Mode;
use crate::host::machine::path::Follow;
use crate::host::machine::state::Transition;
use crate::host::machine::write::{Attributes, WriteOptions};
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "nftables",
    summary: "Makes sure that the packet filter has a table with these rules, or exactly these tables.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("table", Kind::Text).says(
            "The table, with its family: `inet filter`. Where not given, `content` is all tables that \
             there are, and others go.",
        ),
        Param::new("content", Kind::Text).says(
            "What is between the braces of the table; or all tables. `nft -c` looks at it first.",
        ),
        Param::new("state", Kind::OneOf(&["absent", "present"]))
            .says("Whether the table is there; `present` where not given."),
        Param::new("path", Kind::Path).says(
            "The file that has it loaded at the start: `/etc/nftables.d/FAMILY-TABLE.nft` where not \
             given, which `/etc/nftables.conf` must include; that file itself for all tables. Its last \
             line is a digest of how `nft` lists what it loads, so that a later run need only look.",
        ),
        Param::new("force", Kind::Bool)
            .says("Load rules too that would cut the session over SSH that this runs in."),
    ]),
    check,
    build: |params| Box::new(Nftables { params }),
};

const FAMILIES: [&str; 6] = ["arp", "bridge", "inet", "ip", "ip6", "netdev"];
const NONE: &str = "none";

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = system::needs("nftables", params, "present", &["present"], &["content"]);
    complaints.extend(system::needs("nftables", params, "present", &["absent"], &["table"]));
    if let Some(table) = params.text("table").filter(|table| !table.contains("{{"))
        && parts(table).is_none()
    {
        let why = format!("`{table}` is no table with its family, such as `inet filter`");
        complaints.push(Diagnostic::new(why, params.place("table")));
    }
    complaints
}

/// Any text in place of what `nft -j` says.
#[cfg(any(test, fuzzing))]
pub(super) fn hostile(text: &str) {
    let session = session::Connection::parse("10.0.0.9 5000 10.0.0.1 22");
    if let (Ok(rules), Some(session)) = (serde_json::from_str(text), session) {
        drop(packet::dropping_chain(&rules, session));
    }
}

/// Family and name of a table.
fn parts(table: &str) -> Option<(&str, &str)> {
    let (family, name) = table.split_once(' ')?;
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(is_letter);
    (FAMILIES.contains(&family) && is_name).then_some((family, name))
}

struct Nftables {
    params: Params,
}

impl Task for Nftables {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let table = params.text("table");
        let path = self.path();
        let outcome = Outcome::default().with("path", path.display().to_string());
        let now = current(machine, table)?;
        if params.text("state") == Some("absent") {
            if now.is_some() {
                let delete = format!("delete table {}", table.unwrap_or_default());
                self.step(machine, now.as_deref(), None, system::argv(&["nft", &delete]))?;
            }
            machine.remove(&path)?;
            return Ok(outcome);
        }
        let text = self.text();
        let file = self.file(&text);
        let kept = self.kept(machine, &path)?;
        let is_kept = kept.as_deref().is_some_and(|kept| unsealed(kept) == file);
        if let (Some(kept), Some(now), None) = (&kept, &now, self.foretold(machine))
            && *kept == sealed(&file, now)
        {
            // What was loaded from this very file is what the kernel has.
            self.keep(machine, &path, kept.clone())?;
            return Ok(outcome);
        }
        let wanted = loaded(machine, &text)?;
        let is_loaded = match self.foretold(machine) {
            Some(told) => told == described(Some(&wanted)),
            None => now.as_deref() == Some(wanted.as_str()),
        };
        if !is_loaded {
            must_be_understood(machine, &file)?;
            if !params.flag("force", false) {
                must_not_cut(machine, &text)?;
            }
        }
        let file = match kept {
            Some(kept) if is_loaded && is_kept => kept,
            _ => sealed(&file, &wanted),
        };
        self.keep(machine, &path, file)?;
        if !is_loaded {
            let argv = system::argv(&["nft", "-f", &path.display().to_string()]);
            self.step(machine, now.as_deref(), Some(&wanted), argv)?;
        }
        Ok(outcome)
    }
}

/// What begins the last line of the file, which tells how `nft` lists what the file has loaded: where
/// it still does, nothing need be loaded anywhere to be compared.
const SEAL: &str = "# listed as ";

fn sealed(file: &str, listed: &str) -> String {
    format!("{file}{SEAL}{}\n", hex(&Sha256::digest(listed.as_bytes())))
}

fn unsealed(file: &str) -> &str {
    let end = file.trim_end_matches('\n').rfind('\n').map_or(0, |at| at + 1);
    if file[end..].starts_with(SEAL) { &file[..end] } else { file }
}

impl Nftables {
    fn path(&self) -> PathBuf {
        let usual = || match self.params.text("table").and_then(parts) {
            Some((family, name)) => format!("/etc/nftables.d/{family}-{name}.nft").into(),
            None => "/etc/nftables.conf".into(),
        };
        self.params.path("path").unwrap_or_else(usual)
    }

    /// The tables as `nft` reads them.
    fn text(&self) -> String {
        let content = self.params.text("content").unwrap_or_default().trim_end();
        match self.params.text("table") {
            Some(table) => format!("table {table} {{\n{content}\n}}\n"),
            None => format!("{content}\n"),
        }
    }

    /// The file that replaces what is there by `text`, at once.
    fn file(&self, text: &str) -> String {
        match self.params.text("table") {
            // To delete a table that is not there would be an error.
            Some(table) => format!("table {table}\ndelete table {table}\n{text}"),
            None => format!("#!/usr/sbin/nft -f\nflush ruleset\n{text}"),
        }
    }

    /// The file as it is.
    fn kept(&self, machine: &Machine, path: &Path) -> Result<Option<String>, Failure> {
        if machine.stat(path, Follow::Yes)?.is_none() {
            return Ok(None);
        }
        Ok(Some(String::from_utf8_lossy(&machine.read(path)?).into_owned()))
    }

    fn of(&self) -> String {
        match self.params.text("table") {
            Some(table) => format!("table {table}"),
            None => "all tables".to_owned(),
        }
    }

    fn foretold(&self, machine: &Machine) -> Option<String> {
        machine.foretold_state(&self.of())
    }

    fn keep(&self, machine: &mut Machine, path: &Path, file: String) -> Result<(), Failure> {
        if let Some(directory) = path.parent() {
            machine.mkdir(directory, &Attributes::default())?;
        }
        // Debian's is a program; rules are not for all to read.
        let is_program = self.params.text("table").is_none();
        let mode = Some(Mode::Exact(if is_program { 0o755 } else { 0o640 }));
        let attributes = Attributes { mode, ..Attributes::default() };
        let options = WriteOptions { follow: true, ..WriteOptions::default() };
        machine.write_file(path, &Bytes::from(file), &attributes, &options)?;
        Ok(())
    }

    fn step(
        &self,
        machine: &mut Machine,
        now: Option<&str>,
        after: Option<&str>,
        argv: Vec<String>,
    ) -> Result<(), Failure> {
        let before = self.foretold(machine).unwrap_or_else(|| described(now));
        let back = match (self.params.text("table"), now) {
            (Some(_), Some(now)) => self.file(now),
            (Some(table), None) => format!("delete table {table}"),
            (None, now) => format!("flush ruleset\n{}", now.unwrap_or_default()),
        };
        let back = Some(vec!["nft".to_owned(), back]);
        let after = described(after);
        Ok(machine.transition(&Transition { of: self.of(), before, after, argv, back })?)
    }
}

/// Rules, told shortly: the file shows them.
fn described(rules: Option<&str>) -> String {
    let Some(rules) = rules.filter(|rules| !rules.is_empty()) else { return NONE.to_owned() };
    let digest = hex(&Sha256::digest(rules.as_bytes()));
    format!("{} lines ({})", rules.lines().count(), &digest[..8])
}

fn ask(machine: &Machine, argv: &[&str], stdin: Option<&str>) -> Result<Output, Failure> {
    let stdin = stdin.map(|text| text.as_bytes().to_vec());
    Ok(machine.query(&Command { stdin, ..system::in_english(system::argv(argv), &[]) })?)
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// The rules that the kernel has; `None` where there is no such table.
fn current(machine: &Machine, table: Option<&str>) -> Result<Option<String>, Failure> {
    let output = match table.and_then(parts) {
        Some((family, name)) => ask(machine, &["nft", "-s", "list", "table", family, name], None)?,
        None => ask(machine, &["nft", "-s", "list", "ruleset"], None)?,
    };
    if output.is_success() {
        return Ok(Some(said(&output.stdout)));
    }
    let complaint = said(&output.stderr);
    if complaint.contains("No such file or directory") {
        return Ok(None);
    }
    Err(Failure::new(format!("`nft` does not tell the rules: {complaint}")))
}

/// What `nft` says of the rules in a network of their own, which is gone at once.
fn tried(machine: &Machine, text: &str, list: &str) -> Result<String, Failure> {
    let script = format!("nft -f - && exec nft {list} list ruleset");
    let output = ask(machine, &["unshare", "--net", "--", "sh", "-c", &script], Some(text))?;
    if output.is_success() {
        return Ok(said(&output.stdout));
    }
    let complaint = said(&output.stderr);
    let failure = Failure::new(format!("nft objects: {complaint}"));
    let hint = complaint
        .contains("Interface does not exist")
        .then(|| "`iifname` and `oifname` name interfaces that may not be there yet".to_owned());
    Err(Failure { hint, ..failure })
}

/// The rules as the kernel writes them: so they can be compared with those that it has.
fn loaded(machine: &Machine, text: &str) -> Result<String, Failure> {
    tried(machine, text, "-s")
}

/// Whether the kernel would take the file as it is: the names of interfaces and of other tables too.
fn must_be_understood(machine: &Machine, file: &str) -> Result<(), Failure> {
    let output = ask(machine, &["nft", "-c", "-f", "-"], Some(file))?;
    if output.is_success() {
        return Ok(());
    }
    Err(Failure::new(format!("nft objects: {}", said(&output.stderr))))
}

/// Whether the session over SSH that this runs in, if it runs in one, would go on.
fn must_not_cut(machine: &Machine, text: &str) -> Result<(), Failure> {
    let Some(session) = session::of(machine) else { return Ok(()) };
    let rules = serde_json::from_str(&tried(machine, text, "-j")?)
        .map_err(|error| Failure::new(format!("`nft -j` says what is not understood: {error}")))?;
    let Some(chain) = packet::dropping_chain(&rules, session) else { return Ok(()) };
    let (from, port) = (session.theirs, session.our_port);
    let why = format!(
        "the chain `{chain}` would cut the session from {from} to port {port} that this runs in"
    );
    let hint = "accept `ct state established`, or that port; `force: true` loads it nevertheless";
    Err(Failure { hint: Some(hint.into()), ..Failure::new(why) })
}
