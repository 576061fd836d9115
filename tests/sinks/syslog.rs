//! The `syslog` sink against a real rsyslogd.

use crate::harness::Bench;
use crate::rsyslog::Rsyslog;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn sink(url: &str, rest: Value) -> Value {
    let mut sink = json!({ "type": "syslog", "url": url, "retry": { "initial": "50ms" } });
    let Value::Object(rest) = rest else { panic!("settings are a mapping") };
    sink.as_object_mut().unwrap().extend(rest);
    sink
}

/// Every way to rsyslogd, with what differs in the settings.
fn ways(server: &Rsyslog) -> Vec<(String, Value)> {
    let tcp = format!("tcp://127.0.0.1:{}", server.tcp);
    let mut ways = vec![
        (format!("udp://localhost:{}", server.udp), json!({})),
        (tcp.clone(), json!({})),
        (tcp.clone(), json!({ "framing": "octet_counting" })),
        (tcp, json!({ "format": "rfc3164" })),
    ];
    if let Some(port) = server.tls {
        let trust = json!({ "ca_file": server.certificate() });
        ways.push((format!("tls://localhost:{port}"), json!({ "tls": trust })));
    }
    ways
}

#[test]
fn a_server_understands_every_part_of_a_message() {
    let Some(server) = Rsyslog::start() else { return };
    for (round, (url, mut rest)) in ways(&server).into_iter().enumerate() {
        let is_old = rest.get("format").is_some();
        rest["facility"] = "local3".into();
        rest["app_name"] = "{{ service }}".into();
        if !is_old {
            rest["structured_data"] = json!({ "request@32473": ["id", "path"] });
        }
        let parse = json!({ "parse": { "type": "parse", "format": "json", "timestamp": "time" } });
        let bench = Bench::new(parse, sink(&url, rest));
        let line = json!({
            "time": "2026-03-01T12:00:00.123456Z", "level": "error", "service": "shop",
            "procid": 77, "msgid": "PAY", "id": "a\"]\\b", "path": "/ü",
            "message": "no\tmoney\nleft é",
        });
        bench.append(format!("{line}\n"));
        bench.once();
        bench.wait_until("it arrives", || server.messages().len() > round);
        let message = &server.messages()[round];
        let part = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(part("pri"), (19 * 8 + 3).to_string(), "{message}");
        assert_eq!((part("app"), part("procid")), ("shop".into(), "77".into()), "{message}");
        assert_eq!(part("host"), "testhost", "{message}");
        assert!(part("msg").trim_start().ends_with("money#012left é"), "{message}");
        if !is_old {
            assert_eq!(part("time"), "2026-03-01T12:00:00.123456Z", "{message}");
            assert_eq!(part("msgid"), "PAY", "{message}");
            assert_eq!(part("sd"), "[request@32473 id=\"a\\\"\\]\\\\b\" path=\"/ü\"]", "{message}");
        }
    }
}

#[test]
fn a_message_of_any_size_arrives_whole_over_tcp() {
    let Some(server) = Rsyslog::start() else { return };
    let url = format!("tcp://127.0.0.1:{}", server.tcp);
    for (round, framing) in ["newline", "octet_counting"].into_iter().enumerate() {
        let bench = Bench::new(json!({}), sink(&url, json!({ "framing": framing })));
        let long = "0123456789abcdef".repeat(6 << 10);
        bench.append(format!("{long}\nshort\n"));
        bench.once();
        bench.wait_until("both arrive", || server.messages().len() >= 2 * (round + 1));
        let messages = server.messages();
        let text = |at: usize| messages[2 * round + at]["msg"].as_str().unwrap().trim();
        assert!(text(0) == long, "{framing}: {} of {} bytes", text(0).len(), long.len());
        assert_eq!(text(1), "short");
    }
}

#[test]
fn nothing_is_lost_while_a_server_is_away() {
    let Some(mut server) = Rsyslog::start() else { return };
    let url = format!("tcp://127.0.0.1:{}", server.tcp);
    let bench = Bench::new(json!({}), sink(&url, json!({})));
    let agent = bench.start(&[]);
    bench.append("first\n");
    bench.wait_until("the first line arrives", || server.messages().len() == 1);
    server.kill();
    let lines: Vec<String> = (0..1000).map(|number| format!("line {number}")).collect();
    bench.append(lines.join("\n") + "\n");
    bench.wait_until("it says that the server is away", || bench.said().contains("refused"));
    server.resume();
    let arrived = || {
        let messages = server.messages();
        let texts = messages.iter().map(|message| message["msg"].as_str().unwrap().trim());
        texts.map(str::to_owned).collect::<BTreeSet<String>>()
    };
    bench.wait_until("all lines arrive", || arrived().len() > 1000);
    assert!(lines.iter().all(|line| arrived().contains(line)));
    assert!(agent.stop().success());
}

#[test]
fn a_server_that_is_not_trusted_gets_nothing() {
    let Some(server) = Rsyslog::start() else { return };
    let Some(port) = server.tls else { return };
    let bench = Bench::new(json!({}), sink(&format!("tls://localhost:{port}"), json!({})));
    bench.append("secret\n");
    let _agent = bench.start(&[]);
    bench.wait_until("it says why", || bench.said().to_lowercase().contains("certificate"));
    assert!(server.messages().is_empty());
}
