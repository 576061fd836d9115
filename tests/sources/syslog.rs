//! `syslog` and `socket`: what clients send is what comes out.

use crate::installed::has;
use crate::rig::Rig;
use crate::tls::Authority;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Command, Stdio};

fn syslog(settings: &str) -> Rig {
    Rig::new(&format!("sources:\n  in: {{type: syslog, {settings}}}"))
}

fn connect(rig: &Rig) -> TcpStream {
    TcpStream::connect((Ipv4Addr::LOCALHOST, rig.port)).unwrap()
}

fn logger(arguments: &[&str], message: &str) {
    let status = Command::new("/usr/bin/logger").args(arguments).arg(message).status().unwrap();
    assert!(status.success());
}

#[test]
fn logger_is_heard_over_udp_and_tcp_in_both_framings_and_over_a_unix_socket() {
    if !has("logger") {
        return;
    }
    let rig = Rig::with_sink(
        "sources:\n  udp: {type: syslog, mode: udp, listen: '127.0.0.1:FREE_PORT'}\n  \
         tcp: {type: syslog, mode: tcp, listen: '127.0.0.1:FREE_PORT'}\n  \
         unix: {type: syslog, mode: unix, listen: DIR/log, socket_mode: '0622'}\n  \
         stream: {type: syslog, mode: unix_stream, listen: DIR/stream}",
        "  out: {type: file, inputs: [udp, tcp, unix, stream], path: DIR/out}",
    );
    let agent = rig.agent(&[]);
    rig.wait_until("all four listen", || rig.text("said").matches("listening").count() == 4);
    let port = rig.port.to_string();
    let net = ["-n", "127.0.0.1", "-P", &port, "-p", "auth.err", "-t", "app", "--rfc5424=notq"];
    logger(&[&net[..], &["-d"]].concat(), "by udp");
    logger(&[&net[..], &["-T"]].concat(), "by tcp");
    logger(&[&net[..], &["-T", "--octet-count"]].concat(), "by tcp,\ncounted");
    let (log, stream) = (rig.path("log"), rig.path("stream"));
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o622);
    logger(&["-u", log.to_str().unwrap(), "-p", "auth.err", "-t", "app"], "by socket");
    let mut client = UnixStream::connect(stream).unwrap();
    client.write_all(b"<35>by stream\n").unwrap();
    let lines = rig.lines(6);
    for end in ["by socket", "by stream", "by tcp", "by tcp,", "by udp"] {
        let is_it = |line: &&String| line.starts_with("<35>") && line.ends_with(end);
        assert_eq!(lines.iter().filter(is_it).count(), 1, "{end}: {lines:#?}");
    }
    assert!(lines.iter().any(|line| line == "counted"), "the line feed within is kept: {lines:#?}");
    assert!(agent.stop().success());
    assert!(!log.exists(), "the socket goes with its listener");
}

#[test]
fn many_clients_at_a_time_lose_nothing_and_each_one_keeps_its_order() {
    let rig =
        syslog("mode: tcp, listen: '127.0.0.1:FREE_PORT', connection_limit: 8, peer_field: peer");
    let agent = rig.listener();
    // More clients than may be connected: those beyond wait, and lose nothing either.
    let clients: Vec<_> = (0..20)
        .map(|client| {
            let mut stream = connect(&rig);
            std::thread::spawn(move || {
                for number in 0..500 {
                    let message = format!("<13>{client} {number}");
                    if number % 2 == 0 {
                        writeln!(stream, "{message}").unwrap();
                    } else {
                        write!(stream, "{} {message}", message.len()).unwrap();
                    }
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    rig.wait_until("all are there", || rig.text("out").lines().count() >= 10_000);
    assert!(agent.stop().success());
    let mut seen = [0; 20];
    for record in rig.records() {
        assert_eq!(record["peer"], "127.0.0.1");
        let message = record["message"].as_str().unwrap().strip_prefix("<13>").unwrap();
        let (client, number) = message.split_once(' ').unwrap();
        let client: usize = client.parse().unwrap();
        assert_eq!(number.parse(), Ok(seen[client]), "client {client}");
        seen[client] += 1;
    }
    assert_eq!(seen, [500; 20]);
}

#[test]
fn what_was_sent_before_the_stop_is_delivered_and_a_sink_that_is_away_holds_the_client_back() {
    // The sink cannot write, since a directory is in its place, until that is taken away.
    let rig = syslog("mode: tcp, listen: '127.0.0.1:FREE_PORT', max_message_bytes: 1MiB");
    fs::create_dir(rig.path("out")).unwrap();
    let agent = rig.listener();
    let mut client = connect(&rig);
    let line = format!("<13>{}\n", "x".repeat(64 << 10));
    client.set_write_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
    let mut sent = 0;
    // The sockets' own buffers take some; then the client has to wait.
    while sent < 2000 && client.write_all(line.as_bytes()).is_ok() {
        sent += 1;
    }
    assert!(sent < 2000, "the client was never held back");
    fs::remove_dir(rig.path("out")).unwrap();
    rig.wait_until("what was sent is there", || {
        rig.text("out").lines().filter(|found| found.len() == line.len() - 1).count() >= sent
    });
    client.shutdown(std::net::Shutdown::Both).ok();
    assert!(agent.stop().success());
}

#[test]
fn messages_that_are_too_long_are_cut_and_the_next_ones_are_whole() {
    let rig = syslog("mode: tcp, listen: '127.0.0.1:FREE_PORT', max_message_bytes: 100KiB");
    let agent = rig.listener();
    let (long, longer) = ("y".repeat(70_000), "z".repeat(300_000));
    let mut client = connect(&rig);
    write!(
        client,
        "<1>{long}\n<2>{longer}\n{} <3>{longer}{} <4>{long}",
        longer.len() + 3,
        long.len() + 3
    )
    .unwrap();
    drop(client);
    let lines = rig.lines(4);
    let lengths: Vec<_> = lines.iter().map(String::len).collect();
    assert_eq!(lengths, [70_003, 102_400, 102_400, 70_003]);
    assert!(rig.text("said").contains("cut short"));
    assert!(agent.stop().success());
}

#[test]
fn lines_that_belong_together_are_joined_on_each_connection_by_itself() {
    let rig = Rig::new(
        "sources:\n  in: {type: socket, mode: tcp, listen: '127.0.0.1:FREE_PORT', \
         peer_field: peer, delimiter: \"\\r\\n\", max_message_bytes: 1KiB, on_long_line: skip, \
         multiline: {mode: java, timeout: 200ms}}",
    );
    let agent = rig.listener();
    let (mut one, mut other) = (connect(&rig), connect(&rig));
    let frame = "\tat a.b.C(D.java:1)";
    for (client, name) in [(&mut one, "one"), (&mut other, "other")] {
        write!(client, "{name}\r\na.b.{name}Exception: x\r\n").unwrap();
    }
    for client in [&mut one, &mut other] {
        write!(client, "{frame}\r\n").unwrap();
    }
    // Nothing more comes on these connections, which stay open.
    rig.wait_until("their time is over", || rig.records().len() == 2);
    write!(one, "{}\r\nlast\r\n{frame}", "x".repeat(3000)).unwrap();
    drop(one);
    rig.wait_until("the rest is there", || rig.records().len() == 3);
    assert!(agent.stop().success());
    let records = rig.records();
    let mut messages: Vec<&str> =
        records.iter().map(|record| record["message"].as_str().unwrap()).collect();
    messages.sort_unstable();
    let trace = |name: &str| format!("{name}\r\na.b.{name}Exception: x\r\n{frame}");
    assert_eq!(messages, [format!("last\r\n{frame}"), trace("one"), trace("other")]);
    assert!(records.iter().all(|record| record["peer"] == "127.0.0.1"));
}

#[test]
fn text_of_another_encoding_is_read_from_streams_and_datagrams() {
    let rig = Rig::with_sink(
        "sources:\n  wide: {type: socket, mode: unix_stream, listen: DIR/wide, encoding: utf-16le}\n  \
         old: {type: socket, mode: unix, listen: DIR/old, encoding: latin1}",
        "  out: {type: file, inputs: [wide, old], path: DIR/out}",
    );
    let agent = rig.agent(&[]);
    rig.wait_until("both listen", || rig.text("said").matches("listening").count() == 2);
    UnixDatagram::unbound().unwrap().send_to(b"gr\xfcn\n", rig.path("old")).unwrap();
    rig.lines(1);
    let wide: Vec<u8> = "weiß\nrot".encode_utf16().flat_map(u16::to_le_bytes).collect();
    UnixStream::connect(rig.path("wide")).unwrap().write_all(&wide).unwrap();
    assert_eq!(rig.lines(3), ["grün", "weiß", "rot"]);
    assert!(agent.stop().success());
}

#[test]
fn datagrams_keep_their_bounds_and_name_their_sender() {
    let rig = Rig::new(
        "sources:\n  in: {type: socket, mode: udp, listen: '127.0.0.1:FREE_PORT', peer_field: from, \
         receive_buffer_bytes: 4MiB, max_message_bytes: 64KiB}",
    );
    let agent = rig.listener();
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    // One byte below the largest there is: far more than the MTU of any network.
    let large = "x".repeat(65_000);
    for message in ["one\n", "two\nlines\n", "\n", "", &large, "12 <not counted"] {
        client.send_to(message.as_bytes(), (Ipv4Addr::LOCALHOST, rig.port)).unwrap();
    }
    rig.lines(4);
    assert!(agent.stop().success());
    let records = rig.records();
    let messages: Vec<_> =
        records.iter().map(|record| record["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["one", "two\nlines", &large, "12 <not counted"]);
    assert!(records.iter().all(|record| record["from"] == "127.0.0.1"));
}

#[test]
fn a_socket_that_a_dead_process_left_is_replaced_and_one_in_use_is_not() {
    let rig = Rig::new("sources:\n  in: {type: socket, mode: unix, listen: DIR/log}");
    drop(UnixDatagram::bind(rig.path("log")).unwrap());
    let agent = rig.listener();
    UnixDatagram::unbound().unwrap().send_to(b"hello", rig.path("log")).unwrap();
    assert_eq!(rig.lines(1), ["hello"]);
    agent.kill();

    let _other = UnixDatagram::bind(rig.path("other")).unwrap();
    rig.write(
        "config/topology.yml",
        "sources: {in: {type: socket, mode: unix, listen: DIR/other}}\n\
         sinks: {out: {type: file, inputs: [in], path: DIR/out}}\n",
    );
    let agent = rig.agent(&[]);
    rig.wait_until("it says why", || rig.text("said").contains("another process listens on it"));
    agent.kill();
}

#[test]
fn rsyslog_forwards_to_it_over_udp_and_tcp() {
    if !has("rsyslogd") {
        return;
    }
    let rig = Rig::with_sink(
        "sources:\n  udp: {type: syslog, mode: udp, listen: '127.0.0.1:FREE_PORT'}\n  \
         tcp: {type: syslog, mode: tcp, listen: '127.0.0.1:FREE_PORT'}",
        "  by_udp: {type: file, inputs: [udp], path: DIR/udp}\n  \
         by_tcp: {type: file, inputs: [tcp], path: DIR/out}",
    );
    let agent = rig.agent(&[]);
    rig.wait_until("both listen", || rig.text("said").matches("listening").count() == 2);
    let target = "action(type=\"omfwd\" target=\"127.0.0.1\" port=\"FREE_PORT\"";
    rig.write(
        "rsyslog.conf",
        &format!(
            "module(load=\"imfile\")\nglobal(workDirectory=\"DIR\")\n\
             input(type=\"imfile\" file=\"DIR/app.log\" tag=\"app:\" facility=\"local3\")\n\
             {target} protocol=\"udp\")\n\
             {target} protocol=\"tcp\" tcp_framing=\"octet-counted\" template=\"RSYSLOG_SyslogProtocol23Format\")\n"
        ),
    );
    let text: String = (0..100).map(|number| format!("line {number}\n")).collect();
    fs::write(rig.path("app.log"), text).unwrap();
    let mut rsyslog = Command::new("/usr/sbin/rsyslogd")
        .args(["-n", "-f"])
        .arg(rig.path("rsyslog.conf"))
        .arg("-i")
        .arg(rig.path("rsyslog.pid"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    rig.wait_until("all lines are there twice", || {
        [rig.text("udp"), rig.text("out")].iter().all(|text| text.lines().count() >= 100)
    });
    rsyslog.kill().unwrap();
    rsyslog.wait().unwrap();
    assert!(agent.stop().success());
    for (number, line) in rig.text("out").lines().filter(|line| line.contains(" app")).enumerate() {
        assert!(line.starts_with("<157>1 "), "{line}");
        assert!(line.ends_with(&format!("line {number}")), "{line}");
    }
}

#[test]
fn over_tls_only_clients_with_a_certificate_are_heard() {
    let authority = Authority::new();
    let rig =
        syslog(&format!("mode: tcp, listen: '127.0.0.1:FREE_PORT', {}", authority.settings()));
    let agent = rig.listener();
    let mut client = authority.client(&rig, true);
    client.write_all(b"<1>a line\n11 <2>counted\n\n").unwrap();
    client.flush().unwrap();
    rig.lines(2);
    let mut stranger = authority.client(&rig, false);
    // The refusal may come only after the handshake, as the answer to what was said first.
    assert!(stranger.write_all(b"<3>no\n").and_then(|()| stranger.read(&mut [0; 9])).is_err());
    let mut plain = connect(&rig);
    plain.write_all(b"<4>plain\n").unwrap();
    plain.read_to_end(&mut Vec::new()).ok();
    assert!(agent.stop().success());
    assert_eq!(rig.lines(2), ["<1>a line", "<2>counted"]);
}

#[test]
fn a_wrong_setting_is_told_with_its_place() {
    let complaint = syslog("mode: udp, listen: '514'").complaint();
    assert!(complaint.contains("topology.yml:2:"), "{complaint}");
    assert!(complaint.contains("`listen` is `514`, expected an address"), "{complaint}");
}
