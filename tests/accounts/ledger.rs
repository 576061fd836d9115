//! The ledger on `/metrics`: read is what was delivered, filtered, dropped, buffered and replayed.

use super::bench::{Bench, Process, append, comes_about};
use super::web::{free_port, get};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// An HTTP server that takes nothing, until the test ends.
fn refusing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || refuse(stream));
        }
    });
    url
}

/// Answers each request of a connection with 400. An error is the other side's end.
fn refuse(stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let head = head.to_lowercase();
        let length = head.split("content-length:").nth(1).and_then(|rest| rest.lines().next());
        let length = length.map_or(0, |length| length.trim().parse().unwrap());
        reader.read_exact(&mut vec![0; length])?;
        reader.get_mut().write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")?;
    }
}

/// What the ledger says of a component.
#[derive(Debug, Default, PartialEq, Eq)]
struct Account {
    read: u64,
    in_flight: u64,
    /// Outcome and reason.
    outcomes: BTreeMap<String, u64>,
}

impl Account {
    fn is_settled(&self) -> bool {
        self.in_flight == 0
    }

    /// Fails where the sum is not right.
    fn check(&self) {
        let sum: u64 = self.outcomes.values().sum();
        assert_eq!(self.read, sum + self.in_flight, "{self:?}");
    }

    fn outcomes(&self) -> Vec<(&str, u64)> {
        let some = self.outcomes.iter().filter(|(_, records)| **records > 0);
        some.map(|(outcome, records)| (&**outcome, *records)).collect()
    }
}

/// A running agent whose metrics can be asked for.
struct Run {
    agent: Process,
    port: u16,
}

impl Run {
    fn start(bench: &Bench) -> Self {
        let port = free_port();
        let facts = json!({
            "collect": ["loadavg"],
            "export": [{ "prometheus": { "listen": format!("127.0.0.1:{port}") } }],
        });
        fs::write(bench.path("config/facts.json"), facts.to_string()).unwrap();
        Self { agent: bench.agent(), port }
    }

    fn account(&self, component: &str) -> Account {
        let mut account = Account::default();
        for line in get(self.port, "/metrics").lines() {
            let Some(rest) = line.strip_prefix("driftless_ledger_") else { continue };
            let (labels, value) = rest.rsplit_once(' ').unwrap();
            if !labels.contains(&format!("component=\"{component}\"")) {
                continue;
            }
            let label = |name: &str| {
                let rest = labels.split_once(&format!("{name}=\"")).map_or("", |it| it.1);
                rest.split('"').next().unwrap().to_owned()
            };
            let value = value.parse().unwrap();
            if labels.starts_with("read_records_total") {
                account.read = value;
            } else if labels.starts_with("in_flight_records") {
                account.in_flight = value;
            } else {
                let outcome = format!("{} {}", label("outcome"), label("reason"));
                account.outcomes.insert(outcome.trim().to_owned(), value);
            }
        }
        account.check();
        account
    }

    /// The account once so many records have been read and all are settled; at every look in
    /// between, the sum is right.
    fn settled(&self, bench: &Bench, component: &str, read: u64) -> Account {
        let mut account = Account::default();
        let settled = comes_about(|| {
            account = self.account(component);
            account.read >= read && account.is_settled()
        });
        let said = || fs::read_to_string(bench.path("said")).unwrap_or_default();
        assert!(settled, "{account:?} {}", said());
        account
    }
}

#[test]
fn each_record_is_counted_once_with_the_worst_that_became_of_it() {
    let bench = Bench::with(
        &json!({
            "kept": { "type": "filter", "keep": "message is search('keep')", "inputs": ["in"] },
            "bad": { "type": "filter", "keep": "message is search('bad')", "inputs": ["in"] },
        }),
        &json!({
            "out": { "type": "file", "path": "out.txt", "inputs": ["kept"] },
            "picky": { "type": "http", "url": refusing(), "inputs": ["bad"] },
        }),
    );
    let lines = |from: u64, to: u64| -> String {
        let word = |n: u64| match n % 10 {
            0..=3 => "skip",
            4 => "skip bad",
            5 => "keep bad",
            _ => "keep",
        };
        (from..to).map(|n| format!("{} {n}\n", word(n))).collect()
    };
    append(&bench.path("a.log"), &lines(0, 1000));
    let run = Run::start(&bench);
    let account = run.settled(&bench, "in", 1000);
    assert_eq!(account.read, 1000);
    let expected = [("delivered", 400), ("dropped rejected", 200), ("filtered", 400)];
    assert_eq!(account.outcomes(), expected);
    append(&bench.path("a.log"), &lines(1000, 1500));
    let account = run.settled(&bench, "in", 1500);
    let expected = [("delivered", 600), ("dropped rejected", 300), ("filtered", 600)];
    assert_eq!((account.read, account.outcomes()), (1500, expected.to_vec()));

    // The sum is right in each run, whatever the one before has left.
    run.agent.kill();
    append(&bench.path("a.log"), &lines(1500, 2000));
    let run = Run::start(&bench);
    let account = run.settled(&bench, "in", 500);
    assert!(account.outcomes["delivered"] >= 200, "{account:?}");
    assert!(run.agent.stop().success());
}

#[test]
fn what_is_on_disk_is_in_the_account_of_the_buffer() {
    let away = format!("http://127.0.0.1:{}/", free_port());
    let sink = json!({
        "type": "http", "url": away, "inputs": ["in"],
        "buffer": { "type": "disk", "max_bytes": "16MiB" },
    });
    let bench = Bench::new(&json!({ "away": sink }));
    append(&bench.path("a.log"), "one\ntwo\nthree\n");
    let run = Run::start(&bench);
    let account = run.settled(&bench, "in", 3);
    assert_eq!(account.outcomes(), [("buffered", 3)]);
    let waits = comes_about(|| run.account("away").in_flight == 3);
    assert!(waits, "{:?}", run.account("away"));
    assert_eq!(run.account("away").read, 3);
    run.agent.kill();
}
