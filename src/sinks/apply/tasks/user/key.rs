//! An SSH key for a user, made by `ssh-keygen`.

use super::super::{Failure, Outcome, TaskContext};
use crate::host::accounts::entries::User;
use crate::host::machine::Machine;
use crate::host::machine::command::{Command, Ran};
use crate::host::machine::meta::Kind;
use crate::host::machine::mode::Mode;
use crate::host::machine::path::Follow;
use crate::host::machine::write::Attributes;
use crate::sinks::apply::params::Params;
use std::path::{Path, PathBuf};

/// Makes the key where there is none, and tells of it.
pub(super) fn generate(
    params: &Params,
    machine: &mut Machine,
    cx: &TaskContext<'_>,
    user: &User,
    outcome: Outcome,
) -> Result<Outcome, Failure> {
    let kind = params.text("ssh_key_type").unwrap_or("rsa");
    let usual = || PathBuf::from(format!(".ssh/id_{kind}"));
    let file = Path::new(&user.home).join(params.path("ssh_key_file").unwrap_or_else(usual));
    let public = PathBuf::from(format!("{}.pub", file.display()));
    let force = params.flag("force", false);
    let mut is_there = false;
    for path in [&file, &public] {
        if machine.stat(path, Follow::No)?.is_some() {
            is_there = true;
            if force {
                machine.remove(path)?;
            }
        }
    }
    if !is_there || force {
        make(params, machine, user, kind, &file)?;
    }
    let outcome = outcome.with("ssh_key_file", file.display().to_string());
    if cx.is_read { told(machine, &file, &public, outcome) } else { Ok(outcome) }
}

fn make(
    params: &Params,
    machine: &mut Machine,
    user: &User,
    kind: &str,
    file: &Path,
) -> Result<(), Failure> {
    let own = |mode| Attributes {
        mode: Some(Mode::Exact(mode)),
        uid: Some(user.uid),
        gid: Some(user.gid),
    };
    let directory = file.parent().unwrap_or(Path::new("/"));
    if machine.stat(directory, Follow::Yes)?.is_none() {
        machine.mkdir(directory, &own(0o700))?;
    }
    let is_own = machine.stat(directory, Follow::Yes)?.is_some_and(|found| found.uid == user.uid);
    // In a directory of the user's nothing is done as root: it could lead anywhere.
    machine.run_commands_as(is_own.then_some(user.name.as_str()))?;
    let ran = run(params, machine, kind, file);
    machine.run_commands_as(None)?;
    match ran? {
        Ran::Unknown => Ok(()),
        Ran::Done(output) if !output.is_success() => {
            let said = String::from_utf8_lossy(&output.stderr);
            let (how, said) = (output.how_it_ended(), said.trim());
            Err(Failure::new(format!("`ssh-keygen` has made no key ({how}): {said}")))
        }
        Ran::Done(_) if is_own => Ok(()),
        Ran::Done(_) => {
            machine.set_attributes(file, Follow::No, &own(0o600))?;
            let public = format!("{}.pub", file.display());
            Ok(machine.set_attributes(Path::new(&public), Follow::No, &own(0o644))?)
        }
    }
}

fn run(params: &Params, machine: &mut Machine, kind: &str, file: &Path) -> Result<Ran, Failure> {
    let usual = || format!("ansible-generated on {}", machine.host_name());
    let comment = params.text("ssh_key_comment").map_or_else(usual, str::to_owned);
    let file = file.display().to_string();
    // Without a terminal the passphrase is read from standard input; as an argument all could see it.
    let program = ["setsid", "--wait", "ssh-keygen", "-q", "-t", kind, "-C", &comment, "-f", &file];
    let mut argv: Vec<String> = program.map(str::to_owned).into();
    if let Some(bits) = params.int("ssh_key_bits").filter(|bits| *bits > 0) {
        argv.extend(["-b".to_owned(), bits.to_string()]);
    }
    let stdin = match params.text("ssh_key_passphrase") {
        Some(passphrase) => Some(format!("{passphrase}\n{passphrase}\n").into_bytes()),
        None => {
            argv.extend(["-N".to_owned(), String::new()]);
            None
        }
    };
    let environment = vec![
        ("SSH_ASKPASS_REQUIRE".to_owned(), "never".to_owned()),
        ("DISPLAY".to_owned(), String::new()),
        ("WAYLAND_DISPLAY".to_owned(), String::new()),
    ];
    Ok(machine.run(&Command { argv, environment, stdin, ..Command::default() })?)
}

/// What Ansible returns of the key.
fn told(
    machine: &Machine,
    file: &Path,
    public: &Path,
    mut outcome: Outcome,
) -> Result<Outcome, Failure> {
    let is_file = |path: &Path| {
        let found = machine.stat(path, Follow::No)?;
        Ok::<_, Failure>(found.is_some_and(|found| found.kind == Kind::File))
    };
    if is_file(public)? {
        let key = machine.read(public)?;
        let key = String::from_utf8_lossy(&key).trim().to_owned();
        outcome = outcome.with("ssh_public_key", key);
    }
    if is_file(file)? {
        let argv = ["ssh-keygen", "-l", "-f", &file.display().to_string()].map(str::to_owned);
        let output = machine.query(&Command { argv: argv.into(), ..Command::default() })?;
        let said = if output.is_success() { &output.stdout } else { &output.stderr };
        let fingerprint = String::from_utf8_lossy(said).trim().to_owned();
        outcome = outcome.with("ssh_fingerprint", fingerprint);
    }
    Ok(outcome)
}
