//! A real rsyslogd as receiver, which ends with its test.

use crate::harness::{comes_about, free_port, lines};
use crate::installed::has;
use crate::skip::skipped;
use serde_json::Value;
use std::fs::{self, File};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// rsyslogd on ports of its own, writing what it understands as JSON lines.
pub(crate) struct Rsyslog {
    dir: tempfile::TempDir,
    child: Option<Child>,
    /// For both ways of framing.
    pub(crate) tcp: u16,
    pub(crate) udp: u16,
    /// `None` where rsyslog's OpenSSL driver is missing.
    pub(crate) tls: Option<u16>,
    /// Certificate and key, if it speaks TLS.
    identity: rcgen::CertifiedKey<rcgen::KeyPair>,
}

const TEMPLATE: &str = r#"template(name="j" type="list" option.jsonf="on") {
  property(outname="pri" name="pri" format="jsonf")
  property(outname="proto" name="protocol-version" format="jsonf")
  property(outname="time" name="timereported" dateformat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="app" name="app-name" format="jsonf")
  property(outname="procid" name="procid" format="jsonf")
  property(outname="msgid" name="msgid" format="jsonf")
  property(outname="sd" name="structured-data" format="jsonf")
  property(outname="msg" name="msg" format="jsonf")
}
ruleset(name="r") { action(type="omfile" file="OUT" template="j" flushOnTXEnd="on") }
"#;

impl Rsyslog {
    /// Starts it; `None`, and a line that says why, where there is none.
    pub(crate) fn start() -> Option<Self> {
        if !has("rsyslogd") {
            return None;
        }
        let mut server = Self {
            dir: tempfile::tempdir().unwrap(),
            child: None,
            tcp: free_port(),
            udp: free_port(),
            tls: has_openssl().then(free_port),
            identity: rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap(),
        };
        fs::write(server.certificate(), server.identity.cert.pem()).unwrap();
        let key = server.identity.signing_key.serialize_pem();
        fs::write(server.dir.path().join("key.pem"), key).unwrap();
        server.resume();
        Some(server)
    }

    fn config(&self) -> String {
        let out = self.output();
        let (dir, udp, tcp) = (self.dir.path().display(), self.udp, self.tcp);
        let tls = match self.tls {
            None => String::new(),
            Some(port) => format!(
                "module(load=\"imtcp\")\n\
                 input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\" ruleset=\"r\" \
                 streamDriver.name=\"ossl\" streamDriver.mode=\"1\" streamDriver.authMode=\"anon\" \
                 streamDriver.certFile=\"{0}\" streamDriver.keyFile=\"{dir}/key.pem\" \
                 streamDriver.caFile=\"{0}\")\n",
                self.certificate().display()
            ),
        };
        format!(
            "global(workDirectory=\"{dir}\" maxMessageSize=\"512k\")\n\
             module(load=\"imudp\") module(load=\"imptcp\")\n{}\
             input(type=\"imudp\" address=\"127.0.0.1\" port=\"{udp}\" ruleset=\"r\")\n\
             input(type=\"imptcp\" address=\"127.0.0.1\" port=\"{tcp}\" ruleset=\"r\")\n{tls}",
            TEMPLATE.replace("OUT", &out.to_string_lossy())
        )
    }

    /// The certificate that a client must trust.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    fn output(&self) -> PathBuf {
        self.dir.path().join("out.jsonl")
    }

    /// Starts it again where it was.
    pub(crate) fn resume(&mut self) {
        let config = self.dir.path().join("rsyslog.conf");
        fs::write(&config, self.config()).unwrap();
        let log = File::create(self.dir.path().join("log")).unwrap();
        let child = Command::new("rsyslogd")
            .arg("-n")
            .arg("-f")
            .arg(&config)
            .arg("-i")
            .arg(self.dir.path().join("pid"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.child = Some(child.unwrap());
        let listens = comes_about(|| TcpStream::connect(("127.0.0.1", self.tcp)).is_ok());
        let log = || fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        assert!(listens, "rsyslogd does not listen: {}", log());
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// What it has understood so far.
    pub(crate) fn messages(&self) -> Vec<Value> {
        let lines = lines(&self.output());
        lines.iter().map(|line| serde_json::from_str(line).expect(line)).collect()
    }
}

fn has_openssl() -> bool {
    let dirs = [
        "/usr/lib/x86_64-linux-gnu/rsyslog",
        "/usr/lib/aarch64-linux-gnu/rsyslog",
        "/usr/lib64/rsyslog",
    ];
    let found = dirs.iter().any(|dir| PathBuf::from(dir).join("lmnsd_ossl.so").exists());
    if !found {
        skipped("rsyslog's TLS driver is not installed (Debian package rsyslog-openssl)");
    }
    found
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        self.kill();
    }
}
