//! Where a repository is.

use crate::net::http::{parse_url, shown};
use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The port of `git daemon`.
const DAEMON_PORT: u16 = 9418;

/// The address of a repository: `https://`, `http://`, `ssh://`, `user@host:path`, `git://`,
/// `file://` or an absolute path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Over HTTP, with or without TLS.
    Http(Url),
    /// By the `ssh` program.
    Ssh {
        /// Whom to log in as; ssh's own choice where none is named.
        user: Option<String>,
        /// The server.
        host: String,
        /// The server's port; 22 where none is named.
        port: Option<u16>,
        /// The path there.
        path: String,
    },
    /// From `git daemon`, which proves nothing and hides nothing.
    Daemon {
        /// The server.
        host: String,
        /// Its port.
        port: u16,
        /// The path there.
        path: String,
    },
    /// A directory of this host.
    Local(PathBuf),
}

impl Address {
    /// Whether something on the way could put another repository in its place unnoticed.
    pub fn is_unprotected(&self) -> bool {
        match self {
            Self::Http(url) => url.scheme() == "http",
            Self::Daemon { .. } => true,
            Self::Ssh { .. } | Self::Local(_) => false,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) => f.write_str(&shown(url)),
            Self::Ssh { user, host, port, path } => {
                let user = user.as_ref().map_or_else(String::new, |user| format!("{user}@"));
                let port = port.map_or_else(String::new, |port| format!(":{port}"));
                let slash = if path.starts_with('/') { "" } else { "/" };
                write!(f, "ssh://{user}{host}{port}{slash}{path}")
            }
            Self::Daemon { host, port, path } => write!(f, "git://{host}:{port}{path}"),
            Self::Local(path) => write!(f, "{}", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.chars().any(char::is_control) {
            return Err("`url` holds a character that no address has".into());
        }
        let Some((scheme, _)) = text.split_once("://") else {
            return if text.starts_with('/') { Ok(Self::Local(text.into())) } else { scp(text) };
        };
        match scheme {
            "http" | "https" => {
                let url = parse_url(text)?;
                if url.query().is_some() || url.fragment().is_some() {
                    return Err("`url` of a repository has no `?` and no `#`".into());
                }
                Ok(Self::Http(url))
            }
            "ssh" => {
                let url = read(text)?;
                if url.password().is_some() {
                    return Err(
                        "`url` has a password in it; ssh logs in with a key: `ssh: {key}`".into()
                    );
                }
                let user = Some(url.username()).filter(|user| !user.is_empty());
                // `/~me/hosts` is below the home of `me`.
                let path = decoded(url.path())?;
                let path = path.strip_prefix('/').filter(|path| path.starts_with('~'));
                let path = path.map_or_else(|| decoded(url.path()), |path| Ok(path.to_owned()))?;
                over_ssh(user, &host_of(&url)?, url.port(), &path)
            }
            "git" => {
                let url = read(text)?;
                if !url.username().is_empty() || url.password().is_some() {
                    return Err("`git:` knows no users".into());
                }
                let (host, path) = (host_of(&url)?, decoded(url.path())?);
                Ok(Self::Daemon { host, port: url.port().unwrap_or(DAEMON_PORT), path })
            }
            "file" => {
                let url = read(text)?;
                let path = url.to_file_path();
                path.map(Self::Local).map_err(|()| "`file:` leads to another host".into())
            }
            _ => Err("`url` begins with none of https:, http:, ssh:, git: and file:".into()),
        }
    }
}

fn read(text: &str) -> Result<Url, String> {
    Url::parse(text).map_err(|error| format!("`url` is no URL: {error}"))
}

fn host_of(url: &Url) -> Result<String, String> {
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or("`url` names no host")?;
    // ssh takes an IPv6 address without its brackets.
    Ok(host.trim_matches(['[', ']']).to_owned())
}

fn decoded(path: &str) -> Result<String, String> {
    let text = percent_encoding::percent_decode_str(path).decode_utf8();
    let text = text.map_err(|_| "the path in `url` is no text")?;
    if text.chars().any(char::is_control) {
        return Err("`url` holds a character that no address has".into());
    }
    Ok(text.into_owned())
}

/// `user@host:path`, as git takes it too.
fn scp(text: &str) -> Result<Address, String> {
    let unknown = "`url` is neither a URL, nor `user@host:path`, nor an absolute path";
    let (login, path) = text.split_once(':').ok_or(unknown)?;
    // `ext::` and the like are programs to git.
    if login.contains('/') || path.is_empty() || path.starts_with(':') {
        return Err(unknown.into());
    }
    let (user, host) = match login.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, login),
    };
    over_ssh(user, host, None, path)
}

fn over_ssh(
    user: Option<&str>,
    host: &str,
    port: Option<u16>,
    path: &str,
) -> Result<Address, String> {
    // What begins so is an option to ssh, or to the program at the other end.
    if [user.unwrap_or("x"), host, path].iter().any(|part| part.starts_with('-')) {
        return Err("user, host and path of `url` do not begin with `-`".into());
    }
    let plain = |text: &str| {
        !text.is_empty()
            && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-:%".contains(letter))
    };
    if !plain(host) || !user.is_none_or(plain) {
        return Err("user and host of `url` are letters, digits, `.`, `_` and `-`".into());
    }
    if path.trim_matches('/').is_empty() {
        return Err("`url` names no repository on that host".into());
    }
    let user = user.map(str::to_owned);
    Ok(Address::Ssh { user, host: host.to_owned(), port, path: path.to_owned() })
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parsed = String::deserialize(deserializer)?.parse::<Self>();
        // The reader of configs names the key itself.
        parsed.map_err(|why: String| de::Error::custom(why.trim_start_matches("`url` ")))
    }
}

impl JsonSchema for Address {
    fn schema_name() -> Cow<'static, str> {
        "RepositoryAddress".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_as(text: &str) -> String {
        text.parse::<Address>().map_or_else(|why| format!("! {why}"), |it| it.to_string())
    }

    #[test]
    fn every_way_to_a_repository_is_understood() {
        for (text, shown) in [
            ("https://git.example.com/ops/hosts.git", "https://git.example.com/ops/hosts.git"),
            ("ssh://git@example.com:2222/ops/hosts", "ssh://git@example.com:2222/ops/hosts"),
            ("git@example.com:ops/hosts.git", "ssh://git@example.com/ops/hosts.git"),
            ("ssh://example.com/~me/hosts", "ssh://example.com/~me/hosts"),
            ("git://example.com/hosts", "git://example.com:9418/hosts"),
            ("file:///srv/git/hosts.git", "/srv/git/hosts.git"),
            ("/srv/git/hosts.git", "/srv/git/hosts.git"),
        ] {
            assert_eq!(shown_as(text), shown);
        }
    }

    #[test]
    fn an_address_that_would_be_an_option_or_hold_a_secret_is_refused_unshown() {
        for (text, why) in [
            ("https://me:hunter2@example.com/x", "under `auth`"),
            ("https://hunter2@example.com/x", "under `auth`"),
            ("ssh://me:hunter2@example.com/x", "logs in with a key"),
            ("ssh://-oProxyCommand=hunter2/x", "begin with `-`"),
            ("-oProxyCommand=hunter2:x", "begin with `-`"),
            ("example.com:-hunter2", "begin with `-`"),
            ("a b@example.com:hunter2", "letters, digits"),
            ("ext::sh -c hunter2", "neither a URL"),
            ("ftp://example.com/hunter2", "begins with none of"),
            ("hunter2", "neither a URL"),
            ("./hunter2", "neither a URL"),
            ("ssh://example.com/", "names no repository"),
            ("file://elsewhere/hunter2", "another host"),
            ("https://example.com/x?token=hunter2", "no `?`"),
        ] {
            let said = shown_as(text);
            assert!(said.starts_with("! ") && said.contains(why), "{text}: {said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
