//! What the settings promise, held against real handshakes.

use super::*;
use crate::event::secret::Masker;
use crate::net::endpoint::{Endpoint, Method, Wanted};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::fs;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// An authority, and the files of what it has signed.
struct Authority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        // Another name for each, else the strangers' signature would only be a wrong one.
        let name = format!("authority of {}", dir.path().display());
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { issuer: Issuer::new(params, key), dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn sign(&self, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    fn listen(&self, name: &str) -> ListenTls {
        self.sign(name);
        ListenTls {
            cert_file: self.path(&format!("{name}.pem")),
            key_file: self.path(&format!("{name}.key")),
            client_ca_file: None,
            min_version: TlsVersion::V1_2,
        }
    }

    fn trusted(&self) -> TlsSettings {
        TlsSettings { ca_file: Some(self.path("ca.pem")), ..TlsSettings::default() }
    }
}

/// Sends a line through a connection of these settings; what came back.
async fn exchange(listen: &ListenTls, client: &TlsSettings) -> Result<String, String> {
    let acceptor = listen.acceptor().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        let mut stream = acceptor.accept(stream).await?;
        let mut line = [0; 5];
        stream.read_exact(&mut line).await?;
        stream.write_all(&line).await?;
        stream.shutdown().await
    });
    let talk = async {
        let stream = TcpStream::connect(address).await?;
        let mut stream =
            client.client().map_err(io::Error::other)?.connect("localhost", stream).await?;
        stream.write_all(b"hello").await?;
        let mut back = String::new();
        stream.read_to_string(&mut back).await?;
        Ok::<_, io::Error>(back)
    };
    let back = talk.await.map_err(|error| error.to_string());
    server.await.unwrap().ok();
    back
}

#[tokio::test]
async fn only_a_server_that_the_authority_vouches_for_is_trusted() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let listen = ours.listen("localhost");
    assert_eq!(exchange(&listen, &ours.trusted()).await.unwrap(), "hello");
    let refusal = exchange(&listen, &theirs.trusted()).await.unwrap_err();
    assert!(refusal.contains("UnknownIssuer"), "{refusal}");
    let refusal = exchange(&listen, &TlsSettings::default()).await.unwrap_err();
    assert!(refusal.contains("UnknownIssuer"), "{refusal}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_unless_that_name_is_the_expected_one() {
    let ours = Authority::new();
    let listen = ours.listen("logs.example.com");
    let refusal = exchange(&listen, &ours.trusted()).await.unwrap_err();
    assert!(refusal.contains("not valid for name"), "{refusal}");
    let named = |name: &str| TlsSettings { server_name: Some(name.into()), ..ours.trusted() };
    assert_eq!(exchange(&listen, &named("logs.example.com")).await.unwrap(), "hello");
    assert!(exchange(&listen, &named("other.example.com")).await.is_err());
    assert!(named("no name").client().err().unwrap().contains("`no name`"));
}

#[tokio::test]
async fn a_listener_that_demands_certificates_lets_only_its_own_clients_in() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let listen =
        ListenTls { client_ca_file: Some(ours.path("ca.pem")), ..ours.listen("localhost") };
    let shown = |by: &Authority| {
        by.sign("agent");
        TlsSettings {
            cert_file: Some(by.path("agent.pem")),
            key_file: Some(by.path("agent.key")),
            ..ours.trusted()
        }
    };
    assert_eq!(exchange(&listen, &shown(&ours)).await.unwrap(), "hello");
    assert!(exchange(&listen, &ours.trusted()).await.is_err(), "without one");
    assert!(exchange(&listen, &shown(&theirs)).await.is_err(), "by another authority");
}

#[tokio::test]
async fn a_version_below_the_least_one_is_not_spoken() {
    let ours = Authority::new();
    let mut listen = ours.listen("localhost");
    listen.min_version = TlsVersion::V1_3;
    assert_eq!(exchange(&listen, &ours.trusted()).await.unwrap(), "hello");
    // A server that knows only the old version, and a client that wants no less than the new one.
    let provider = Arc::new(ring::default_provider());
    let old = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            pem::certificates("cert_file", &listen.cert_file).unwrap(),
            pem::key("key_file", &listen.key_file).unwrap(),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(old));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            acceptor.accept(stream).await.ok();
        }
    });
    let connect = async |settings: TlsSettings| {
        let stream = TcpStream::connect(address).await.unwrap();
        settings.client().unwrap().connect("localhost", stream).await.map(drop)
    };
    connect(ours.trusted()).await.unwrap();
    let new = TlsSettings { min_version: TlsVersion::V1_3, ..ours.trusted() };
    assert!(connect(new).await.is_err());
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_name() {
    let ours = Authority::new();
    ours.sign("one");
    ours.sign("two");
    let said = |cert: Option<&str>, key: Option<&str>| {
        let settings = TlsSettings {
            cert_file: cert.map(|name| ours.path(name)),
            key_file: key.map(|name| ours.path(name)),
            ..TlsSettings::default()
        };
        settings.client_config().unwrap_err()
    };
    fs::write(
        ours.path("locked.key"),
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    )
    .unwrap();
    for (cert, key, words) in [
        (Some("one.pem"), Some("two.key"), &["two.key does not belong", "one.pem"][..]),
        (Some("one.pem"), None, &["`key_file`"]),
        (None, Some("one.key"), &["`cert_file`"]),
        (Some("none.pem"), Some("one.key"), &["`cert_file`", "none.pem: No such file"]),
        (Some("one.key"), Some("one.key"), &["one.key has no certificate"]),
        (Some("one.pem"), Some("one.pem"), &["one.pem has no private key"]),
        (Some("one.pem"), Some("locked.key"), &["locked.key has an encrypted key"]),
    ] {
        let said = said(cert, key);
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
}

#[tokio::test]
async fn requests_go_over_these_settings_too() {
    let ours = Authority::new();
    let listen =
        ListenTls { client_ca_file: Some(ours.path("ca.pem")), ..ours.listen("localhost") };
    ours.sign("agent");
    let client = TlsSettings {
        cert_file: Some(ours.path("agent.pem")),
        key_file: Some(ours.path("agent.key")),
        min_version: TlsVersion::V1_3,
        ..ours.trusted()
    };
    let acceptor = listen.acceptor().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let Ok(1..) = stream.read(&mut request).await else { continue };
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.ok();
        }
    });
    let deliver = async |tls: &TlsSettings| {
        let timeout = std::time::Duration::from_secs(10);
        let endpoint = Endpoint::new(&url, Method::Post, timeout, tls, Masker::default()).unwrap();
        let body = bytes::Bytes::from_static(b"x");
        endpoint.send(body, None, Wanted::Status, std::time::Duration::ZERO).await.map(drop)
    };
    deliver(&client).await.unwrap();
    deliver(&ours.trusted()).await.unwrap_err();
    let stranger = deliver(&TlsSettings { ca_file: None, ..client }).await.unwrap_err();
    assert!(stranger.message.contains("UnknownIssuer"), "{stranger}");
}
