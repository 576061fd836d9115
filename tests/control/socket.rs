//! The socket as a stranger meets it, and as a client that is up to no good does.

use crate::installed::has;
use crate::rig::Rig;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;

#[test]
fn nobody_but_the_agents_user_and_root_may_ask() {
    let rig = Rig::new();
    let _agent = rig.start();
    let mode = fs::metadata(rig.path("data/control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    if !nix::unistd::geteuid().is_root() || !has("python3") {
        return;
    }
    // Everybody may come as far as the socket, and even write to it: the kernel says who it is.
    for (name, mode) in [("", 0o755), ("data", 0o755), ("data/control.sock", 0o666)] {
        fs::set_permissions(rig.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let socket = rig.path("data/control.sock");
    let script = r#"import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b'{"version": 1, "ask": "status"}\n')
print(s.recv(65536).decode())"#;
    let output = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(socket)
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("only the agent's own user and root may ask"), "{output:?}");
    assert!(!told.contains("components"));
}

#[test]
fn what_is_no_request_is_told_so_and_what_is_too_long_is_not_read() {
    let rig = Rig::new();
    let _agent = rig.start();
    let connect = || UnixStream::connect(rig.path("data/control.sock")).unwrap();
    let mut stream = connect();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let mut answer = |request: &str| {
        stream.write_all(request.as_bytes()).unwrap();
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        line
    };
    assert!(answer("\u{0}\u{1}nonsense\n").contains("not a request"));
    assert!(answer("{\"version\": 99, \"ask\": \"status\"}\n").contains("version 1"));
    assert!(answer("{\"version\": 1, \"ask\": \"status\"}\n").contains("components"));
    let mut long = connect();
    // It hangs up in the middle, so that not all of it may be taken.
    long.write_all(&vec![b'x'; 1 << 20]).ok();
    let mut rest = Vec::new();
    long.read_to_end(&mut rest).ok();
    assert!(rest.is_empty());
    assert_eq!(rig.ask(&["status"]).code, 0);
}

#[test]
fn clients_that_do_not_read_hold_up_neither_the_agent_nor_its_end() {
    let rig = Rig::new();
    let agent = rig.start();
    let mut idle = Vec::new();
    for _ in 0..12 {
        let mut stream = UnixStream::connect(rig.path("data/control.sock")).unwrap();
        stream.set_nonblocking(true).unwrap();
        // Asks until neither side takes more.
        while stream.write_all(b"{\"version\": 1, \"ask\": \"status\"}\n").is_ok() {}
        idle.push(stream);
    }
    rig.append("in.log", "goes on\n");
    rig.wait_until("records flow", || rig.read("out.log") == "goes on\n");
    assert_eq!(rig.ask(&["status"]).code, 0);
    assert!(agent.stop().success());
    drop(idle);
}

#[test]
fn a_second_agent_with_the_same_state_does_not_start_and_says_whose_it_is() {
    let rig = Rig::new();
    let first = rig.start();
    for arguments in [&["agent"][..], &["agent", "--once"]] {
        let second = rig.ask(arguments);
        assert_eq!(second.code, 1, "{second:?}");
        let pid = format!("another agent (pid {})", first.id());
        assert!(second.err.contains(&pid) && second.err.contains("control.sock"), "{second:?}");
    }
    let path = rig.path("in.log").display().to_string();
    for arguments in [&["validate", "config"][..], &["graph", "config"], &["logs", &path]] {
        let output = rig.command(arguments).output().unwrap();
        assert!(output.status.success(), "what keeps no state is free: {output:?}");
    }
    rig.append("in.log", "still here\n");
    rig.wait_until("the first goes on", || rig.read("out.log") == "still here\n");
    assert_eq!(rig.status()["pid"], first.id());
    first.kill();
    let again = rig.start();
    assert_eq!(rig.status()["pid"], again.id(), "a killed one is in nobody's way");
    assert!(again.stop().success());
    assert_eq!(rig.ask(&["agent", "--once"]).code, 0);
}
