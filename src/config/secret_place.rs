//! Places of secrets that the agent's own file names: programs that tell them, encrypted files.

use super::secrets_file::{self, Named};
use crate::event::fault::Diagnostic;
use crate::event::secret::SecretText;
use crate::event::tree::{Node, Span};
use crate::host::brief::{End, Programs};
use crate::host::program::Program;
use crate::topology::settings::Period;
use schemars::JsonSchema;
use serde::Deserialize;
use std::cell::OnceCell;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// More than this is no list of secrets.
const MOST_BYTES: u64 = 1 << 20;

/// How long a program may take, unless the config says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A further place of secrets: one of `exec`, `age` and `sops`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretPlace {
    /// A program with its arguments, run without a shell. It prints the secrets as an object in JSON
    /// or in lines `NAME=value`. What it says on standard error nobody reads.
    pub exec: Option<Vec<String>>,
    /// A file that `age` has encrypted, which holds lines `NAME=value` where its name ends with
    /// `.env.age`, else a mapping in YAML. Needs `identity` and the program `age`.
    pub age: Option<PathBuf>,
    /// The file with the key of `age`, without a passphrase. Others may have no access to it.
    pub identity: Option<PathBuf>,
    /// A file that `sops` has encrypted. Needs the program `sops`, which finds its keys as its own
    /// environment says (`SOPS_AGE_KEY_FILE`).
    pub sops: Option<PathBuf>,
    /// How long the program may take. Default: `10s`.
    pub timeout: Option<Period>,
}

/// The further places, each of which is asked once, and only where a secret is nowhere else.
#[derive(Default)]
pub(super) struct Further {
    places: Vec<(SecretPlace, Option<Span>)>,
    told: Vec<OnceCell<Result<Vec<Named>, Diagnostic>>>,
    programs: Programs,
}

impl Further {
    /// Those of the agent's own file, as far as they can be read: what is wrong with them is told
    /// with the rest of it. What they run is one of `programs`.
    pub(super) fn of(agent: &Node, programs: Programs) -> Self {
        let items = agent.get("secrets").and_then(Node::as_list).unwrap_or_default();
        let place = |node: &Node| {
            let place: SecretPlace = crate::event::de::from_node(node, "this place").ok()?;
            place.check().is_ok().then(|| (place, node.span.clone()))
        };
        let places: Vec<_> = items.iter().filter_map(place).collect();
        let told = places.iter().map(|_| OnceCell::new()).collect();
        Self { places, told, programs }
    }

    /// The secret of this name, with the place that has it.
    pub(super) fn find(&self, name: &str) -> Option<(SecretText, String)> {
        self.told().find_map(|(place, told)| {
            let (_, value) = told.as_ref().ok()?.iter().find(|(known, _)| known == name)?;
            Some((value.clone(), place.to_string()))
        })
    }

    /// What kept those that were asked from telling anything.
    pub(super) fn faults(&self) -> Vec<Diagnostic> {
        self.told.iter().filter_map(|told| told.get()?.as_ref().err().cloned()).collect()
    }

    /// What they are, for a person.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.places.iter().map(|(place, _)| place.to_string())
    }

    fn told(&self) -> impl Iterator<Item = (&SecretPlace, &Result<Vec<Named>, Diagnostic>)> {
        self.places.iter().zip(&self.told).map(|((place, span), told)| {
            let ask = || {
                place.ask(&self.programs).map_err(|why| Diagnostic { span: span.clone(), ..why })
            };
            (place, told.get_or_init(ask))
        })
    }
}

impl std::fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.exec, &self.age, &self.sops) {
            (Some(argv), ..) => {
                write!(f, "what `{}` prints", argv.first().map_or("", String::as_str))
            }
            (_, Some(file), _) | (.., Some(file)) => write!(f, "`{}`", file.display()),
            (None, None, None) => Ok(()),
        }
    }
}

impl SecretPlace {
    /// Refuses what contradicts itself.
    ///
    /// # Errors
    /// The key to blame, and why.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let Self { exec, age, identity, sops, timeout } = self;
        let given = [exec.is_some(), age.is_some(), sops.is_some()];
        if given.iter().filter(|is| **is).count() != 1 {
            return Err(("", "a place of secrets is one of `exec`, `age` and `sops`".into()));
        }
        if let Some(argv) = exec
            && !argv.first().is_some_and(|program| Path::new(program).is_absolute())
        {
            return Err(("exec", "`exec` begins with the whole path of a program".into()));
        }
        if age.is_some() != identity.is_some() {
            let key = if age.is_some() { "age" } else { "identity" };
            return Err((key, "`age` and `identity` belong together".into()));
        }
        for (key, file) in [("age", age), ("identity", identity), ("sops", sops)] {
            if file.as_ref().is_some_and(|file| !file.is_absolute()) {
                return Err((key, format!("`{key}` takes the whole path of a file")));
            }
        }
        if timeout.is_some_and(|timeout| timeout.0.is_zero()) {
            return Err(("timeout", "no program is done in no time".into()));
        }
        Ok(())
    }

    /// The secrets that are there. No complaint holds any part of what was told.
    fn ask(&self, programs: &Programs) -> Result<Vec<Named>, Diagnostic> {
        let (argv, is_env) = match (&self.exec, &self.age, &self.sops, &self.identity) {
            (Some(argv), ..) => (argv.clone(), false),
            (None, Some(file), _, Some(identity)) => {
                secrets_file::refuse_others(identity)?;
                secrets_file::refuse_writers(file)?;
                let argv = ["age".into(), "--decrypt".into(), "--identity".into()];
                let files = [identity, file].map(|it| it.to_string_lossy().into_owned());
                (
                    argv.into_iter().chain(files).collect(),
                    file.to_string_lossy().ends_with(".env.age"),
                )
            }
            (None, _, Some(file), _) => {
                secrets_file::refuse_writers(file)?;
                let argv = ["sops", "--decrypt", "--output-type", "json"].map(str::to_owned);
                let file = file.to_string_lossy().into_owned();
                (argv.into_iter().chain([file]).collect(), false)
            }
            (None, ..) => (Vec::new(), false),
        };
        let program = argv.first().cloned().unwrap_or_default();
        let limit = self.timeout.map_or(TIMEOUT, |period| period.0);
        let text = output(argv, limit, programs)
            .map_err(|why| Diagnostic::new(format!("secrets: `{program}` {why}"), None))?;
        let named = PathBuf::from(self.to_string().replace('`', ""));
        let read = match &self.age {
            _ if text.trim_start().starts_with('{') => secrets_file::from_json,
            Some(_) if !is_env => secrets_file::from_yaml,
            _ => secrets_file::from_env,
        };
        read(&named, &text).map_err(|fault| *fault)
    }
}

/// What a program prints; else why it tells nothing.
fn output(
    argv: Vec<String>,
    limit: Duration,
    programs: &Programs,
) -> Result<Zeroizing<String>, String> {
    let ended = programs.run(&Program::new(argv), MOST_BYTES, limit);
    match ended {
        Ok(End::Itself { status, text }) => {
            let text = Zeroizing::new(text);
            if !status.success() {
                return Err(format!("failed ({status}); run it by hand to see why"));
            }
            if text.len() as u64 >= MOST_BYTES {
                return Err("printed more than 1 MiB".into());
            }
            Ok(text)
        }
        Ok(End::TimedOut) => Err(format!("has not ended within {}", Period(limit))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err("is not installed".into()),
        Err(error) => Err(format!("cannot be run: {error}")),
    }
}
