//! A server that tells everybody what it was told, as badly written ones do.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Answers every request with one status and the request itself.
pub(crate) struct Echo {
    port: u16,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Echo {
    pub(crate) fn start(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        // It ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&seen);
                thread::spawn(move || answer(stream, status, &seen));
            }
        });
        Self { port, requests }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    pub(crate) fn last_request(&self) -> Vec<u8> {
        self.requests.lock().unwrap().last().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, status: &str, seen: &Mutex<Vec<Vec<u8>>>) {
    let mut request = vec![0; 64 << 10];
    let length = stream.read(&mut request).unwrap_or(0);
    request.truncate(length);
    let head = format!(
        "HTTP/1.1 {status}\r\nlocation: /x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    // The other side may be gone already.
    stream.write_all(&[head.into_bytes(), request.clone()].concat()).ok();
    seen.lock().unwrap().push(request);
}
