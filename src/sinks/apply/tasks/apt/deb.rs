//! Package files that are installed as they are.

use super::super::{Failure, Outcome, web};
use super::apt_get::AptGet;
use crate::host::machine::Machine;
use crate::host::machine::command::Command;
use crate::host::machine::temporary::Temporary;
use crate::host::machine::write::{Attributes, WriteOptions};
use crate::host::packages::database::{Package, Packages};
use crate::host::packages::simulation::{Action, Step};
use crate::host::packages::version::compare;
use bytes::Bytes;
use std::cmp::Ordering;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// One file.
struct Deb {
    /// Where it is, as written: a path or a URL.
    from: String,
    content: Bytes,
    name: String,
    version: String,
    architecture: String,
    /// What it depends on, as its own file says it.
    needs: Vec<String>,
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
    let mut needs = Vec::new();
    let mut steps = Vec::new();
    for deb in &wanted {
        let called = deb.called(packages.native());
        let found = packages.find(&called).filter(|found| found.is_installed());
        let takes_older =
            apt.params.flag("allow_downgrade", false) || apt.params.flag("force", false);
        if let Some(newer) = found
            .filter(|it| !takes_older && compare(&it.version, &deb.version) == Ordering::Greater)
        {
            let (name, version, old) = (&deb.name, &newer.version, &deb.version);
            let why = format!("A later version is already installed: {name} {version}, not {old}");
            let hint = Some("`allow_downgrade: true` lets an older one take its place".to_owned());
            return Err(Failure { hint, ..Failure::new(why) });
        }
        needs.extend(deb.needs.iter().cloned());
        steps.push(Step { name: called, action: Action::Install(deb.version.clone()) });
    }
    let foretold = machine.packages_after(packages.clone(), &steps)?;
    let is_all = needs.iter().all(|needs| has_all(&foretold, needs));
    let mut temporary = Vec::new();
    let done = keep_all(machine, &wanted, &mut temporary).and_then(|paths| {
        apt.perform(machine, (&["install"], &paths), [&packages, &foretold], String::new())
    });
    // Whatever became of it, and whatever becomes of one of them.
    let removed: Vec<_> = temporary.iter().map(|path| machine.remove(path)).collect();
    let mut done = done?;
    removed.into_iter().collect::<Result<Vec<()>, _>>()?;
    // Apt cannot be asked: to read a file it makes a copy, for which a dry run has no place.
    done.unknown = done.is_foretold && !is_all;
    Ok(done.with_message(Outcome::default()))
}

/// Whether packages are all that a field such as `Depends` says.
fn has_all(packages: &Packages, needs: &str) -> bool {
    let has = |one: &str| {
        let (name, version) = one.split_once('(').unwrap_or((one, ""));
        let name = name.split(':').next().unwrap_or_default().trim();
        let version = version.trim_end_matches([')', ' ']);
        let provides = |it: &Package| version.is_empty() && it.provides.iter().any(|it| it == name);
        packages
            .installed()
            .any(|it| it.name == name && takes(version, &it.version) || provides(it))
    };
    needs.split(',').all(|one| one.split('|').any(has))
}

/// Whether a version is as `>= 1.0` or the like says; nothing said takes all.
fn takes(wanted: &str, installed: &str) -> bool {
    let (how, version) = wanted.split_once(' ').unwrap_or(("", wanted));
    let order = compare(installed, version.trim());
    match how {
        ">=" => order != Ordering::Less,
        ">>" => order == Ordering::Greater,
        "<=" => order != Ordering::Greater,
        "<<" => order == Ordering::Less,
        "=" => order == Ordering::Equal,
        _ => wanted.is_empty(),
    }
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
    // As a stream, since a dry run has no place where dpkg could unpack it.
    let words = ["--ctrl-tarfile", "-"];
    let command = Command { stdin: Some(content.to_vec()), ..apt.command("dpkg-deb", &words) };
    let output = machine.query(&command)?;
    if !output.is_success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next().unwrap_or("no word why").trim_start_matches("dpkg-deb: ");
        return Err(Failure::new(format!("{from} is no package file: {said}")));
    }
    let Some(said) = control(&output.stdout) else {
        return Err(Failure::new(format!("{from} is no package file: it has no `control`")));
    };
    let field = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim().to_owned()).unwrap_or_default()
    };
    Ok(Deb {
        from: from.to_owned(),
        name: field("Package:"),
        version: field("Version:"),
        architecture: field("Architecture:"),
        needs: [field("Pre-Depends:"), field("Depends:")]
            .into_iter()
            .filter(|needs| !needs.is_empty())
            .collect(),
        content,
    })
}

/// The file `control` of the archive that a package has of itself.
fn control(archive: &[u8]) -> Option<String> {
    for entry in tar::Archive::new(archive).entries().ok()? {
        let mut entry = entry.ok()?;
        let is_control = entry.path().is_ok_and(|path| path.ends_with("control"));
        if is_control {
            let mut text = String::new();
            entry.read_to_string(&mut text).ok()?;
            return Some(text);
        }
    }
    None
}

/// Puts files that were fetched where apt can read them, which are told in `temporary`; a dry run does
/// not. Where all of them are then.
fn keep_all(
    machine: &mut Machine,
    debs: &[Deb],
    temporary: &mut Vec<PathBuf>,
) -> Result<Vec<String>, Failure> {
    let mut paths = Vec::new();
    for deb in debs {
        let kept = if is_url(&deb.from) { keep(machine, deb, temporary)? } else { None };
        paths.push(kept.map_or_else(|| deb.from.clone(), |path| path.display().to_string()));
    }
    Ok(paths)
}

fn keep(
    machine: &mut Machine,
    deb: &Deb,
    temporary: &mut Vec<PathBuf>,
) -> Result<Option<PathBuf>, Failure> {
    let directory = std::env::temp_dir();
    let made = machine.make_temporary(Temporary::File, &directory, "driftless-", ".deb")?;
    let Some(path) = made else { return Ok(None) };
    temporary.push(path.clone());
    let (attributes, options) = (Attributes::default(), WriteOptions::default());
    machine.write_file(&path, &deb.content, &attributes, &options)?;
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_needs_is_looked_for_among_packages() {
        let packages = Packages::read(
            "Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.2\n\n\
             Package: b\nStatus: install ok installed\nArchitecture: all\nVersion: 1:1\nProvides: c\n",
        );
        for (needs, expected) in [
            ("a", true),
            ("a (>= 1.2), b (<< 2:0)", true),
            ("a:any (= 1.2), c", true),
            ("a (>> 1.2)", false),
            ("d | a (<= 1.2)", true),
            ("a, d", false),
            ("c (>= 1)", false),
        ] {
            assert_eq!(has_all(&packages, needs), expected, "{needs}");
        }
    }
}
