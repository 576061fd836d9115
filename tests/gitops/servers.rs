//! Every way to a repository, over real servers on this host.

use super::installed::has;
use super::process::{Process, comes_about};
use super::skip::skipped;
use super::world::{SECRET, World, free_port, ssh_key};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

/// git's own HTTP server behind TLS, for whoever knows user and password. What is below `/moved`
/// is elsewhere.
struct Https {
    port: u16,
}

impl Https {
    fn start(world: &World) -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority of a test");
        let ca = params.self_signed(&ca_key).unwrap();
        fs::write(world.path("ca.pem"), ca.pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::new(params, ca_key);
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let root = world.path("served");
        thread::spawn(move || {
            for stream in listener.incoming() {
                let session = ServerConnection::new(Arc::clone(&config)).unwrap();
                let stream = StreamOwned::new(session, stream.unwrap());
                let root = root.clone();
                // One that hangs up half way has seen enough.
                thread::spawn(move || serve(stream, &root).ok());
            }
        });
        Self { port }
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }
}

/// Answers one request as `git http-backend` says.
fn serve(mut stream: StreamOwned<ServerConnection, TcpStream>, root: &Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(&mut stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_lowercase().starts_with(name))?;
        Some(line.split_once(": ").unwrap().1.to_owned())
    };
    let length = header("content-length").map_or(0, |it| it.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let target = head.split(' ').nth(1).unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if let Some(rest) = target.strip_prefix("/moved/") {
        let answer = format!("HTTP/1.1 302 Found\r\nLocation: /{rest}\r\nContent-Length: 0\r\n");
        stream.write_all(format!("{answer}Connection: close\r\n\r\n").as_bytes())?;
        return stream.flush();
    }
    // `agent:` and the secret.
    if header("authorization").as_deref() != Some("Basic YWdlbnQ6aHVudGVyMi1odW50ZXIy") {
        let answer = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(answer.as_bytes())?;
        return stream.flush();
    }
    let mut backend = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", head.split(' ').next().unwrap())
        .env("CONTENT_TYPE", header("content-type").unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    backend.stdin.take().unwrap().write_all(&body)?;
    let said = backend.wait_with_output()?.stdout;
    let end = said.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
    let (head, body) = (String::from_utf8_lossy(&said[..end]), &said[end + 4..]);
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
    let kind = head.lines().find(|line| line.starts_with("Content-Type:")).unwrap_or_default();
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\n{kind}\r\nContent-Length: {length}\r\n")?;
    stream.write_all(b"Connection: close\r\n\r\n")?;
    stream.write_all(body)?;
    stream.flush()
}

fn once(world: &World) -> String {
    let ran = world.driftless(&["agent", "--config", "config", "--once"]).output().unwrap();
    String::from_utf8(ran.stderr).unwrap()
}

const TRUST: &str = ", tls: {ca_file: DIR/ca.pem}";
const LOGIN: &str = ", auth: {user: agent, password: '{{ secrets.GIT_TOKEN }}'}";

#[test]
fn over_https_only_to_a_trusted_server_and_with_a_login_that_nobody_sees() {
    let world = World::new("");
    let server = Https::start(&world);
    let both = format!("{TRUST}{LOGIN}");
    for (path, settings, why) in [
        ("/hosts.git", LOGIN.to_owned(), "certificate"),
        ("/hosts.git", TRUST.to_owned(), "it wants the login under `auth`"),
        (
            "/hosts.git",
            format!("{TRUST}, auth: {{user: agent, password: wrong-wrong}}"),
            "it does not accept the login under `auth`",
        ),
        ("/none.git", both.clone(), "404"),
    ] {
        world.follow(&server.url(path), &settings);
        let said = once(&world);
        assert!(said.contains(why), "{why}: {said}");
        assert!(!said.contains(SECRET), "{said}");
    }
    world.follow(&server.url("/hosts.git"), &both);
    let agent = world.agent(&[]);
    world.wait_for_word("one");
    world.commit_word("two");
    world.wait_for_word("two");
    assert!(agent.stop().success());
    assert!(!world.log().contains(SECRET));
    assert!(!world.holds("data", SECRET) && !world.holds("data", "YWdlbnQ6"));
    assert!(!world.holds("data/git/store/config", "localhost"), "no address gets into its files");
}

#[test]
fn a_repository_that_has_moved_is_followed_to_where_it_is() {
    let world = World::new("");
    let server = Https::start(&world);
    world.follow(&server.url("/moved/hosts.git"), &format!("{TRUST}{LOGIN}"));
    let said = once(&world);
    assert_eq!(world.word(), "one", "{said}");
}

#[test]
fn a_shallow_history_is_fetched_and_its_end_is_no_rewinding() {
    let world = World::new("");
    for word in ["two", "three", "four"] {
        world.commit_word(word);
    }
    let server = Https::start(&world);
    world.follow(&server.url("/hosts.git"), &format!("{TRUST}{LOGIN}, depth: 1"));
    once(&world);
    assert_eq!(world.word(), "four");
    assert!(world.kept("store/shallow").exists());
    for word in ["five", "six", "seven"] {
        world.commit_word(word);
    }
    let said = once(&world);
    assert_eq!(world.word(), "seven", "{said}");
    world.git(&["reset", "-q", "--hard", "HEAD~2"]);
    world.commit_word("eight");
    let said = once(&world);
    assert!(said.contains("does not contain the active commit"), "{said}");
}

/// A real sshd of this test's own, and the settings to get in.
struct Sshd {
    _process: Process,
    port: u16,
}

impl Sshd {
    fn start(world: &World) -> Option<Self> {
        if !has("sshd") || !has("ssh") {
            return None;
        }
        if !Path::new("/run/sshd").exists() && fs::create_dir("/run/sshd").is_err() {
            skipped("sshd wants /run/sshd");
            return None;
        }
        let port = free_port();
        let host_key = ssh_key(world, "host_key");
        let key = ssh_key(world, "key");
        fs::write(world.path("authorized_keys"), format!("{key}\n")).unwrap();
        fs::write(world.path("known_hosts"), format!("[127.0.0.1]:{port} {host_key}\n")).unwrap();
        let path = |name: &str| world.path(name).display().to_string();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n",
            path("host_key"),
            path("authorized_keys"),
        );
        fs::write(world.path("sshd_config"), config).unwrap();
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(world.path("sshd_config"));
        let log = fs::File::create(world.path("sshd.log")).unwrap();
        let process = Process::spawn(command.stdin(Stdio::null()).stderr(log));
        assert!(comes_about(|| TcpStream::connect(("127.0.0.1", port)).is_ok()), "sshd listens");
        Some(Self { _process: process, port })
    }

    fn url(&self, path: &Path) -> String {
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
        format!("ssh://{user}@127.0.0.1:{}{}", self.port, path.display())
    }
}

#[test]
fn over_ssh_with_one_key_and_only_to_a_known_server() {
    let world = World::new("");
    let Some(server) = Sshd::start(&world) else { return };
    let url = server.url(&world.bare());
    let said_with = |settings: &str| {
        world.follow(&url, settings);
        once(&world)
    };
    fs::write(world.path("nobody"), "").unwrap();
    let said = said_with(", ssh: {key: DIR/key, known_hosts: DIR/nobody}");
    assert!(said.contains("Host key verification failed"), "{said}");
    assert!(said.contains("ssh: {known_hosts: FILE}"), "{said}");
    ssh_key(&world, "other");
    let said = said_with(", ssh: {key: DIR/other, known_hosts: DIR/known_hosts}");
    assert!(said.contains("Permission denied"), "{said}");
    assert!(said.contains("ssh: {key: FILE}"), "{said}");
    assert_eq!(world.word(), "");

    world.follow(&url, ", ssh: {key: DIR/key, known_hosts: DIR/known_hosts}");
    let agent = world.agent(&[]);
    world.wait_for_word("one");
    world.commit_word("two");
    world.wait_for_word("two");
    assert!(agent.stop().success());

    world.follow(
        &server.url(Path::new("/nowhere.git")),
        ", ssh: {key: DIR/key, known_hosts: DIR/known_hosts}",
    );
    let said = once(&world);
    assert!(said.contains("does not appear to be a git repository"), "{said}");
}

#[test]
fn from_git_daemon_with_a_warning_that_it_proves_nothing() {
    let world = World::new("");
    let port = free_port();
    let served: PathBuf = world.path("served");
    // `git daemon` would be a process that starts this one, and leaves it behind where it is killed.
    let programs = Command::new("git").arg("--exec-path").output().unwrap().stdout;
    let programs = PathBuf::from(String::from_utf8(programs).unwrap().trim());
    let mut command = Command::new(programs.join("git-daemon"));
    command
        .args(["--export-all", "--listen=127.0.0.1", &format!("--port={port}")])
        .arg(format!("--base-path={}", served.display()))
        .arg(&served)
        .env("HOME", world.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _daemon = Process::spawn(&mut command);
    assert!(comes_about(|| TcpStream::connect(("127.0.0.1", port)).is_ok()), "git daemon listens");
    world.follow(&format!("git://127.0.0.1:{port}/hosts.git"), "");
    let said = once(&world);
    assert_eq!(world.word(), "one", "{said}");
    assert!(said.contains("anybody on the way can change what comes from there"), "{said}");
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for_beyond_the_timeout() {
    let world = World::new("");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for url in
        [format!("git://127.0.0.1:{port}/hosts.git"), format!("http://127.0.0.1:{port}/hosts.git")]
    {
        world.follow(&url, ", timeout: 1s");
        let said = once(&world);
        assert!(said.contains("no answer in time"), "{said}");
    }
}
