//! TLS: whom a client trusts and who it says it is, and what a listener shows and asks for.

mod listen;
mod pem;
#[cfg(test)]
mod tests;
mod version;

pub use listen::ListenTls;
pub use version::TlsVersion;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use schemars::JsonSchema;
use serde::Deserialize;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Whom to trust, and who the client says it is.
///
/// ```yaml
/// tls: {ca_file: /etc/ssl/own-ca.pem, cert_file: /etc/ssl/agent.pem, key_file: /etc/ssl/agent.key}
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    /// A file with certificates (PEM) to trust beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// A file with the client's own certificate (PEM), those that vouch for it behind it, for
    /// servers that demand one. Read when the sink starts.
    pub cert_file: Option<PathBuf>,
    /// A file with the key (PEM, not encrypted) that belongs to `cert_file`.
    pub key_file: Option<PathBuf>,
    /// The oldest version of TLS to speak, by default 1.2.
    pub min_version: TlsVersion,
    /// The name that the server's certificate must be made out to, where that is not the one in
    /// the address.
    pub server_name: Option<String>,
}

/// Speaks TLS as a client over connections that are made elsewhere.
#[derive(Clone)]
pub struct TlsClient {
    connector: TlsConnector,
    name: Option<ServerName<'static>>,
}

impl TlsSettings {
    /// The settings as rustls takes them. Reads the files.
    ///
    /// # Errors
    /// What is wrong with which file, in a user's words.
    pub fn client_config(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let roots = Arc::new(self.roots()?);
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(self.min_version.and_later())
            .map_err(|error| format!("`min_version`: {error}"))?;
        let builder = match self.name()? {
            None => builder.with_root_certificates(roots),
            Some(name) => {
                let verifier = Named::new(roots, name, provider)?;
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
        };
        match (&self.cert_file, &self.key_file) {
            (None, None) => Ok(builder.with_no_client_auth()),
            (Some(cert), Some(key)) => builder
                .with_client_auth_cert(
                    pem::certificates("cert_file", cert)?,
                    pem::key("key_file", key)?,
                )
                .map_err(|error| pem::unfit_pair(cert, key, &error)),
            (Some(_), None) => {
                Err("`cert_file` needs the key that belongs to it: `key_file`".into())
            }
            (None, Some(_)) => {
                Err("`key_file` needs the certificate of that key: `cert_file`".into())
            }
        }
    }

    /// A client for connections of any kind.
    ///
    /// # Errors
    /// As for [`Self::client_config`].
    pub fn client(&self) -> Result<TlsClient, String> {
        let connector = TlsConnector::from(Arc::new(self.client_config()?));
        Ok(TlsClient { connector, name: self.name()? })
    }

    fn name(&self) -> Result<Option<ServerName<'static>>, String> {
        let name = |name: &String| {
            ServerName::try_from(name.clone())
                .map_err(|_| format!("`server_name` is `{name}`, which is no name of a server"))
        };
        self.server_name.as_ref().map(name).transpose()
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        // What of the host's own store cannot be read shows when a server is not trusted.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = &self.ca_file {
            add_roots(&mut roots, "ca_file", path)?;
        }
        Ok(roots)
    }
}

/// Adds the certificates of a file, none of which may be broken.
fn add_roots(roots: &mut RootCertStore, setting: &str, path: &Path) -> Result<(), String> {
    for certificate in pem::certificates(setting, path)? {
        roots.add(certificate).map_err(|error| {
            format!("`{setting}` {}: a certificate that cannot be used: {error}", path.display())
        })?;
    }
    Ok(())
}

impl TlsClient {
    /// Shakes hands with the server at the other end, which was reached as `host`.
    ///
    /// # Errors
    /// Where `host` cannot be the name in a certificate, the server is not trusted, or does not
    /// trust this client.
    pub async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = match &self.name {
            Some(name) => name.clone(),
            // An IPv6 address is written in brackets in an address, and without in a certificate.
            None => ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
                .map_err(|_| io::Error::other(format!("`{host}` is no name of a server")))?,
        };
        self.connector.connect(name, stream).await
    }
}

/// Holds the server's certificate against one name, whatever the address was.
#[derive(Debug)]
struct Named {
    inner: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

impl Named {
    fn new(
        roots: Arc<RootCertStore>,
        name: ServerName<'static>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let inner = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
        let inner = inner.map_err(|error| format!("`server_name`: {error}"))?;
        Ok(Self { inner, name })
    }
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let name = &self.name;
        self.inner.verify_server_cert(end_entity, intermediates, name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
