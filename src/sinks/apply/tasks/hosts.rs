//! `hosts`: which names an address has in `/etc/hosts`.

use super::{Failure, Module, Outcome, Task, TaskContext, system};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::net::IpAddr;
use std::path::Path;

pub(super) static MODULE: Module = Module {
    name: "hosts",
    summary: "Makes sure that names stand for an address in `/etc/hosts`, or no longer do.",
    acts_unless: None,
    spec: Spec {
        one_of: &[&["address", "names"]],
        ..Spec::new(&[
            Param::new("address", Kind::Text)
                .or(&["ip"])
                .says("The address, of IPv4 or IPv6. With `state: absent` it may be left out."),
            Param::new("names", Kind::Texts).or(&["name"]).says(
                "Its names; the first is the full one. They are taken from other addresses of the \
                 same family; other names of the address stay, behind these.",
            ),
            Param::new("state", Kind::OneOf(&["absent", "present"])).says(
                "`present` where not given; with `absent`, the names are taken from the address, or \
                 from all addresses, or all names from the address.",
            ),
            Param::new("path", Kind::Path).says("The file; `/etc/hosts` where not given."),
            Param::new("backup", Kind::Bool)
                .says("Keep the old file under a dated name beside the new one."),
        ])
    },
    check,
    build: |params| Box::new(Hosts { params }),
};

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    let mut complain =
        |name: &str, why: String| complaints.push(Diagnostic::new(why, params.place(name)));
    if let Some(text) = params.text("address").filter(|text| !text.contains("{{"))
        && text.parse::<IpAddr>().is_err()
    {
        complain("address", format!("`address` is `{text}`, and an IP address is expected"));
    }
    let is_name = |name: &str| !name.is_empty() && !name.contains([' ', '\t', '\n', '#']);
    for name in params.texts("names").unwrap_or_default() {
        if !name.contains("{{") && !is_name(name) {
            complain("names", format!("`{name}` is not the name of a host"));
        }
    }
    if params.text("state") != Some("absent") {
        for name in ["address", "names"] {
            if !params.has(name) {
                complain("state", format!("`hosts` needs `{name}`"));
            }
        }
    }
    complaints
}

struct Hosts {
    params: Params,
}

impl Task for Hosts {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let path = params.path("path").unwrap_or_else(|| "/etc/hosts".into());
        let old = system::read(machine, &path)?;
        let address = params.text("address").and_then(|text| text.parse().ok());
        let names = params.texts("names").unwrap_or_default();
        let is_absent = params.text("state") == Some("absent");
        let mut lines: Vec<Line> = old.as_deref().unwrap_or_default().lines().map(parse).collect();
        match address {
            Some(address) if !is_absent => present(&mut lines, address, names),
            _ => absent(&mut lines, address, names),
        }
        lines.retain(|line| !line.is_empty);
        let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        let new = system::join(&texts);
        let is_same = match &old {
            Some(old) => old.lines().eq(texts.iter().copied()),
            None => new.is_empty(),
        };
        let outcome = Outcome::default().with("path", path.display().to_string());
        if is_same {
            return Ok(outcome);
        }
        let backup = system::write(machine, Path::new(&path), new, params.flag("backup", false))?;
        Ok(system::with_backup(outcome, backup))
    }
}

/// A line of the file.
struct Line {
    text: String,
    /// What it says, where that is something.
    entry: Option<(IpAddr, Vec<String>)>,
    /// It has lost all its names.
    is_empty: bool,
}

impl Line {
    /// Gives the line other names; its comment stays.
    fn set(&mut self, names: Vec<String>) {
        let Some((address, now)) = &mut self.entry else { return };
        if *now == names {
            return;
        }
        let comment = self.text.find('#').map_or("", |at| &self.text[at..]);
        let space = if comment.is_empty() { "" } else { " " };
        self.is_empty = names.is_empty();
        // As it is written, which may be another spelling than ours.
        let word = self.text.split_whitespace().next().unwrap_or_default();
        let word = if word.is_empty() { address.to_string() } else { word.to_owned() };
        let gap = if self.text.contains('\t') { "\t" } else { " " };
        self.text = format!("{word}{gap}{}{space}{comment}", names.join(" "));
        *now = names;
    }
}

fn parse(text: &str) -> Line {
    let said = text.split('#').next().unwrap_or_default();
    let mut words = said.split_whitespace();
    let address = words.next().and_then(|word| word.parse().ok());
    let entry = address.map(|address| (address, words.map(str::to_owned).collect()));
    Line { text: text.to_owned(), entry, is_empty: false }
}

fn is_one_of(name: &str, names: &[String]) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn without(now: &[String], names: &[String]) -> Vec<String> {
    now.iter().filter(|name| !is_one_of(name, names)).cloned().collect()
}

fn present(lines: &mut Vec<Line>, address: IpAddr, names: &[String]) {
    let is_of = |line: &Line| line.entry.as_ref().is_some_and(|(known, _)| *known == address);
    // The line with the most of the names, else the first of the address.
    let known = |line: &Line| {
        let now = line.entry.iter().flat_map(|(_, now)| now);
        now.filter(|name| is_one_of(name, names)).count()
    };
    let mut home: Option<(usize, usize)> = None;
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| is_of(line)) {
        if home.is_none_or(|(_, most)| known(line) > most) {
            home = Some((at, known(line)));
        }
    }
    let home = home.map(|(at, _)| at);
    for (at, line) in lines.iter_mut().enumerate() {
        let Some((known, now)) = &line.entry else { continue };
        if known.is_ipv4() != address.is_ipv4() {
            continue;
        }
        let others = without(now, names);
        if Some(at) == home {
            line.set(names.iter().cloned().chain(others).collect());
        } else if others.len() < now.len() {
            line.set(others);
        }
    }
    if home.is_none() {
        lines.push(parse(&format!("{address} {}", names.join(" "))));
    }
}

fn absent(lines: &mut [Line], address: Option<IpAddr>, names: &[String]) {
    for line in lines {
        let Some((known, now)) = &line.entry else { continue };
        if address.is_none_or(|address| address == *known) {
            let others = if names.is_empty() { Vec::new() } else { without(now, names) };
            line.set(others);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# local\n127.0.0.1\tlocalhost\n::1 localhost ip6-localhost # both\n\n10.0.0.5 db old.example.org\n";

    fn after(change: impl FnOnce(&mut Vec<Line>)) -> String {
        let mut lines: Vec<Line> = FILE.lines().map(parse).collect();
        change(&mut lines);
        lines.retain(|line| !line.is_empty);
        lines.iter().map(|line| line.text.clone() + "\n").collect()
    }

    fn names(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn names_move_to_their_address_and_the_rest_of_the_file_stays() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let new = after(|lines| present(lines, ip("10.0.0.5"), &names("db.example.org db")));
        assert_eq!(new, FILE.replace("db old", "db.example.org db old"));
        let new = after(|lines| present(lines, ip("10.0.0.6"), &names("db")));
        assert_eq!(new, FILE.replace("5 db", "5") + "10.0.0.6 db\n");
        let new = after(|lines| present(lines, ip("127.0.0.1"), &names("localhost")));
        assert_eq!(new, FILE, "the other family keeps its `localhost`");
        let new = after(|lines| absent(lines, None, &names("DB old.example.org")));
        assert_eq!(new, FILE.replace("10.0.0.5 db old.example.org\n", ""));
        let new = after(|lines| absent(lines, Some(ip("::1")), &names("localhost")));
        assert_eq!(new, FILE.replace("::1 localhost ip6", "::1 ip6"));
    }
}
