//! A line over SSH, by the host's own `ssh` program.

use super::settings::Ssh;
use crate::host::dialogue::Dialogue;
use std::path::Path;
use std::time::Instant;

/// The command that opens the line. It never asks, believes no server that it does not know, and
/// reads no settings of the host's users, which may have it run other programs.
pub(super) fn ssh(
    settings: &Ssh,
    user: Option<&str>,
    host: &str,
    port: Option<u16>,
    path: &str,
) -> Vec<String> {
    let mut argv: Vec<String> =
        ["ssh", "-F", "/dev/null", "-T", "-o", "BatchMode=yes"].map(str::to_owned).to_vec();
    let mut option = |text: String| argv.extend(["-o".to_owned(), text]);
    option("StrictHostKeyChecking=yes".into());
    option("UpdateHostKeys=no".into());
    option("ForwardAgent=no".into());
    option("ClearAllForwardings=yes".into());
    if let Some(file) = &settings.known_hosts {
        option(format!("UserKnownHostsFile={}", quoted(file)));
        option("GlobalKnownHostsFile=/dev/null".into());
    }
    if let Some(key) = &settings.key {
        option("IdentitiesOnly=yes".into());
        option("IdentityAgent=none".into());
        option(format!("IdentityFile={}", quoted(key)));
    }
    if let Some(user) = user {
        argv.extend(["-l".to_owned(), user.to_owned()]);
    }
    if let Some(port) = port {
        argv.extend(["-p".to_owned(), port.to_string()]);
    }
    // A shell at the other end takes the command apart again.
    let path = path.replace('\'', "'\\''");
    argv.extend(["--".to_owned(), host.to_owned(), format!("git-upload-pack '{path}'")]);
    argv
}

/// A file's name as ssh reads it in an option: whole, and with no `%` to be replaced.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

/// What to do about what `ssh` says, where that is in the settings.
pub(super) fn advice(said: &str) -> Option<&'static str> {
    const ADVICE: [(&str, &str); 3] = [
        (
            "HOST IDENTIFICATION HAS CHANGED",
            "the server shows another key than the known one: ask whoever keeps it before you put \
             the new one into the file of known hosts",
        ),
        (
            "Host key verification failed",
            "`ssh: {known_hosts: FILE}` names a file with the server's key, as somebody you trust \
             gives it to you",
        ),
        ("Permission denied (", "`ssh: {key: FILE}` names the key to show"),
    ];
    ADVICE.iter().find(|(words, _)| said.contains(words)).map(|(_, advice)| *advice)
}

pub(super) fn open(argv: &[String], deadline: Instant) -> Result<Dialogue, String> {
    Dialogue::start(argv, deadline).map_err(|error| format!("`ssh` cannot be run: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_holds_never_reaches_the_shell_at_the_other_end() {
        let argv = ssh(&Ssh::default(), Some("git"), "example.com", Some(22), "/a'; rm -rf ~ #");
        assert_eq!(argv.last().unwrap(), r"git-upload-pack '/a'\''; rm -rf ~ #'");
        assert_eq!(argv[argv.len() - 3], "--");
    }

    #[test]
    fn a_key_that_is_named_is_the_only_one_shown() {
        let settings = Ssh { key: Some("/a b%/key".into()), known_hosts: Some("/known".into()) };
        let argv = ssh(&settings, None, "example.com", None, "/x").join(" ");
        for option in [
            "IdentitiesOnly=yes",
            r#"IdentityFile="/a b%%/key""#,
            r#"UserKnownHostsFile="/known""#,
            "GlobalKnownHostsFile=/dev/null",
            "StrictHostKeyChecking=yes",
            "BatchMode=yes",
        ] {
            assert!(argv.contains(option), "{option}: {argv}");
        }
    }
}
