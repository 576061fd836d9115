//! `apt_key`: keys that apt trusts for every repository.

use super::{Failure, Module, Outcome, Task, TaskContext, web};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::mode::Mode;
use crate::host::machine::path::Follow;
use crate::host::machine::write::{Attributes, WriteOptions};
use crate::host::packages::public_keys::{self, Certificate};
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use bytes::Bytes;
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "apt_key",
    summary: "Makes sure that apt trusts a key for every repository, or no longer does.",
    acts_unless: None,
    spec: Spec {
        exclusive: &[&["data", "file", "url"]],
        not_yet: &[&["keyserver"]],
        ..Spec::new(&[
            Param::new("id", Kind::Text).says(
                "The key, by 8 or 16 hexadecimal digits or all of its fingerprint. `state: absent` \
                 needs it; else that of the key that is given counts.",
            ),
            Param::new("state", Kind::OneOf(&["absent", "present"]))
                .says("Whether the key is trusted; `present` where not given."),
            Param::new("file", Kind::Path).says("A file of this host with the key."),
            Param::new("data", Kind::Text).says("The key itself, in its armour."),
            Param::new("url", Kind::Text)
                .says("Where the key is fetched from; not, where `id` is trusted already."),
            Param::new("keyring", Kind::Path).says(
                "The file of keys, such as `/etc/apt/trusted.gpg.d/NAME.gpg`; where not given, new \
                 ones go to `/etc/apt/trusted.gpg`, and all files count that apt trusts.",
            ),
            Param::new("validate_certs", Kind::Bool)
                .says("Believe only servers that can prove who they are; true where not given."),
        ])
    },
    check,
    build: |params| Box::new(AptKey { params }),
};

/// The file that apt trusts, and the directory of those that it trusts too.
const KEYRING: &str = "/etc/apt/trusted.gpg";
const KEYRINGS: &str = "/etc/apt/trusted.gpg.d";
/// What there is now in place of this task.
const INSTEAD: &str = "apt trusts such a key for every repository; `deb822_repository` with \
                       `signed_by` has one trusted for its own alone";

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    let mut complain =
        |name: &str, why: String| complaints.push(Diagnostic::new(why, params.place(name)));
    if let Some(id) = params.text("id")
        && let Err(failure) = number(id)
    {
        complain("id", failure.message);
    }
    let is_absent = params.text("state") == Some("absent");
    if is_absent && !params.has("id") {
        complain("state", "`apt_key` with `state: absent` needs `id`".to_owned());
    }
    let gives = ["data", "file", "url"].iter().any(|name| params.has(name));
    if !is_absent && !gives {
        complain("state", "`apt_key` needs one of `data`, `file`, `url`".to_owned());
    }
    if let Some(path) = params.path("keyring")
        && path.extension().is_some_and(|end| end == "asc")
    {
        let why = format!(
            "`keyring` is {}, where apt expects text, and a file with a name in `.gpg` is expected",
            path.display()
        );
        complain("keyring", why);
    }
    complaints
}

/// A key's number as digits in capitals.
fn number(id: &str) -> Result<String, Failure> {
    let digits = id.trim().to_uppercase();
    let digits = digits.strip_prefix("0X").unwrap_or(&digits).to_owned();
    let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_number || !(digits.len() == 8 || digits.len() >= 16) {
        let why = "and 8 hexadecimal digits, or 16 or more, are expected";
        return Err(Failure::new(format!("Invalid key_id: `{id}` is the `id`, {why}")));
    }
    Ok(digits)
}

/// Whether it is that of a key, the primary one or one below it.
fn is_of(number: &str, certificate: &Certificate) -> bool {
    match number.len() {
        8..=16 => certificate.ids.iter().any(|id| id.ends_with(number)),
        40.. => certificate.fingerprint == number,
        _ => certificate.fingerprint.ends_with(number),
    }
}

struct AptKey {
    params: Params,
}

impl Task for AptKey {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let mut given = None;
        let asked = match params.text("id") {
            Some(id) => number(id)?,
            None => {
                let all = self.given(machine)?;
                let first = all.first().map(|one| one.fingerprint.clone());
                given = Some(all);
                first.ok_or_else(|| Failure::new("there is no key in what is given"))?
            }
        };
        let files = self.files(machine)?;
        let before = ids(&files);
        let is_there = files.iter().flat_map(|(_, keys)| keys).any(|it| is_of(&asked, it));
        let after = match params.text("state") {
            Some("absent") => remove(machine, files, &asked)?,
            _ if is_there => files,
            _ => {
                let given = match given {
                    Some(given) => given,
                    None => self.given(machine)?,
                };
                if !given.iter().any(|it| is_of(&asked, it)) {
                    let found = given.first().map_or("none", |one| &one.fingerprint);
                    let why = format!("the key that is given is {found}, and not {asked}");
                    return Err(Failure::new(why));
                }
                self.add(machine, files, &given)?
            }
        };
        let short = asked[asked.len() - 8..].to_owned();
        let long = asked[asked.len().saturating_sub(16)..].to_owned();
        let outcome = Outcome { message: Some(INSTEAD.to_owned()), ..Outcome::default() };
        Ok(outcome
            .with("id", params.text("id").unwrap_or(&asked))
            .with("key_id", asked.as_str())
            .with("short_id", short)
            .with("fp", long)
            .with("before", before)
            .with("after", ids(&after)))
    }
}

/// Files with what is in them.
type Files = Vec<(PathBuf, Vec<Certificate>)>;

fn ids(files: &Files) -> Vec<String> {
    let keys = files.iter().flat_map(|(_, keys)| keys);
    keys.flat_map(|key| key.ids.iter().cloned()).collect()
}

impl AptKey {
    /// The keys that the task names.
    fn given(&self, machine: &Machine) -> Result<Vec<Certificate>, Failure> {
        let params = &self.params;
        let (from, bytes) = match (params.path("file"), params.text("data"), params.text("url")) {
            (Some(path), ..) => (path.display().to_string(), machine.read(&path)?),
            (_, Some(data), _) => ("`data`".to_owned(), Bytes::from(data.to_owned())),
            (.., Some(url)) => {
                let answer = machine.fetch(&web::request(params, 10.0)?)?;
                if !(200..300).contains(&answer.status) {
                    let (status, reason) = (answer.status, &answer.reason);
                    let why = format!("Failed to download key at {url}: {status} {reason}");
                    return Err(Failure::new(why));
                }
                (url.to_owned(), web::unpacked(params, answer)?.body)
            }
            _ => return Err(Failure::new("`apt_key` needs one of `data`, `file`, `url`")),
        };
        let wrong = |why| Failure::new(format!("there is no key in {from}: {why}"));
        public_keys::read(&bytes).map_err(wrong)
    }

    /// The files that count.
    fn files(&self, machine: &Machine) -> Result<Files, Failure> {
        let (paths, is_sure) = match self.params.path("keyring") {
            Some(path) => (vec![path], true),
            None => (trusted(machine)?, false),
        };
        let mut files = Files::new();
        for path in paths {
            if machine.stat(&path, Follow::Yes)?.is_none() {
                continue;
            }
            match public_keys::read(&machine.read(&path)?) {
                Ok(keys) => files.push((path, keys)),
                // Apt itself leaves out what it does not understand.
                Err(_) if !is_sure && path != Path::new(KEYRING) => {}
                Err(why) => return Err(Failure::new(format!("{}: {why}", path.display()))),
            }
        }
        Ok(files)
    }

    fn add(
        &self,
        machine: &mut Machine,
        mut files: Files,
        given: &[Certificate],
    ) -> Result<Files, Failure> {
        let path = self.params.path("keyring").unwrap_or_else(|| KEYRING.into());
        let at = files.iter().position(|(known, _)| *known == path).unwrap_or_else(|| {
            files.push((path, Vec::new()));
            files.len() - 1
        });
        let (path, keys) = &mut files[at];
        for one in given {
            // A key may have got new names and signatures.
            keys.retain(|known| known.fingerprint != one.fingerprint);
            keys.push(one.clone());
        }
        write(machine, path, keys)?;
        Ok(files)
    }
}

/// All files that apt takes keys from.
fn trusted(machine: &Machine) -> Result<Vec<PathBuf>, Failure> {
    let mut paths = vec![PathBuf::from(KEYRING)];
    let directory = Path::new(KEYRINGS);
    if machine.stat(directory, Follow::Yes)?.is_some() {
        let names = machine.list(directory)?.into_iter().map(|name| directory.join(name));
        let is_one = |path: &PathBuf| path.extension().is_some_and(|it| it == "gpg" || it == "asc");
        paths.extend(names.filter(is_one));
    }
    Ok(paths)
}

/// Takes the key out of the files; one with no other key goes.
fn remove(machine: &mut Machine, files: Files, asked: &str) -> Result<Files, Failure> {
    let mut after = Files::new();
    for (path, keys) in files {
        let mut left = keys.clone();
        left.retain(|key| !is_of(asked, key));
        if left.len() < keys.len() && left.is_empty() {
            machine.remove(&path)?;
            continue;
        }
        if left.len() < keys.len() {
            if path.extension().is_some_and(|end| end == "asc") {
                let why = format!("{} holds other keys too, as text", path.display());
                let hint = Some("write the file without this key".to_owned());
                return Err(Failure { hint, ..Failure::new(why) });
            }
            write(machine, &path, &left)?;
        }
        after.push((path, left));
    }
    Ok(after)
}

fn write(machine: &mut Machine, path: &Path, keys: &[Certificate]) -> Result<(), Failure> {
    let bytes: Vec<u8> = keys.iter().flat_map(|key| key.bytes.iter().copied()).collect();
    // Apt reads keys as a user of its own.
    let attributes = Attributes { mode: Some(Mode::Exact(0o644)), ..Attributes::default() };
    machine.write_file(path, &Bytes::from(bytes), &attributes, &WriteOptions::default())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_the_end_of_its_fingerprint() {
        let key = Certificate {
            bytes: Vec::new(),
            fingerprint: "F0BC1A38885EA426F70768560ABD35168DC48615".into(),
            ids: vec!["0ABD35168DC48615".into(), "09E85BE6796142CB".into()],
        };
        for id in ["8DC48615", "0x0abd35168dc48615", "796142CB", "09E85BE6796142CB"] {
            assert!(is_of(&number(id).unwrap(), &key), "{id}");
        }
        assert!(is_of(&number("68560ABD35168DC48615").unwrap(), &key));
        assert!(!is_of(&number("A0BC1A38885EA426F70768560ABD35168DC48615").unwrap(), &key));
        for wrong in ["", "12345", "nonsense", "123456789"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }
}
