//! `http`: what is sent in requests, and what they are answered.

use crate::rig::Rig;
use crate::tls::Authority;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

fn http(settings: &str) -> Rig {
    Rig::new(&format!("sources:\n  in: {{type: http, listen: '127.0.0.1:FREE_PORT', {settings}}}"))
}

fn connect(rig: &Rig) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, rig.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

fn write_request(stream: &mut impl Write, path: &str, headers: &[&str], body: &[u8]) {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"
    )
    .unwrap();
    // The server may refuse before it has read all.
    stream.write_all(body).ok();
}

fn read_answer(stream: &mut impl Read) -> (u16, String) {
    let mut bytes = Vec::new();
    // Where the server refused a body, the connection may be reset after the answer.
    stream.read_to_end(&mut bytes).ok();
    let text = String::from_utf8(bytes).unwrap();
    let status = text.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {text}"));
    (status.parse().unwrap(), text)
}

fn post(rig: &Rig, path: &str, headers: &[&str], body: impl AsRef<[u8]>) -> (u16, String) {
    let mut stream = connect(rig);
    write_request(&mut stream, path, headers, body.as_ref());
    read_answer(&mut stream)
}

fn gzip(text: &str) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn every_format_and_packing_arrives_and_200_means_that_it_is_there() {
    let rig = http("path: /in");
    let agent = rig.listener();
    let json = "Content-Type: application/json; charset=utf-8";
    let requests: [(&[&str], Vec<u8>, &[&str]); 6] = [
        (&[], b"{\"n\":1}\n\n{\"n\":2}".to_vec(), &["{\"n\":1}", "{\"n\":2}"]),
        (&[json], b"[{\"n\":\n3},{\"n\":4}]".to_vec(), &["{\"n\": 3}", "{\"n\":4}"]),
        (&[json], b"{\"n\":5}\n".to_vec(), &["{\"n\":5}"]),
        (&["Content-Type: text/plain"], b"six\nseven".to_vec(), &["six", "seven"]),
        (&["Content-Encoding: gzip"], gzip("{\"n\":8}\n"), &["{\"n\":8}"]),
        (
            &["Content-Encoding: zstd"],
            zstd::encode_all(&b"{\"n\":9}\n"[..], 1).unwrap(),
            &["{\"n\":9}"],
        ),
    ];
    let mut expected = Vec::new();
    for (headers, body, records) in requests {
        assert_eq!(post(&rig, "/in", headers, body).0, 200, "{headers:?}");
        expected.extend(records.iter().map(ToString::to_string));
        // No waiting: where the answer is 200, the sink has it.
        assert_eq!(rig.text("out").lines().collect::<Vec<_>>(), expected);
    }
    assert!(agent.stop().success());
}

#[test]
fn what_is_wrong_is_refused_whole_and_says_why() {
    let rig = http("path: /in, max_body_bytes: 1KiB, auth: {bearer: '{{ secrets.TEST_TOKEN }}'}");
    let agent = rig.listener();
    let token = "Authorization: Bearer a-token-for-tests";
    let refused = |headers: &[&str], body: &[u8], status: u16, words: &str| {
        let (found, answer) = post(&rig, "/in", headers, body);
        assert!(found == status && answer.contains(words), "{answer}");
    };
    refused(&[], b"{}", 401, "www-authenticate: Bearer");
    refused(&["Authorization: Bearer a-token-for-test"], b"{}", 401, "");
    refused(&[token], b"{\"good\":1}\n{\"bad\":}\n", 400, "line 2: expected value at column 8");
    refused(&[token, "Content-Encoding: br"], b"{}", 415, "gzip");
    refused(&[token, "Content-Encoding: gzip"], b"no gzip", 400, "unpacked");
    refused(&[token], &[b'x'; 1025], 413, "1KiB");
    refused(&[token, "Content-Encoding: gzip"], &gzip(&"{}\n".repeat(9999)), 413, "1KiB");
    assert_eq!(post(&rig, "/other", &[token], "{}").0, 404);
    let mut stream = connect(&rig);
    write!(stream, "GET /in HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
    let (status, answer) = read_answer(&mut stream);
    assert!(status == 405 && answer.contains("allow: POST, PUT"), "{answer}");
    assert_eq!(post(&rig, "/in", &[token], "{\"good\":2}").0, 200);
    assert!(agent.stop().success());
    assert_eq!(rig.text("out"), "{\"good\":2}\n", "nothing of a refused request is taken");
    assert!(!rig.text("said").contains("a-token"));
}

#[test]
fn a_client_is_asked_to_come_back_while_there_is_no_room_and_nothing_accepted_is_lost() {
    let rig = http("max_body_bytes: 64KiB, max_buffered_bytes: 128KiB, acknowledge: accepted");
    // The sink cannot write, since a directory is in its place, until that is taken away.
    fs::create_dir(rig.path("out")).unwrap();
    let agent = rig.listener();
    let body = |number: usize| format!("{{\"n\":{number},\"pad\":\"{}\"}}\n", "x".repeat(40_000));
    let mut accepted = Vec::new();
    for number in 0..8 {
        match post(&rig, "/", &[], body(number)) {
            (202, _) => accepted.push(number),
            (429, answer) => assert!(answer.contains("retry-after: 1"), "{answer}"),
            (_, answer) => panic!("{answer}"),
        }
    }
    assert!((1..=3).contains(&accepted.len()), "{accepted:?}");
    fs::remove_dir(rig.path("out")).unwrap();
    rig.wait_until("there is room again", || post(&rig, "/", &[], body(99)).0 == 202);
    assert!(agent.stop().success());
    let numbers: Vec<_> =
        rig.records().iter().map(|record| record["n"].as_u64().unwrap()).collect();
    let expected: Vec<_> = accepted.iter().map(|n| *n as u64).chain([99]).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn slow_clients_are_hung_up_on_and_undelivered_records_are_not_answered_200() {
    let rig = http("header_timeout: 300ms, timeout: 300ms");
    fs::create_dir(rig.path("out")).unwrap();
    let agent = rig.listener();
    let mut slow_head = connect(&rig);
    write!(slow_head, "POST / HT").unwrap();
    let mut slow_body = connect(&rig);
    write!(
        slow_body,
        "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\nConnection: close\r\n\r\n{{"
    )
    .unwrap();
    assert_eq!(read_answer(&mut slow_body).0, 408);
    let mut rest = Vec::new();
    slow_head.read_to_end(&mut rest).unwrap();
    let (status, answer) = post(&rig, "/", &[], "{\"n\":1}");
    assert!(status == 503 && answer.contains("retry-after"), "{answer}");
    fs::remove_dir(rig.path("out")).unwrap();
    rig.lines(1);
    assert!(agent.stop().success());
}

#[test]
fn headers_and_peer_become_fields_and_json_is_parsed_by_the_pipeline() {
    let rig = Rig::with_sink(
        "sources:\n  raw: {type: http, listen: '127.0.0.1:FREE_PORT', headers: {X-Service: service}, \
         peer_field: peer}\ntransforms:\n  in: {type: parse, format: json, inputs: [raw]}",
        "  out: {type: file, inputs: [in], path: DIR/out}",
    );
    let agent = rig.listener();
    assert_eq!(post(&rig, "/", &["X-Service: shop"], "{\"level\":\"info\"}").0, 200);
    assert!(agent.stop().success());
    let records = rig.records();
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!(record["level"], "info");
    assert_eq!((&record["service"], &record["peer"]), (&"shop".into(), &"127.0.0.1".into()));
}

#[test]
fn requests_that_are_under_way_at_the_stop_are_answered() {
    let rig = http("format: text");
    let agent = rig.listener();
    let mut stream = connect(&rig);
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 6\r\n\r\nhal"
    )
    .unwrap();
    // Another request after it shows that the first one has been seen.
    assert_eq!(post(&rig, "/", &[], "whole").0, 200);
    let stopping = std::thread::spawn(move || agent.stop());
    rig.wait_until("it drains", || rig.text("said").contains("draining"));
    stream.write_all(b"ved").unwrap();
    assert_eq!(read_answer(&mut stream).0, 200);
    assert!(stopping.join().unwrap().success());
    assert_eq!(rig.lines(2), ["whole", "halved"]);
}

#[test]
fn at_the_stop_nobody_waits_long_for_an_answer_though_the_sink_be_away_and_a_body_unfinished() {
    let rig = http("format: text, timeout: 10m");
    fs::create_dir(rig.path("out")).unwrap();
    let agent = rig.listener();
    let mut undelivered = connect(&rig);
    write_request(&mut undelivered, "/", &[], b"a line");
    rig.wait_until("the sink is away", || rig.text("said").contains("will try again"));
    let mut unfinished = connect(&rig);
    write!(
        unfinished,
        "POST / HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 6\r\n\r\nhal"
    )
    .unwrap();
    // Another request after it shows that it has been seen.
    let mut after = connect(&rig);
    write!(after, "GET /no HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut after).0, 404);
    let stopping = std::thread::spawn(move || agent.stop());
    for stream in [&mut undelivered, &mut unfinished] {
        let (status, answer) = read_answer(stream);
        assert!(status == 503 && answer.contains("retry-after"), "{answer}");
    }
    fs::remove_dir(rig.path("out")).unwrap();
    stopping.join().unwrap();
}

#[test]
fn lines_of_text_are_joined_within_one_body() {
    let rig = http("format: text, multiline: {mode: python}");
    let agent = rig.listener();
    let trace = "Traceback (most recent call last):\n  File \"a\", line 1\nOSError: no";
    let body = format!("fine\nit broke\n{trace}\nfine\n");
    assert_eq!(post(&rig, "/", &[], &body).0, 200);
    assert_eq!(post(&rig, "/", &["Content-Encoding: gzip"], gzip(trace)).0, 200);
    assert!(agent.stop().success());
    let messages: Vec<String> = rig.text("out").split("fine\n").map(str::to_owned).collect();
    assert_eq!(messages, ["".to_owned(), format!("it broke\n{trace}\n"), format!("{trace}\n")]);
}

#[test]
fn over_tls_only_clients_with_a_certificate_are_let_in() {
    let authority = Authority::new();
    let rig = http(&authority.settings());
    let agent = rig.listener();
    let mut stream = authority.client(&rig, true);
    write_request(&mut stream, "/", &[], b"{\"n\":1}");
    assert_eq!(read_answer(&mut stream).0, 200);
    let mut stranger = authority.client(&rig, false);
    assert!(stranger.write_all(b"POST").and_then(|()| stranger.read(&mut [0; 9])).is_err());
    assert!(agent.stop().success());
    assert_eq!(rig.lines(1), ["{\"n\":1}"]);
}
