//! What a listener shows to its clients, and what it asks of them.

use super::{TlsVersion, add_roots, pem};
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// How a listener speaks TLS.
///
/// ```yaml
/// tls: {cert_file: /etc/ssl/logs.pem, key_file: /etc/ssl/logs.key, client_ca_file: /etc/ssl/ca.pem}
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenTls {
    /// A file with the listener's certificate (PEM), those that vouch for it behind it. Read when
    /// the source starts.
    pub cert_file: PathBuf,
    /// A file with the key (PEM, not encrypted) that belongs to `cert_file`.
    pub key_file: PathBuf,
    /// A file with certificates (PEM): only clients with a certificate that one of these vouches
    /// for are let in. Without it, any client is.
    pub client_ca_file: Option<PathBuf>,
    /// The oldest version of TLS to speak, by default 1.2.
    #[serde(default)]
    pub min_version: TlsVersion,
}

impl ListenTls {
    /// What shakes hands with clients. Reads the files.
    ///
    /// # Errors
    /// What is wrong with which file, in a user's words.
    pub fn acceptor(&self) -> Result<TlsAcceptor, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(self.min_version.and_later())
            .map_err(|error| format!("`min_version`: {error}"))?;
        let builder = match &self.client_ca_file {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                add_roots(&mut roots, "client_ca_file", path)?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                let verifier = verifier
                    .map_err(|error| format!("`client_ca_file` {}: {error}", path.display()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let (cert, key) = (&self.cert_file, &self.key_file);
        let config = builder
            .with_single_cert(pem::certificates("cert_file", cert)?, pem::key("key_file", key)?)
            .map_err(|error| pem::unfit_pair(cert, key, &error))?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
