//! What somebody learns who asks whether the agent is well.

use crate::rig::Rig;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// An address that nobody listens on.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The status and the body of a page; nothing where nobody answers.
fn get(address: SocketAddr, page: &str) -> Option<(String, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {page} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.to_owned(), body.to_owned()))
}

#[test]
fn a_component_that_has_failed_makes_the_agent_ill_and_that_is_over_when_it_works_again() {
    let rig = Rig::new();
    let (page, taken) = (free(), TcpListener::bind("127.0.0.1:0").unwrap());
    let occupied = taken.local_addr().unwrap();
    let sink = |address| format!("{{type: prometheus, inputs: [own], listen: '{address}'}}");
    let config = format!(
        "sources: {{own: {{type: internal_metrics}}}}\nsinks:\n  page: {}\n  other: {}\n",
        sink(page),
        sink(occupied)
    );
    rig.write("config/topology.yml", &config);
    let _agent = rig.start();
    rig.wait_until("it is ill", || {
        get(page, "/healthz").is_some_and(|(status, _)| status == "503")
    });
    let (_, body) = get(page, "/healthz").unwrap();
    assert!(body.contains("\"failing\"") && body.contains("other has failed: listen on"), "{body}");
    assert_eq!(get(page, "/readyz").unwrap().0, "503");
    assert_eq!(rig.ask(&["status"]).code, 1);
    drop(taken);
    rig.wait_until("it is well again", || get(page, "/healthz").unwrap().0 == "200");
    assert_eq!(get(page, "/readyz").unwrap().0, "200");
}

#[test]
fn an_agent_is_not_ready_before_its_desired_state_was_run() {
    let rig = Rig::new();
    let page = free();
    rig.write(
        "config/facts.yml",
        &format!("collect: [loadavg]\nexport:\n  - prometheus: {{listen: '{page}'}}\n"),
    );
    let go = rig.path("go");
    let wait = format!("while [ ! -e {} ]; do sleep 0.05; done", go.display());
    rig.write("config/apply.yml", &format!("tasks:\n  - name: waits\n    shell: '{wait}'\n"));
    let _agent = rig.start();
    rig.wait_until("it answers", || get(page, "/readyz").is_some());
    let (status, body) = get(page, "/readyz").unwrap();
    assert_eq!(status, "503", "{body}");
    assert!(body.contains("the desired state was not run yet"), "{body}");
    assert_eq!(get(page, "/healthz").unwrap().0, "200");
    fs::write(&go, "").unwrap();
    rig.wait_until("it is ready", || get(page, "/readyz").unwrap().0 == "200");
}
