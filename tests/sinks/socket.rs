//! The `socket` sink against receivers in this process, and `blackhole`, which needs none.

use crate::harness::{Bench, free_port};
use serde_json::json;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::time::Instant;

#[test]
fn lines_reach_a_receiver_that_comes_late_and_goes_away_once() {
    let port = free_port();
    let sink = json!({
        "type": "socket", "url": format!("tcp://127.0.0.1:{port}"), "encoding": "text",
        "retry": { "initial": "20ms", "max": "100ms" },
    });
    let bench = Bench::new(json!({}), sink);
    // Ends with the test.
    let _agent = bench.start(&[]);
    bench.append("one\ntwo\n");
    bench.wait_until("it says that nobody is there", || bench.said().contains("refused"));
    // Whoever closes before the sender has seen that all arrived gets the lines once more.
    let receive = |old: &[&str], expected: [&str; 2]| {
        let mut bound = None;
        bench.wait_until("the port is free", || {
            bound = TcpListener::bind(("127.0.0.1", port)).ok();
            bound.is_some()
        });
        let reader = BufReader::new(bound.unwrap().accept().unwrap().0);
        let lines = reader.lines().map(Result::unwrap).skip_while(|line| old.contains(&&**line));
        assert_eq!(lines.take(2).collect::<Vec<_>>(), expected);
    };
    receive(&[], ["one", "two"]);
    // The receiver is away again, with the connection closed at its end.
    bench.append("three\nfour\n");
    receive(&["one", "two"], ["three", "four"]);
}

#[test]
fn a_unix_stream_gets_every_record_in_its_frame() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let sink = json!({
        "type": "socket", "url": format!("unix-stream://{}", path.display()), "encoding": "text",
        "framing": "length_delimited",
    });
    let bench = Bench::new(json!({}), sink);
    let long = "x".repeat(100_000);
    bench.append(format!("one\n{long}\n"));
    let agent = bench.start(&["--once"]);
    let mut stream = listener.accept().unwrap().0;
    for expected in ["one", &long] {
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let mut text = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut text).unwrap();
        assert!(text == expected.as_bytes());
    }
    assert!(agent.wait().success(), "{}", bench.said());
}

#[test]
fn a_black_hole_takes_no_more_than_its_rate_and_says_what_it_took() {
    let sink = json!({ "type": "blackhole", "rate": 100, "interval": "1h" });
    let bench = Bench::new(json!({}), sink);
    bench.append("line\n".repeat(60));
    let begun = Instant::now();
    bench.once();
    assert!(begun.elapsed().as_millis() >= 600, "{:?}", begun.elapsed());
    let said = bench.said();
    assert!(said.contains("records=60") && said.contains("thrown away"), "{said}");
}
