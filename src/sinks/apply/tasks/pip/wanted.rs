//! What pip is asked for: names with versions, or a file that lists them.

use super::super::Failure;
use crate::host::machine::Machine;
use crate::host::machine::path::Follow;
use crate::host::packages::python::Requirement;
use crate::sinks::apply::params::Params;
use std::path::Path;

/// Options of a file that say where packages are found, and not which are wanted.
const PLACES: [&str; 8] = [
    "-i",
    "-f",
    "--index-url",
    "--extra-index-url",
    "--find-links",
    "--no-index",
    "--trusted-host",
    "--prefer-binary",
];

/// The packages as they are written. A version behind a comma belongs to the name before it, and what
/// is in brackets stays together.
pub(super) fn names(params: &Params) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut in_brackets = false;
    let all = params.texts("name").unwrap_or_default().iter();
    for part in all.flat_map(|text| text.split(',')) {
        let is_version = part.trim_start().starts_with(['<', '>', '=', '!', '~']);
        match names.last_mut().filter(|_| is_version || in_brackets) {
            Some(name) => *name = format!("{name},{part}"),
            None => names.push(part.trim().to_owned()),
        }
        in_brackets = (in_brackets || part.contains('[')) && !part.contains(']');
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The packages as pip is given them.
pub(super) fn arguments(params: &Params) -> Vec<String> {
    let mut names = names(params);
    if let (Some(version), [name]) = (params.text("version"), &mut names[..]) {
        let version = version.trim();
        let sign = if version.starts_with(|c: char| c.is_ascii_digit()) { "==" } else { "" };
        name.push_str(&format!("{sign}{version}"));
    }
    names
}

/// What is wanted, where that can be told without pip: `None` where a part of it is an address, a
/// path, a condition or the like.
pub(super) fn read(
    machine: &Machine,
    params: &Params,
    directory: &Path,
) -> Result<Option<Vec<Requirement>>, Failure> {
    let Some(file) = params.text("requirements") else {
        return Ok(arguments(params).iter().map(|name| plain(name)).collect());
    };
    let path = directory.join(file);
    if machine.stat(&path, Follow::Yes)?.is_none() {
        let why = format!("there is no file of requirements {}", path.display());
        return Err(Failure::new(why));
    }
    let text = machine.read(&path)?;
    Ok(listed(&String::from_utf8_lossy(&text)))
}

fn plain(text: &str) -> Option<Requirement> {
    Requirement::read(text).filter(|requirement| !requirement.has_extras)
}

fn listed(text: &str) -> Option<Vec<Requirement>> {
    let text = text.replace("\\\n", " ");
    let without_comment = |line: &str| {
        let line = line.split(" #").next().unwrap_or_default().trim().to_owned();
        if line.starts_with('#') { String::new() } else { line }
    };
    let lines = text.lines().map(without_comment).filter(|line| !line.is_empty());
    let is_place =
        |line: &String| line.split([' ', '=']).next().is_some_and(|word| PLACES.contains(&word));
    let lines = lines.filter(|line| !is_place(line));
    lines.map(|line| plain(line.split(" --hash=").next().unwrap_or_default())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_where_it_only_names_packages_and_versions() {
        let text = "# of all\n--index-url https://e\na==1 # b\nb>=1,\\\n<2 --hash=sha256:x\n\n";
        let names = |text| {
            let listed: Option<Vec<Requirement>> = listed(text);
            listed.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(names(text), Some(vec!["a==1".to_owned(), "b>=1, <2".to_owned()]));
        for other in ["-r b.txt", "-e .", "a; python_version > '3'", "a[b]", "./a.whl"] {
            assert_eq!(names(other), None, "{other}");
        }
    }
}
