//! Both ends of HTTP, as small as tests need them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What an HTTP server answers; empty where it does not.
pub(crate) fn get(port: u16, path: &str) -> String {
    let mut answer = String::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        let asked =
            write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        asked.and_then(|()| stream.read_to_string(&mut answer)).ok();
    }
    answer
}

/// Takes one request and says that all is well; gives its head and body. A look whether anybody
/// is there is answered and does not count.
pub(crate) fn one_request(listener: &TcpListener) -> (String, String) {
    loop {
        let (stream, _) = listener.accept().unwrap();
        if let Some(request) = request_on(stream) {
            return request;
        }
    }
}

/// As [`one_request`], of this connection; none where it only looked, or was closed unused.
pub(crate) fn request_on(stream: TcpStream) -> Option<(String, String)> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap() == 0 {
            assert_eq!(head, "", "the request ends in its head");
            return None;
        }
    }
    if head.starts_with("HEAD ") {
        let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        reader.get_mut().write_all(answer).unwrap();
        return None;
    }
    let head = head.to_lowercase();
    let length = head.split("content-length:").nth(1).and_then(|rest| rest.lines().next());
    let mut body = vec![0; length.unwrap().trim().parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    Some((head, String::from_utf8(body).unwrap()))
}
