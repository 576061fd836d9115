//! Package files that are installed as they are.

use super::super::{Failure, Outcome, web};
use super::apt_get::AptGet;
use crate::host::machine::Machine;
use crate::host::machine::command::Command;
use crate::host::machine::temporary::Temporary;
use crate::host::machine::write::{Attributes, WriteOptions};
use crate::host::packages::simulation::{Action, Step};
use bytes::Bytes;
use std::path::{Path, PathBuf};

/// One file.
struct Deb {
    /// Where it is, as written: a path or a URL.
    from: String,
    content: Bytes,
    name: String,
    version: String,
    architecture: String,
}

/// Installs the files, with commas between, that are not installed in just their version.
pub(super) fn install(
    machine: &mut Machine,
    apt: &AptGet<'_>,
    files: &str,
) -> Result<Outcome, Failure> {
    let packages = machine.packages()?;
    let mut wanted = Vec::new();
    for from in files.split(',').map(str::trim).filter(|from| !from.is_empty()) {
        let deb = read(machine, apt, from)?;
        let found = packages.find(&deb.called(packages.native()));
        if !found.is_some_and(|it| it.is_installed() && it.version == deb.version) {
            wanted.push(deb);
        }
    }
    if wanted.is_empty() {
        return Ok(Outcome::default());
    }
    let mut paths = Vec::new();
    let mut temporary: Vec<PathBuf> = Vec::new();
    for deb in &wanted {
        let is_here = !is_url(&deb.from) && !machine.foretells_below(Path::new(&deb.from));
        if is_here {
            paths.push(deb.from.clone());
        } else if let Some(path) = keep(machine, deb)? {
            paths.push(path.display().to_string());
            temporary.push(path);
        }
    }
    if paths.len() == wanted.len() {
        let done = apt.transaction(machine, &["install"], &paths);
        for path in temporary {
            machine.remove(&path)?;
        }
        return Ok(done?.with_message(Outcome::default()));
    }
    // A dry run cannot show apt a file that is not there yet: what it would need is not known.
    let steps: Vec<Step> = wanted
        .iter()
        .map(|deb| Step {
            name: deb.called(packages.native()),
            action: Action::Install(deb.version.clone()),
        })
        .collect();
    let after = machine.packages_after(&packages, &steps)?;
    machine.note_packages(&packages, &after)?;
    Ok(Outcome { unknown: true, ..Outcome::default() })
}

fn is_url(from: &str) -> bool {
    from.contains("://")
}

impl Deb {
    fn called(&self, native: &str) -> String {
        match self.architecture.as_str() {
            "all" => self.name.clone(),
            own if own == native => self.name.clone(),
            other => format!("{}:{other}", self.name),
        }
    }
}

fn read(machine: &Machine, apt: &AptGet<'_>, from: &str) -> Result<Deb, Failure> {
    let content = if is_url(from) {
        let mut request = web::request(apt.params, 10.0)?;
        request.url = from.to_owned();
        let answer = web::unpacked(apt.params, machine.fetch(&request)?)?;
        if !(200..300).contains(&answer.status) {
            let (status, reason) = (answer.status, &answer.reason);
            return Err(Failure::new(format!("{from}: the server answers {status} {reason}")));
        }
        answer.body
    } else if Path::new(from).is_absolute() {
        machine.read(Path::new(from))?
    } else {
        return Err(Failure::new(format!("the path `{from}` is not absolute")));
    };
    let words = ["--field", "-", "Package", "Version", "Architecture"];
    let command = Command { stdin: Some(content.to_vec()), ..apt.command("dpkg-deb", &words) };
    let output = machine.query(&command)?;
    if !output.is_success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next().unwrap_or("no word why").trim_start_matches("dpkg-deb: ");
        return Err(Failure::new(format!("{from} is no package file: {said}")));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let field = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim().to_owned()).unwrap_or_default()
    };
    Ok(Deb {
        from: from.to_owned(),
        name: field("Package:"),
        version: field("Version:"),
        architecture: field("Architecture:"),
        content,
    })
}

/// Puts a file where apt can read it; a dry run does not.
fn keep(machine: &mut Machine, deb: &Deb) -> Result<Option<PathBuf>, Failure> {
    let directory = std::env::temp_dir();
    let made = machine.make_temporary(Temporary::File, &directory, "driftless-", ".deb")?;
    let Some(path) = made else { return Ok(None) };
    let (attributes, options) = (Attributes::default(), WriteOptions::default());
    machine.write_file(&path, &deb.content, &attributes, &options)?;
    Ok(Some(path))
}
