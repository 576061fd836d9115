//! Packages of Python: which of two versions is the newer one, what a requirement takes, and what the
//! directory of an environment says is installed.
//!
//! Source: the packaging specifications: version specifiers (PEP 440), names (PEP 503), dependency
//! specifiers (PEP 508), and `NAME-VERSION.dist-info` of installed projects.

use std::cmp::Ordering;
use std::fmt;

/// A version, in the order of versions. A release and what came before and after it compare as their
/// specification says: `1.dev1 < 1a1 < 1rc1 < 1 < 1+local < 1.post1`.
#[derive(Clone, Debug)]
pub struct Version {
    epoch: u64,
    release: Vec<u64>,
    before: Option<(char, u64)>,
    after: Option<u64>,
    development: Option<u64>,
    local: Vec<Part>,
}

/// A part of a local version: words come before numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Word(String),
    Number(u64),
}

impl Version {
    /// `None` where the text is no version.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        let text = text.strip_prefix('v').unwrap_or(&text);
        let (public, local) = match text.split_once('+') {
            Some((public, local)) => (public, parts(local)?),
            None => (text, Vec::new()),
        };
        let (epoch, rest) = match public.split_once('!') {
            Some((epoch, rest)) => (epoch.parse().ok()?, rest),
            None => (0, public),
        };
        let mut left = Left { text: rest };
        let mut release = vec![left.number()?];
        while let Some(number) = left.after(".", Left::number) {
            release.push(number);
        }
        let before = left.tagged(&[
            ("alpha", 'a'),
            ("beta", 'b'),
            ("preview", 'c'),
            ("pre", 'c'),
            ("rc", 'c'),
            ("a", 'a'),
            ("b", 'b'),
            ("c", 'c'),
        ]);
        let after = match left.after("-", Left::number) {
            Some(number) => Some(number),
            None => left.tagged(&[("post", ()), ("rev", ()), ("r", ())]).map(|(_, number)| number),
        };
        let development = left.tagged(&[("dev", ())]).map(|(_, number)| number);
        left.text.is_empty().then_some(Self { epoch, release, before, after, development, local })
    }

    fn is_before_release(&self) -> bool {
        self.before.is_some() || self.development.is_some()
    }

    /// Without its local part.
    fn public(&self) -> Self {
        Self { local: Vec::new(), ..self.clone() }
    }

    fn is_of_same_release(&self, other: &Self) -> bool {
        self.epoch == other.epoch && plain(&self.release) == plain(&other.release)
    }

    /// Whether it begins with these numbers.
    fn begins_with(&self, epoch: u64, numbers: &[u64]) -> bool {
        let own = self.release.iter().copied().chain(std::iter::repeat(0));
        self.epoch == epoch && own.take(numbers.len()).eq(numbers.iter().copied())
    }

    /// Where it stands among those of one release: what is in development comes first, what is
    /// before it next.
    fn stage(&self) -> (u8, Option<(char, u64)>) {
        match self.before {
            Some(before) => (1, Some(before)),
            None if self.after.is_none() && self.development.is_some() => (0, None),
            None => (2, None),
        }
    }
}

/// Numbers without the zeros at their end, which mean nothing.
fn plain(numbers: &[u64]) -> &[u64] {
    let end = numbers.iter().rposition(|number| *number != 0).map_or(0, |at| at + 1);
    &numbers[..end]
}

fn parts(local: &str) -> Option<Vec<Part>> {
    let one = |part: &str| {
        let is_word = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_word.then(|| part.parse().map_or_else(|_| Part::Word(part.to_owned()), Part::Number))
    };
    local.split(['.', '-', '_']).map(one).collect()
}

/// What is left to read of a version.
struct Left<'t> {
    text: &'t str,
}

impl Left<'_> {
    fn number(&mut self) -> Option<u64> {
        let end = self.text.bytes().take_while(u8::is_ascii_digit).count();
        let number = self.text[..end].parse().ok()?;
        self.text = &self.text[end..];
        Some(number)
    }

    /// What `read` finds behind `sign`; without it nothing is taken.
    fn after<T>(&mut self, sign: &str, read: impl Fn(&mut Self) -> Option<T>) -> Option<T> {
        let mut ahead = Self { text: self.text.strip_prefix(sign)? };
        let found = read(&mut ahead)?;
        self.text = ahead.text;
        Some(found)
    }

    /// One of the words with a number, which is 0 where it is left out.
    fn tagged<T: Copy>(&mut self, words: &[(&str, T)]) -> Option<(T, u64)> {
        let signs = ['.', '-', '_'];
        let rest = self.text.strip_prefix(signs).unwrap_or(self.text);
        let (rest, tag) =
            words.iter().find_map(|(word, tag)| Some((rest.strip_prefix(word)?, *tag)))?;
        let is_number = |text: &&str| text.starts_with(|c: char| c.is_ascii_digit());
        let number = rest.strip_prefix(signs).filter(is_number).unwrap_or(rest);
        let mut ahead = Left { text: number };
        let number = ahead.number();
        self.text = if number.is_some() { ahead.text } else { rest };
        Some((tag, number.unwrap_or(0)))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let development = |version: &Self| version.development.unwrap_or(u64::MAX);
        self.epoch
            .cmp(&other.epoch)
            .then_with(|| plain(&self.release).cmp(plain(&other.release)))
            .then_with(|| self.stage().cmp(&other.stage()))
            .then_with(|| self.after.cmp(&other.after))
            .then_with(|| development(self).cmp(&development(other)))
            .then_with(|| self.local.cmp(&other.local))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

/// A project that is wanted, and which versions of it will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Its name, in the form that names are compared in.
    pub name: String,
    /// Whether parts of it are asked for that only its own metadata tells of.
    pub has_extras: bool,
    /// As it is written.
    text: String,
    clauses: Vec<Clause>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Clause {
    Order(&'static str, Version),
    /// `==` or `!=` with `.*`: the epoch and the numbers that a version begins with.
    Begins {
        epoch: u64,
        numbers: Vec<u64>,
        is_wanted: bool,
    },
    /// `===`: the very text.
    Text(String),
}

const OPERATORS: [&str; 8] = ["===", "~=", "==", "!=", "<=", ">=", "<", ">"];

impl Requirement {
    /// `None` where it is more than a name and versions: an address, a path, a condition.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let is_whole = |c: char| c.is_ascii_alphanumeric();
        if !name.starts_with(is_whole) || !name.ends_with(is_whole) {
            return None;
        }
        let rest = rest.trim_start();
        let (has_extras, rest) = match rest.strip_prefix('[') {
            Some(extras) => (true, extras.split_once(']')?.1.trim_start()),
            None => (false, rest),
        };
        let rest = rest.strip_prefix('(').and_then(|it| it.strip_suffix(')')).unwrap_or(rest);
        let clauses = rest.split(',').map(str::trim).filter(|clause| !clause.is_empty());
        Some(Self {
            name: comparable(name),
            has_extras,
            text: text.to_owned(),
            clauses: clauses.map(Clause::read).collect::<Option<_>>()?,
        })
    }

    /// Whether any version will do.
    pub fn takes_all(&self) -> bool {
        self.clauses.is_empty()
    }

    /// The only version that will do, where there is one.
    pub fn exact(&self) -> Option<&str> {
        let rest = self.text.split_once("==")?.1.trim().trim_start_matches('=').trim();
        let is_one = matches!(self.clauses[..], [Clause::Order("==", _) | Clause::Text(_)]);
        is_one.then(|| rest.trim_end_matches(')'))
    }

    /// Whether an installed version will do.
    pub fn takes(&self, installed: &str) -> bool {
        self.clauses.iter().all(|clause| clause.takes(installed))
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Clause {
    fn read(text: &str) -> Option<Self> {
        let operator = OPERATORS.into_iter().find(|operator| text.starts_with(operator))?;
        let version = text[operator.len()..].trim();
        if version.is_empty() || version.contains(char::is_whitespace) {
            return None;
        }
        match (operator, version.strip_suffix(".*")) {
            ("===", _) => Some(Self::Text(version.to_lowercase())),
            ("==" | "!=", Some(begin)) => {
                let begin = Version::read(begin)?;
                let is_plain = !begin.is_before_release() && begin.after.is_none();
                is_plain.then_some(Self::Begins {
                    epoch: begin.epoch,
                    numbers: begin.release,
                    is_wanted: operator == "==",
                })
            }
            ("~=", _) => Version::read(version)
                .filter(|version| version.release.len() > 1)
                .map(|version| Self::Order(operator, version)),
            _ => Some(Self::Order(operator, Version::read(version)?)),
        }
    }

    fn takes(&self, installed: &str) -> bool {
        if let Self::Text(text) = self {
            return installed.to_lowercase() == *text;
        }
        let Some(found) = Version::read(installed) else { return false };
        match self {
            Self::Text(_) => false,
            Self::Begins { epoch, numbers, is_wanted } => {
                found.begins_with(*epoch, numbers) == *is_wanted
            }
            Self::Order(operator, wanted) => match *operator {
                "==" | "!=" => {
                    // A local part counts only where one is asked for.
                    let same = if wanted.local.is_empty() { found.public() } else { found };
                    (same == *wanted) == (*operator == "==")
                }
                "<=" => found.public() <= *wanted,
                ">=" => found.public() >= *wanted,
                "~=" => {
                    let numbers = &wanted.release[..wanted.release.len() - 1];
                    found.public() >= *wanted && found.begins_with(wanted.epoch, numbers)
                }
                "<" => {
                    let is_earlier = found.is_before_release() && !wanted.is_before_release();
                    found < *wanted && !(is_earlier && found.is_of_same_release(wanted))
                }
                _ => {
                    let is_later = found.after.is_some() && wanted.after.is_none();
                    let is_same = found.is_of_same_release(wanted);
                    found > *wanted && !(is_same && (is_later || !found.local.is_empty()))
                }
            },
        }
    }
}

/// A name as names are compared: in small letters, each run of `-`, `_` and `.` one dash.
pub fn comparable(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

/// What an entry of a directory of packages says is installed: a name to compare and a version.
pub fn installed(entry: &str) -> Option<(String, String)> {
    let (stem, is_egg) = match entry.strip_suffix(".dist-info") {
        Some(stem) => (stem, false),
        None => (entry.strip_suffix(".egg-info")?, true),
    };
    // Pip gives what it is about to remove such a name.
    let (name, version) = stem.split_once('-').filter(|_| !stem.starts_with('~'))?;
    let version = match version.rsplit_once("-py") {
        Some((version, _)) if is_egg => version,
        _ => version,
    };
    Some((comparable(name), version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_the_order_of_their_specification() {
        let ordered = [
            "1.dev1",
            "1.0a1.dev2",
            "1a1",
            "1.0.a.2",
            "1-beta",
            "1rc1",
            "1.0",
            "1+abc",
            "1+abc.5",
            "1+5",
            "1.post1.dev1",
            "1-1",
            "1.0.1",
            "1.2",
            "1.10",
            "1!0.1",
        ];
        let read = |text: &str| Version::read(text).unwrap_or_else(|| panic!("{text}"));
        for (at, left) in ordered.iter().enumerate() {
            for (other, right) in ordered.iter().enumerate() {
                assert_eq!(read(left).cmp(&read(right)), at.cmp(&other), "{left} and {right}");
            }
        }
        for (left, right) in
            [("1", "v1.0.0"), ("1.0-RC.1", "1c1"), ("1.post", "1-0"), ("1-r2", "1.post2")]
        {
            assert_eq!(read(left), read(right), "{left} and {right}");
        }
        for wrong in ["", "x", "1..2", "1.0x", "1+", "1+a..b", "1-", "french toast"] {
            assert!(Version::read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_requirement_takes_the_versions_that_its_specification_says() {
        for (wanted, takes, refuses) in [
            ("a", "1", ""),
            ("a==1.0", "1 1.0+x", "1.0.1 1.0.post1"),
            ("a == 1.0+x", "1+x", "1 1+y"),
            ("a!=1.0", "2", "1 1+x"),
            ("a==1.2.*", "1.2 1.2.9 1.2rc1", "1.3 1!1.2 1.20"),
            ("a!=1.2.*", "1.3", "1.2.1"),
            ("a~=1.2.3", "1.2.3 1.2.10", "1.2.2 1.3"),
            ("a (>=1, <2)", "1 1.9 1.0+x", "2 0.9 2rc1"),
            ("a<2rc2", "2rc1", "2"),
            ("a>1", "1.1 2", "1.post1 1+x 1"),
            ("a>1.post1", "1.post2", "1.post1"),
            ("a<=1", "1 1+x", "1.post1"),
            ("a===1.0", "1.0", "1"),
        ] {
            let requirement = Requirement::read(wanted).unwrap();
            for version in takes.split_whitespace() {
                assert!(requirement.takes(version), "{wanted} takes {version}");
            }
            for version in refuses.split_whitespace() {
                assert!(!requirement.takes(version), "{wanted} refuses {version}");
            }
        }
        for other in [
            "./a",
            "a @ file:///a",
            "git+https://a",
            "a; python_version < '3'",
            "a==",
            "-e",
            "a~=1",
            "a==1.*.*",
        ] {
            assert!(Requirement::read(other).is_none(), "{other}");
        }
        let extras = Requirement::read("A_b.C[x, y]>=1").unwrap();
        assert_eq!((extras.name.as_str(), extras.has_extras), ("a-b-c", true));
        assert_eq!(Requirement::read("a==1.0").unwrap().exact(), Some("1.0"));
        assert_eq!(Requirement::read("a==1.*").unwrap().exact(), None);
    }

    #[test]
    fn what_is_installed_is_told_by_the_names_of_directories() {
        let found = |entry| installed(entry).map(|(name, version)| format!("{name} {version}"));
        assert_eq!(found("Foo_Bar-1.0.dist-info").as_deref(), Some("foo-bar 1.0"));
        assert_eq!(found("foo-1.0-py3.11.egg-info").as_deref(), Some("foo 1.0"));
        assert_eq!(found("~oo-1.0.dist-info"), None);
        assert_eq!(found("foo"), None);
    }
}
