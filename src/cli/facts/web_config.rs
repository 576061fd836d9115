//! `--web.config.file`: TLS and users for the endpoint, in the form that Prometheus's own programs
//! share.

use crate::event::tree::{Key, Node, Value};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    tls_server_config: Option<Tls>,
    basic_auth_users: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    cert_file: PathBuf,
    key_file: PathBuf,
    client_ca_file: Option<PathBuf>,
    #[serde(default)]
    client_auth_type: ClientAuth,
    #[serde(default)]
    min_version: Version,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
enum ClientAuth {
    #[default]
    NoClientCert,
    RequireAndVerifyClientCert,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
enum Version {
    #[default]
    #[serde(rename = "TLS12")]
    Tls12,
    #[serde(rename = "TLS13")]
    Tls13,
}

/// The settings of the `prometheus` sink that the file stands for. Paths in it begin at its folder.
///
/// # Errors
/// What is wrong with the file, with its line; also what it may say elsewhere and what is not
/// understood here, so that nothing is less guarded than somebody thinks.
pub(super) fn read(path: &Path) -> Result<Vec<(Key, Node)>, String> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("--web.config.file {}: {error}", path.display()))?;
    settings(&text, path.parent().unwrap_or(Path::new("")))
        .map_err(|error| format!("--web.config.file {}: {error}", path.display()))
}

fn settings(text: &str, folder: &Path) -> Result<Vec<(Key, Node)>, String> {
    // An empty file says nothing, which is no mistake.
    let file: Option<File> = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    let file = file.unwrap_or_default();
    let mut settings = Vec::new();
    if let Some(tls) = file.tls_server_config {
        settings.push((Key::from("tls"), tls.settings(folder)?));
    }
    if !file.basic_auth_users.is_empty() {
        let users = file.basic_auth_users.iter();
        let users = users.map(|(name, hash)| (Key::from(name.as_str()), Node::string(hash)));
        settings.push((Key::from("users"), Node::new(Value::Map(users.collect()))));
    }
    Ok(settings)
}

impl Tls {
    fn settings(self, folder: &Path) -> Result<Node, String> {
        let verifies = self.client_auth_type == ClientAuth::RequireAndVerifyClientCert;
        if verifies != self.client_ca_file.is_some() {
            let message = "`client_auth_type: RequireAndVerifyClientCert` and `client_ca_file` go \
                           together: the one says that clients are checked, the other by what";
            return Err(message.to_owned());
        }
        let path = |path: PathBuf| Node::string(&folder.join(path).to_string_lossy());
        let version = match self.min_version {
            Version::Tls12 => "1.2",
            Version::Tls13 => "1.3",
        };
        let mut settings = vec![
            (Key::from("cert_file"), path(self.cert_file)),
            (Key::from("key_file"), path(self.key_file)),
            (Key::from("min_version"), Node::string(version)),
        ];
        if let Some(authority) = self.client_ca_file {
            settings.push((Key::from("client_ca_file"), path(authority)));
        }
        Ok(Node::new(Value::Map(settings)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        match settings(text, Path::new("/etc/exporter")) {
            Ok(settings) => format!("{settings:?}"),
            Err(message) => message,
        }
    }

    #[test]
    fn paths_begin_at_the_files_folder() {
        let told = told("tls_server_config: {cert_file: a.pem, key_file: /k.pem}\n");
        assert!(told.contains("/etc/exporter/a.pem") && told.contains("\"/k.pem\""), "{told}");
    }

    #[test]
    fn what_is_not_understood_is_refused_and_not_passed_over() {
        for (text, word) in [
            ("rate_limit: {interval: 1s}\n", "rate_limit"),
            ("tls_server_config: {cert_file: a, key_file: b, client_ca_file: c}\n", "together"),
            (
                "tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequestOnly}",
                "RequestOnly",
            ),
        ] {
            assert!(told(text).contains(word), "{text}: {}", told(text));
        }
        assert_eq!(told(""), "[]");
    }
}
