//! Programs as they are found on hosts: nginx writes under load, logrotate rotates.

use super::installed::has;
use super::oracle::Verdict;
use super::process::Process;
use super::rig::{Rig, content, free_port};
use super::scale;
use super::writer::Writer;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn logrotate(rig: &Rig, rules: &str) {
    let (config, state) = (rig.path("logrotate.conf"), rig.path("logrotate.state"));
    fs::write(&config, rules).unwrap();
    let done = Command::new("/usr/sbin/logrotate")
        .args(["--force", "--state"])
        .args([&state, &config])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Rotates by these rules for as long as the scale says, and gives the verdict.
fn rotated_by(rules: &str) -> Option<Verdict> {
    if !has("logrotate") {
        return None;
    }
    let rig = Rig::new(
        "sources: {app: {type: file, include: ['{dir}/logs/*.log*']}}\n\
         sinks: {out: {type: file, inputs: [app], path: '{dir}/out/all.log', sync: never}}\n",
    );
    let log = rig.path("logs/app.log");
    let rules = format!("{} {{\n{rules}\n}}\n", log.display());
    let mut writer = Writer::start(1, &log, scale().bytes_per_second);
    let agent = rig.start();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(scale().seconds) {
        std::thread::sleep(Duration::from_millis(400));
        logrotate(&rig, &rules);
        // The signal that a rotation sends to whoever writes.
        writer.between_lines(|_| {});
    }
    let written = writer.stop();
    let verdict = rig.verdict(&[(1, written)], || content(&rig.path("out"), "all.log"));
    assert!(agent.stop().success(), "{}", rig.said());
    Some(verdict)
}

#[test]
fn logrotate_that_renames_loses_and_doubles_nothing() {
    if let Some(verdict) = rotated_by("rotate 100\ncreate") {
        assert_eq!(verdict, Verdict::default());
    }
}

#[test]
fn logrotate_that_compresses_later_loses_and_doubles_nothing() {
    // It would not open a file that a pin has given a second hard link, even to compress it.
    let rules = "rotate 100\ncreate\ncompress\ndelaycompress\nallowhardlink";
    if let Some(verdict) = rotated_by(rules) {
        assert_eq!(verdict, Verdict::default());
    }
}

/// A running nginx; it does not outlive this value.
struct Nginx {
    /// Takes its workers with it when it is stopped.
    master: Process,
    port: u16,
}

impl Nginx {
    fn start(rig: &Rig) -> Self {
        let port = free_port();
        let dir = rig.path("nginx");
        fs::create_dir(&dir).unwrap();
        let (here, log) = (dir.display(), rig.path("logs/access.log"));
        let config = format!(
            "pid {here}/pid;\nerror_log {here}/error.log;\nworker_processes 2;\nuser root;\n\
             events {{}}\nhttp {{\n  access_log {};\n  client_body_temp_path {here}/a;\n  \
             proxy_temp_path {here}/b;\n  fastcgi_temp_path {here}/c;\n  uwsgi_temp_path {here}/d;\n  \
             scgi_temp_path {here}/e;\n  keepalive_requests 100000;\n  \
             server {{ listen 127.0.0.1:{port}; location / {{ return 204; }} }}\n}}\n",
            log.display(),
        );
        fs::write(dir.join("nginx.conf"), config).unwrap();
        let master = Process::spawn(
            Command::new("/usr/sbin/nginx")
                .args(["-g", "daemon off;", "-c"])
                .arg(dir.join("nginx.conf"))
                .stderr(Stdio::null()),
        );
        rig.wait_until("nginx listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { master, port }
    }

    /// Asks for numbered paths over one connection until time is up; how many there were.
    fn load(&self, client: usize, time: Duration) -> u64 {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let (begun, mut number) = (Instant::now(), 0);
        let mut answer = [0; 4096];
        while begun.elapsed() < time {
            let request = format!("GET /{client}/{number} HTTP/1.1\r\nHost: test\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            assert!(stream.read(&mut answer).unwrap() > 0, "nginx has closed the connection");
            number += 1;
        }
        number
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.master.stop();
    }
}

#[test]
fn each_request_that_nginx_has_served_under_rotation_arrives_once_and_parsed() {
    if !has("nginx") || !has("logrotate") {
        return;
    }
    let rig = Rig::new(
        "sources: {access: {type: file, include: ['{dir}/logs/*.log*']}}\n\
         transforms: {parsed: {type: parse, format: nginx_combined, on_error: drop, inputs: [access]}}\n\
         sinks: {out: {type: file, inputs: [parsed], path: '{dir}/out/all.log', sync: never}}\n",
    );
    let nginx = Nginx::start(&rig);
    let agent = rig.start();
    let rules = format!(
        "{} {{\nrotate 100\ncreate\npostrotate\nkill -USR1 $(cat {}/pid)\nendscript\n}}\n",
        rig.path("logs/access.log").display(),
        rig.path("nginx").display(),
    );
    let time = Duration::from_secs(scale().seconds);
    let served: Vec<u64> = std::thread::scope(|threads| {
        let nginx = &nginx;
        let clients: Vec<_> =
            (0..3).map(|client| threads.spawn(move || nginx.load(client, time))).collect();
        while clients.iter().any(|client| !client.is_finished()) {
            std::thread::sleep(Duration::from_millis(300));
            logrotate(&rig, &rules);
        }
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let all = served.iter().sum::<u64>();
    let arrived =
        || memchr::memchr_iter(b'\n', &content(&rig.path("out"), "all.log")).count() as u64;
    rig.wait_until("all requests have arrived", || arrived() >= all);
    assert!(agent.stop().success(), "{}", rig.said());
    let text = String::from_utf8(content(&rig.path("out"), "all.log")).unwrap();
    let mut paths: Vec<&str> = text.lines().filter_map(|line| line.split(' ').nth(6)).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!((arrived(), paths.len() as u64), (all, all));
}
