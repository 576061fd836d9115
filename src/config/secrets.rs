//! Looks secrets up: in the environment, in systemd's credentials, in files outside the config, then
//! in the places that the agent's own file names.

use super::discover::FileKind;
use super::secret_place::Further;
use super::secret_use::Reference;
use super::secrets_file::{self, Named};
use crate::event::fault::Diagnostic;
use crate::event::secret::{SHORTEST_SECRET, SecretText, Secrets};
use std::path::{Path, PathBuf};

/// Where secrets are looked for, in this order.
pub struct Places<'a> {
    /// The environment: a variable's value by name.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// systemd's credentials: a directory with a file for each.
    pub credentials: Option<PathBuf>,
    /// Files that need not be there: `.env` (lines `NAME=value`) or `.yml` (one mapping).
    pub files: Vec<PathBuf>,
}

impl<'a> Places<'a> {
    /// systemd's credentials, the files of the user whose home is `home`, then those of the host.
    pub fn standard(
        environment: &'a dyn Fn(&str) -> Option<String>,
        home: Option<&Path>,
    ) -> Places<'a> {
        let user = home.map(|home| home.join(".config/driftless"));
        let folders = user.into_iter().chain([PathBuf::from("/etc/driftless")]);
        let files =
            folders.flat_map(|folder| ["secrets.env", "secrets.yml"].map(|it| folder.join(it)));
        let credentials = environment("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Self { environment, credentials, files: files.collect() }
    }
}

/// Finds the value of every reference.
///
/// # Errors
/// Each secret that is nowhere or too short to be masked, and each file that others can read or
/// that is not in its format. No message and no place holds a value.
pub(super) fn resolve(
    references: &[Reference],
    places: &Places<'_>,
    further: &Further,
) -> Result<Secrets, Vec<Diagnostic>> {
    let (faults, unread_files) = (Vec::new(), Vec::new());
    let mut lookup = Lookup { places, further, files: None, faults, unread_files };
    let mut found: Vec<Named> = Vec::new();
    let mut tried: Vec<&str> = Vec::new();
    let mut is_unknown = false;
    for reference in references {
        if tried.contains(&reference.name.as_str()) {
            continue;
        }
        tried.push(&reference.name);
        match lookup.value(reference) {
            Ok(Some(value)) => found.push((reference.name.clone(), value)),
            // It may be in a place that could not be read.
            Ok(None) if !lookup.unread_files.is_empty() || !further.faults().is_empty() => {
                is_unknown = true;
            }
            Ok(None) => lookup.faults.push(lookup.missing(reference)),
            Err(fault) => lookup.faults.push(*fault),
        }
    }
    lookup.faults.append(&mut lookup.unread_files);
    if is_unknown {
        lookup.faults.extend(further.faults());
    }
    if lookup.faults.is_empty() { Ok(found.into_iter().collect()) } else { Err(lookup.faults) }
}

/// Secrets files in the config directory and the folders of its files: all of it is shared and
/// under version control.
pub fn misplaced(config_dir: &Path) -> Vec<Diagnostic> {
    let names = ["env", "yml", "yaml", "toml", "json"].map(|ending| format!("secrets.{ending}"));
    let kinds = FileKind::of_config().map(|kind| config_dir.join(kind.name()));
    let folders: Vec<_> = [config_dir.to_owned()].into_iter().chain(kinds).collect();
    let paths = folders.iter().flat_map(|folder| names.iter().map(|name| folder.join(name)));
    let faults = paths.filter(|path| path.symlink_metadata().is_ok()).map(|path| {
        let message = format!("`{}` is a secrets file inside the config", path.display());
        Diagnostic::new(message, None)
            .hint("move it to ~/.config/driftless or /etc/driftless, and change what was in it if others saw it")
    });
    faults.collect()
}

struct Lookup<'a> {
    places: &'a Places<'a>,
    further: &'a Further,
    /// Read when the environment lacks something; each with its secrets.
    files: Option<Vec<(&'a Path, Vec<Named>)>>,
    faults: Vec<Diagnostic>,
    unread_files: Vec<Diagnostic>,
}

impl<'a> Lookup<'a> {
    /// The secret's value, where there is one.
    fn value(&mut self, reference: &Reference) -> Result<Option<SecretText>, Box<Diagnostic>> {
        let name = &reference.name;
        let (value, origin) = match (self.places.environment)(name) {
            Some(value) => (SecretText::new(value), "the environment".to_owned()),
            None => {
                let found = match self.in_credentials(name)? {
                    Some(found) => Some(found),
                    None => self.in_files(name).or_else(|| self.further.find(name)),
                };
                let Some(found) = found else { return Ok(None) };
                found
            }
        };
        if value.expose().trim().chars().count() < SHORTEST_SECRET {
            let message = format!(
                "the secret `{name}` from {origin} has fewer than {SHORTEST_SECRET} characters; \
                 so short a text cannot be hidden in output"
            );
            return Err(Box::new(Diagnostic::new(message, reference.span.clone())));
        }
        Ok(Some(value))
    }

    fn in_credentials(&self, name: &str) -> Result<Option<(SecretText, String)>, Box<Diagnostic>> {
        let Some(directory) = &self.places.credentials else { return Ok(None) };
        // Any other name could lead out of the directory.
        if !secrets_file::is_name(name) {
            return Ok(None);
        }
        let path = directory.join(name);
        let found = secrets_file::credential(&path)?;
        Ok(found.map(|value| (value, format!("`{}`", path.display()))))
    }

    fn in_files(&mut self, name: &str) -> Option<(SecretText, String)> {
        if self.files.is_none() {
            let mut read = Vec::new();
            for path in &self.places.files {
                match secrets_file::read(path) {
                    Ok(secrets) => read.push((path.as_path(), secrets)),
                    Err(fault) => self.unread_files.push(*fault),
                }
            }
            self.files = Some(read);
        }
        let files = self.files.iter().flatten();
        files.flat_map(|(path, secrets)| secrets.iter().map(move |secret| (path, secret))).find_map(
            |(path, (key, value))| {
                (key == name).then(|| (value.clone(), format!("`{}`", path.display())))
            },
        )
    }

    fn missing(&self, reference: &Reference) -> Diagnostic {
        let name = &reference.name;
        let files = self.places.files.iter().map(|path| format!("`{}`", path.display()));
        let credentials =
            self.places.credentials.iter().map(|_| "systemd's credentials".to_owned());
        let places = ["the environment".to_owned()].into_iter().chain(credentials).chain(files);
        let places = places.chain(self.further.names()).collect::<Vec<_>>();
        let message = format!("the secret `{name}` is not in {}", places.join(", "));
        let first = self.places.files.first().map(|path| path.display().to_string());
        let hint = first.map_or_else(
            || format!("set the variable {name}"),
            |file| format!("set the variable {name}, or add `{name}=...` to {file}, mode 0600"),
        );
        Diagnostic::new(message, reference.span.clone()).hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    struct Host {
        dir: tempfile::TempDir,
        environment: Vec<(&'static str, &'static str)>,
    }

    impl Host {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().unwrap(), environment: Vec::new() }
        }

        fn file(self, name: &str, text: &str, mode: u32) -> Self {
            let path = self.dir.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            self
        }

        fn resolve(&self, names: &[&str]) -> Result<Secrets, String> {
            let references: Vec<_> = names
                .iter()
                .map(|name| Reference { name: (*name).to_owned(), span: None })
                .collect();
            let get = |name: &str| {
                let found = self.environment.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let files = ["user.env", "user.yml", "host.env", "host.yml"];
            let files = files.map(|name| self.dir.path().join(name)).to_vec();
            let places = Places { environment: &get, credentials: None, files };
            resolve(&references, &places, &Further::default()).map_err(|faults| {
                let lines: Vec<_> = faults
                    .iter()
                    .map(|fault| format!("{fault} | {}", fault.hint.as_deref().unwrap_or_default()))
                    .collect();
                lines.join("\n").replace(&format!("{}/", self.dir.path().display()), "")
            })
        }
    }

    fn value(secrets: &Secrets, name: &str) -> String {
        secrets.get(name).unwrap().expose().to_owned()
    }

    #[test]
    fn the_first_place_that_has_a_secret_wins() {
        let mut host = Host::new()
            .file("user.env", "# mine\nexport B='from user env'\nA=unused value\n", 0o600)
            .file("user.yml", "B: unused value\nC: 12345678\n", 0o600)
            .file("host.yml", "C: unused value\nD: |\n  line one\n  line two\n", 0o400);
        host.environment.push(("A", "from environment"));
        let secrets = host.resolve(&["A", "B", "C", "D", "A"]).unwrap();
        assert_eq!(value(&secrets, "A"), "from environment");
        assert_eq!(value(&secrets, "B"), "from user env");
        assert_eq!(value(&secrets, "C"), "12345678");
        assert_eq!(value(&secrets, "D"), "line one\nline two\n");
    }

    #[test]
    fn a_missing_secret_names_every_place_looked_in() {
        insta::assert_snapshot!(Host::new().resolve(&["ES_PASSWORD"]).unwrap_err(), @"the secret `ES_PASSWORD` is not in the environment, `user.env`, `user.yml`, `host.env`, `host.yml` | set the variable ES_PASSWORD, or add `ES_PASSWORD=...` to user.env, mode 0600");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        for mode in [0o640, 0o604, 0o620] {
            let host = Host::new().file("user.env", "A=long enough\n", mode);
            assert!(
                host.resolve(&["A"]).unwrap_err().starts_with("others have access to `user.env`")
            );
        }
    }

    #[test]
    fn files_that_nobody_needs_are_not_even_opened() {
        let mut host = Host::new().file("user.env", "A=long enough\n", 0o644);
        host.environment.push(("A", "from environment"));
        assert!(host.resolve(&["A"]).is_ok());
    }

    #[test]
    fn a_value_too_short_to_mask_is_refused() {
        let host = Host::new().file("user.env", "A=short\nB=' x       '\n", 0o600);
        insta::assert_snapshot!(host.resolve(&["A", "B"]).unwrap_err(), @r"
    the secret `A` from `user.env` has fewer than 6 characters; so short a text cannot be hidden in output | 
    the secret `B` from `user.env` has fewer than 6 characters; so short a text cannot be hidden in output |
    ");
    }

    #[test]
    fn a_broken_secrets_file_is_named_without_showing_any_of_it() {
        for (name, text) in [
            ("user.env", "A=fine-value\nhunter2-hunter2\n"),
            ("user.yml", "A: hunter2-hunter2\nA: hunter2-hunter2\n"),
            ("user.yml", "A: [hunter2-hunter2]\n"),
            ("user.yml", "A: \"hunter2-hunter2\n"),
            ("user.yml", "- hunter2-hunter2\n"),
        ] {
            let complaint = Host::new().file(name, text, 0o600).resolve(&["A"]).unwrap_err();
            assert!(complaint.contains(name) && !complaint.contains("hunter2"), "{complaint}");
        }
    }

    #[test]
    fn secrets_inside_the_config_are_an_error() {
        let host = Host::new();
        assert!(misplaced(host.dir.path()).is_empty());
        let host = host.file("secrets.yml", "A: x\n", 0o600);
        assert!(
            misplaced(host.dir.path())[0].message.ends_with("is a secrets file inside the config")
        );
    }
}
