//! `driftless facts exporter`, in the place of `node_exporter`.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustls::crypto::ring;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A running exporter; it ends with this value.
struct Exporter {
    process: Child,
    address: SocketAddr,
}

#[cfg(test)]
impl Exporter {
    fn start(flags: &[&str]) -> Self {
        Self::start_with(&[], flags)
    }

    fn start_with(environment: &[(&str, String)], flags: &[&str]) -> Self {
        // Another program may take the port in between; then this test is red, and runs again.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_driftless"))
            .args(["facts", "exporter"])
            .arg(format!("--web.listen-address={address}"))
            .args(flags)
            .envs(environment.iter().cloned())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let exporter = Self { process, address };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "it does not listen");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        exporter
    }

    /// The whole answer, head and all.
    fn get(&self, path: &str, headers: &[&str]) -> String {
        self.try_get(path, headers).unwrap()
    }

    /// As [`Exporter::get`], where the exporter may hang up at any moment.
    fn try_get(&self, path: &str, headers: &[&str]) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

#[cfg(test)]
impl Drop for Exporter {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn its_flags_choose_collectors_and_scrapes_choose_among_them() {
    let exporter = Exporter::start(&[
        "--collector.disable-defaults",
        "--collector.loadavg",
        "--collector.time",
        "--web.telemetry-path=/node",
    ]);
    let all = exporter.get("/node", &[]);
    assert!(all.starts_with("HTTP/1.1 200") && all.contains("\nnode_load1 "), "{all}");
    assert!(all.contains("node_scrape_collector_success{collector=\"time\"} 1\n"));
    assert!(!all.contains("node_cpu_seconds_total"));
    assert!(all.contains("\nnode_exporter_build_info{branch="), "dashboards look for it");
    assert!(all.contains("\nprocess_cpu_seconds_total "));
    let without = exporter.get("/node?exclude[]=loadavg", &[]);
    assert!(!without.contains("node_load1") && without.contains("\nnode_time_seconds "));
    let both = exporter.get("/node?exclude[]=loadavg&collect[]=time", &[]);
    assert!(both.starts_with("HTTP/1.1 400"), "{both}");
    let off = exporter.get("/node?collect[]=cpu", &[]);
    assert!(off.starts_with("HTTP/1.1 400") && off.contains("`cpu`"), "{off}");
}

#[test]
fn who_asks_for_openmetrics_gets_it() {
    let exporter = Exporter::start(&["--web.disable-exporter-metrics"]);
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let answer = exporter.get("/metrics", &[accept]);
    assert!(answer.contains("application/openmetrics-text; version=1.0.0"), "{answer}");
    assert!(answer.contains("# TYPE node_cpu_seconds counter\nnode_cpu_seconds_total{"));
    assert!(answer.contains("# EOF\n"));
    assert!(!answer.contains("process_") && !answer.contains("driftless_"));
}

#[test]
fn only_users_of_the_web_config_are_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.yml");
    // The password is `wonderland`.
    let hash = "$2b$04$abcdefghijklmnopqrstuujZkTwHUiJ9XdZPwKfcfDo7dMp5DjlTu";
    fs::write(&path, format!("basic_auth_users: {{alice: \"{hash}\"}}\n")).unwrap();
    let exporter = Exporter::start(&[&format!("--web.config.file={}", path.display())]);
    let stranger = exporter.get("/metrics", &[]);
    assert!(stranger.starts_with("HTTP/1.1 401"), "{stranger}");
    assert!(stranger.to_lowercase().contains("www-authenticate: basic"));
    let alice = exporter.get("/metrics", &["Authorization: Basic YWxpY2U6d29uZGVybGFuZA=="]);
    assert!(alice.starts_with("HTTP/1.1 200"), "{alice}");
}

#[test]
fn it_speaks_tls_where_the_web_config_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.path().join("cert.pem"), identity.cert.pem()).unwrap();
    fs::write(folder.path().join("key.pem"), identity.signing_key.serialize_pem()).unwrap();
    let path = folder.path().join("web.yml");
    let web = "tls_server_config: {cert_file: cert.pem, key_file: key.pem, min_version: TLS13}\n";
    fs::write(&path, web).unwrap();
    let exporter = Exporter::start(&[&format!("--web.config.file={}", path.display())]);
    let mut roots = RootCertStore::empty();
    roots.add(identity.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut tls = StreamOwned::new(connection, TcpStream::connect(exporter.address).unwrap());
    write!(tls, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // Whether it says goodbye at the end does not matter here.
    tls.read_to_end(&mut answer).ok();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\nnode_load1 "), "{answer}");
    let plain = exporter.try_get("/metrics", &[]).unwrap_or_default();
    assert!(!plain.contains("node_load1"), "plain text is not answered");
}

#[test]
fn files_of_a_directory_ride_along() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.prom"), "backup_last_success_seconds 17\n").unwrap();
    let directory = format!("--collector.textfile.directory={}", folder.path().display());
    let exporter = Exporter::start(&[&directory]);
    let answer = exporter.get("/metrics?collect[]=textfile", &[]);
    assert!(answer.contains("\nbackup_last_success_seconds 17\n"), "{answer}");
}

#[test]
fn a_flag_with_a_wrong_value_is_told_with_its_name() {
    for (flag, word) in [
        ("--collector.netdev.device-exclude=(", "netdev.device-exclude"),
        ("--collector.cpus", "--collector.cpu"),
        ("--web.listen-address=9100", "web.listen-address=9100"),
    ] {
        let run = Command::new(env!("CARGO_BIN_EXE_driftless"))
            .args(["facts", "exporter", flag])
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&run.stderr);
        assert!(!run.status.success() && told.contains(word), "{flag}: {told}");
    }
}

#[test]
fn a_package_manager_that_is_asked_ends_with_the_exporter_and_with_it_all_that_it_has_started() {
    if !fs::exists("/var/lib/dpkg/status").unwrap() {
        return println!("skipped: this host has no dpkg");
    }
    let folder = tempfile::tempdir().unwrap();
    let (apt, pid) = (folder.path().join("apt-get"), folder.path().join("pid"));
    let script = format!("#!/bin/sh\nsleep 1000 & echo $! > {}; wait\n", pid.display());
    fs::write(&apt, script).unwrap();
    fs::set_permissions(&apt, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let flags = ["--collector.disable-defaults", "--collector.packages"];
    let mut exporter = Exporter::start_with(&[("PATH", path)], &flags);
    let mut stream = TcpStream::connect(exporter.address).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let wait_until = |what: &str, holds: &mut dyn FnMut() -> bool| {
        while !holds() {
            assert!(Instant::now() < deadline, "not in time: {what}");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    };
    let started = || fs::read_to_string(&pid).ok().filter(|text| text.ends_with('\n'));
    wait_until("apt is asked", &mut || started().is_some());
    let id = Pid::from_raw(exporter.process.id().try_into().unwrap());
    kill(id, Signal::SIGTERM).unwrap();
    wait_until("the exporter ends", &mut || exporter.process.try_wait().unwrap().is_some());
    let stat = format!("/proc/{}/stat", started().unwrap().trim());
    let is_gone = || fs::read_to_string(&stat).map_or(true, |text| text.contains(") Z "));
    wait_until("what apt has started is gone", &mut || is_gone());
}
