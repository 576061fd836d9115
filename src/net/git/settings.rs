//! What is said of the repository that a host follows.

use super::address::Address;
use crate::net::auth::Auth;
use crate::net::tls::TlsSettings;
use crate::topology::settings::Period;
use schemars::JsonSchema;
use serde::Deserialize;
use std::num::NonZeroU16;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// The repository that the host is kept as. All files of the config but `agent.yml` then come
/// from there.
///
/// ```yaml
/// git: {url: https://git.example.com/ops/hosts.git, branch: main, interval: 1m, verify: {allowed_signers: /etc/driftless/allowed_signers}}
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Git")]
pub struct Settings {
    /// Where it is: `https://…`, `ssh://…` or `user@host:path`, `file://…` or an absolute path;
    /// also `http://…` and `git://…`, which prove nothing of who answers. Without a password.
    pub url: Address,
    /// The branch to follow. Default, where neither `tag` nor `commit` is given: the one that the
    /// repository itself has as its main branch.
    pub branch: Option<String>,
    /// A tag to follow. Like a branch it may move on, not back.
    pub tag: Option<String>,
    /// One commit to stay at: its full name of 40 digits.
    pub commit: Option<String>,
    /// The directory in the repository that holds the config. Default: its top.
    pub path: Option<PathBuf>,
    /// How often to look for a new revision, a tenth more or less, so that a thousand hosts do not
    /// all ask at once.
    #[serde(default = "interval")]
    pub interval: Period,
    /// How long one look may take, all in all.
    #[serde(default = "timeout")]
    pub timeout: Period,
    /// Fetch only this many commits of the history. More is fetched where that is needed to see
    /// that nothing was rewound. Not for repositories on this host.
    pub depth: Option<NonZeroU16>,
    /// Whose signature a revision must have. It is checked before anything of the revision is
    /// written. Default: none is needed.
    pub verify: Option<Verify>,
    /// What becomes of a revision whose history does not contain the active one, as after a forced
    /// push.
    #[serde(default)]
    pub rewind: Rewind,
    /// Who asks, over HTTP. Takes secrets: `{user: agent, password: "{{ secrets.GIT_TOKEN }}"}`.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// Who asks, over SSH.
    #[serde(default)]
    pub ssh: Ssh,
    /// Whom to trust over HTTPS.
    #[serde(default)]
    pub tls: TlsSettings,
    /// The HTTP proxy to go through: `http://proxy.example.com:3128`. Default: the one that the
    /// environment names (`https_proxy`, `no_proxy`).
    pub proxy: Option<String>,
}

/// Whose signature counts. With both, a signature by either.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// A file of SSH keys, as `gpg.ssh.allowedSignersFile` of git takes it (ALLOWED SIGNERS in
    /// ssh-keygen(1)).
    pub allowed_signers: Option<PathBuf>,
    /// A file of OpenPGP keys, as `gpg --export` writes it. Needs the program `gpgv`.
    pub openpgp: Option<PathBuf>,
}

/// How to log in by the `ssh` program. None of the host's own settings of ssh count, and it never
/// asks anybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ssh {
    /// The file with the private key. Default: those that ssh looks for.
    pub key: Option<PathBuf>,
    /// The file with the keys of servers; a server that is not in it is not believed. Default:
    /// those that ssh looks for.
    pub known_hosts: Option<PathBuf>,
}

/// What becomes of a rewound history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Rewind {
    /// The revision is refused, and the active one stays.
    #[default]
    Refuse,
    /// It is taken like any other.
    Allow,
}

fn interval() -> Period {
    Period(Duration::from_secs(60))
}

fn timeout() -> Period {
    Period(Duration::from_secs(300))
}

/// What is followed in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reference<'a> {
    Main,
    Branch(&'a str),
    Tag(&'a str),
    Commit(&'a str),
}

impl Settings {
    /// What is followed, as a person names it: `https://… branch main path hosts`.
    pub fn followed(&self) -> String {
        let what = match self.reference() {
            Reference::Main => String::new(),
            Reference::Branch(name) => format!(" branch {name}"),
            Reference::Tag(name) => format!(" tag {name}"),
            Reference::Commit(name) => format!(" commit {name}"),
        };
        let path = self.path.as_ref().map(|path| format!(" path {}", path.display()));
        format!("{}{what}{}", self.url, path.unwrap_or_default())
    }

    pub(super) fn reference(&self) -> Reference<'_> {
        match (&self.branch, &self.tag, &self.commit) {
            (Some(branch), ..) => Reference::Branch(branch),
            (_, Some(tag), _) => Reference::Tag(tag),
            (.., Some(commit)) => Reference::Commit(commit),
            (None, None, None) => Reference::Main,
        }
    }

    /// Refuses what contradicts itself: the key to blame, and why.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let Self { branch, tag, commit, .. } = self;
        let given = [branch, tag, commit].iter().filter(|it| it.is_some()).count();
        if given > 1 {
            let key = if commit.is_some() { "commit" } else { "tag" };
            return Err((key, "only one of `branch`, `tag` and `commit` can be followed".into()));
        }
        for (key, name) in [("branch", branch), ("tag", tag)] {
            let folder = if key == "tag" { "tags" } else { "heads" };
            if let Some(name) = name
                && (name.starts_with('-')
                    || name.starts_with("refs/")
                    || !git2::Reference::is_valid_name(&format!("refs/{folder}/{name}")))
            {
                return Err((key, format!("`{name}` is not the name of a {key}")));
            }
        }
        if let Some(name) = commit
            && (name.len() != 40 || !name.bytes().all(|it| it.is_ascii_hexdigit()))
        {
            return Err((
                "commit",
                format!("`{name}` is not the full name of a commit: 40 digits"),
            ));
        }
        if self.path.as_deref().is_some_and(|path| !is_inside(path)) {
            return Err(("path", "`path` leads out of the repository".into()));
        }
        if self.interval.0 < Duration::from_secs(1) {
            return Err(("interval", "less than a second is no interval".into()));
        }
        if self.timeout.0.is_zero() {
            return Err(("timeout", "no look can be done in no time".into()));
        }
        let verify = self.verify.as_ref();
        if verify.is_some_and(|it| it.allowed_signers.is_none() && it.openpgp.is_none()) {
            return Err(("verify", "`verify` needs `allowed_signers` or `openpgp`".into()));
        }
        self.check_access()
    }

    /// That what is said of the way fits the way.
    fn check_access(&self) -> Result<(), (&'static str, String)> {
        let over = |way: &str| format!("`url` does not go over {way}");
        let is_http = matches!(self.url, Address::Http(_));
        if !is_http {
            let of_http = [
                ("auth", self.auth.is_some()),
                ("tls", self.tls != TlsSettings::default()),
                ("proxy", self.proxy.is_some()),
            ];
            if let Some((key, _)) = of_http.into_iter().find(|(_, given)| *given) {
                return Err((key, over("HTTP")));
            }
        }
        if !matches!(self.url, Address::Ssh { .. }) && self.ssh != Ssh::default() {
            return Err(("ssh", over("SSH")));
        }
        if matches!(self.url, Address::Local(_)) && self.depth.is_some() {
            return Err(("depth", "a repository on this host is read as a whole".into()));
        }
        if let Some(auth) = &self.auth {
            auth.header().map_err(|why| ("auth", why))?;
            if self.url.is_unprotected() {
                let why = "without TLS, who listens on the way would learn it; use https:";
                return Err(("auth", why.into()));
            }
        }
        if let Some(proxy) = &self.proxy {
            crate::net::http::parse_url(proxy)
                .map_err(|why| ("proxy", why.replace("`url`", "`proxy`")))?;
        }
        Ok(())
    }
}

/// Whether a path within the repository stays in it.
fn is_inside(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(json: &str) -> String {
        let settings: Settings = serde_json::from_str(json).unwrap();
        settings.check().map_or_else(|(key, why)| format!("{key}: {why}"), |()| String::new())
    }

    #[test]
    fn one_thing_is_followed_and_nothing_leads_out_of_the_repository() {
        for (rest, key) in [
            ("", ""),
            (r#","branch":"main""#, ""),
            (r#","branch":"main","tag":"v1""#, "tag:"),
            (r#","branch":"a..b""#, "branch:"),
            (r#","branch":"refs/heads/main""#, "branch:"),
            (r#","tag":"-v1""#, "tag:"),
            (r#","commit":"abc""#, "commit:"),
            (r#","path":"hosts/web""#, ""),
            (r#","path":"../x""#, "path:"),
            (r#","path":"/etc""#, "path:"),
            (r#","interval":"10ms""#, "interval:"),
            (r#","verify":{}"#, "verify:"),
            (r#","ssh":{"key":"/k"}"#, "ssh:"),
            (r#","proxy":"socks://x""#, "proxy:"),
        ] {
            let said = complaint(&format!(r#"{{"url":"https://example.com/x"{rest}}}"#));
            assert!(said.starts_with(key) && said.is_empty() == key.is_empty(), "{rest}: {said}");
        }
    }

    #[test]
    fn a_login_never_goes_over_a_line_that_others_can_read() {
        let auth = r#""auth":{"user":"me","password":"hunter2"}"#;
        let said = complaint(&format!(r#"{{"url":"http://example.com/x",{auth}}}"#));
        assert!(said.starts_with("auth:") && !said.contains("hunter2"), "{said}");
        let said = complaint(&format!(r#"{{"url":"git@example.com:x",{auth}}}"#));
        assert!(said.contains("does not go over HTTP"), "{said}");
    }
}
