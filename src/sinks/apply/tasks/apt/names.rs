//! What packages are asked for by: names, versions, patterns.

use super::super::Failure;
use super::apt_get::AptGet;
use crate::host::machine::Machine;
use crate::host::packages::version;
use crate::sinks::apply::params::Params;
use globset::{GlobBuilder, GlobMatcher};
use std::cmp::Ordering;
use std::fmt;

/// The packages as they are written: a text may be several, with commas between.
pub(super) fn words(params: &Params) -> Vec<String> {
    let all = params.texts("package").unwrap_or_default().iter();
    let words = all.flat_map(|text| text.split(',')).map(str::trim).filter(|text| !text.is_empty());
    words.map(str::to_owned).collect()
}

/// One package that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Its name, with its architecture where one is given.
    pub(super) name: String,
    version: Version,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Version {
    Any,
    /// This one, or one that the pattern is of.
    Like(String),
    /// This one or a newer one.
    Least(String),
}

impl Request {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let complain = |why: &str| Err(format!("`{text}` is no package: {why}"));
        let (name, version) = match (text.split_once(">="), text.split_once('=')) {
            (Some((name, version)), _) => (name, Version::Least(version.trim().to_owned())),
            (None, Some((name, version))) => (name, Version::Like(version.trim().to_owned())),
            (None, None) => (text, Version::Any),
        };
        let name = name.trim().to_owned();
        match &version {
            Version::Like(text) | Version::Least(text) if text.is_empty() => {
                return complain("there is no version behind the `=`");
            }
            Version::Like(text) | Version::Least(text) if text.contains('=') => {
                return complain("there is more than one `=`");
            }
            _ => {}
        }
        if name.is_empty() || name.starts_with('-') || name.contains(char::is_whitespace) {
            return complain("`NAME`, `NAME=VERSION` or `NAME>=VERSION` is expected");
        }
        Ok(Self { name, version })
    }

    /// Whether an installed version is what is asked for.
    pub(super) fn takes(&self, installed: &str) -> bool {
        match &self.version {
            Version::Any => true,
            Version::Like(pattern) => {
                pattern == installed || matcher(pattern).is_ok_and(|it| it.is_match(installed))
            }
            Version::Least(least) => version::compare(installed, least) != Ordering::Less,
        }
    }

    pub(super) fn is_least(&self) -> bool {
        matches!(self.version, Version::Least(_))
    }

    /// How apt is asked for it.
    pub(super) fn argument(&self) -> String {
        match &self.version {
            Version::Like(version) => format!("{}={version}", self.name),
            Version::Any | Version::Least(_) => self.name.clone(),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Version::Any => f.write_str(&self.name),
            Version::Like(version) => write!(f, "{}={version}", self.name),
            Version::Least(version) => write!(f, "{}>={version}", self.name),
        }
    }
}

/// Which packages a pattern is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Among {
    /// All that apt knows of.
    Known,
    /// Those that are there, or have left something.
    Installed,
}

/// The names with the packages in place of patterns.
pub(super) fn expanded(
    machine: &Machine,
    apt: &AptGet<'_>,
    names: &[String],
    among: Among,
) -> Result<Vec<String>, Failure> {
    let is_pattern =
        |name: &str| name.split('=').next().is_some_and(|name| name.contains(['*', '?', '[']));
    if !names.iter().any(|name| is_pattern(name)) {
        return Ok(names.to_vec());
    }
    let packages = machine.packages()?;
    let mut known: Vec<String> =
        packages.all.iter().map(|package| packages.called(package)).collect();
    if among == Among::Known {
        known.extend(apt.known_names(machine)?);
    }
    known.sort();
    known.dedup();
    let mut all = Vec::new();
    for name in names {
        if !is_pattern(name) {
            all.push(name.clone());
            continue;
        }
        let end = name.find(['=', '>']).unwrap_or(name.len());
        let (pattern, version) = name.split_at(end);
        let matcher = matcher(pattern)?;
        let found: Vec<_> = known.iter().filter(|name| matcher.is_match(name)).collect();
        if found.is_empty() && among == Among::Known {
            return Err(Failure::new(format!("No package(s) matching '{pattern}' available")));
        }
        all.extend(found.into_iter().map(|name| format!("{name}{version}")));
    }
    Ok(all)
}

fn matcher(pattern: &str) -> Result<GlobMatcher, Failure> {
    // Names and versions hold no braces, which a shell's patterns do not know either.
    let glob = GlobBuilder::new(pattern).literal_separator(false).build();
    let glob = glob.map_err(|error| Failure::new(format!("`{pattern}` is no pattern: {error}")))?;
    Ok(glob.compile_matcher())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_asked_for_by_its_name_and_what_its_version_must_be() {
        for (text, installed, wanted, argument) in [
            ("a", "1", true, "a"),
            ("a=1.0", "1.0", true, "a=1.0"),
            ("a=1.*", "1.2-3", true, "a=1.*"),
            ("a=1.*", "2.1", false, "a=1.*"),
            ("a:i386 = 1", "1", true, "a:i386=1"),
            ("a>=1.10", "1.9", false, "a"),
            ("a >= 1.10", "1:0", true, "a"),
        ] {
            let request = Request::read(text).unwrap();
            assert_eq!(request.takes(installed), wanted, "{text}");
            assert_eq!(request.argument(), argument, "{text}");
        }
        for wrong in ["", "-y", "a=", "a>=", "a=1=2", "a==1", "=1", "a b"] {
            assert!(Request::read(wrong).is_err(), "{wrong}");
        }
    }
}
