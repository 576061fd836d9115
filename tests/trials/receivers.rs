//! The other side of the network: receivers that keep what they get, and fail when told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread;
use std::time::Duration;

/// What a receiver has and how it behaves; clones are the same receiver.
#[derive(Clone)]
pub(crate) struct Received {
    kept: Arc<Mutex<Vec<u8>>>,
    mood: Arc<RwLock<Mood>>,
    gone: Arc<AtomicBool>,
    /// Held by the connection that is read.
    turn: Arc<Mutex<()>>,
}

/// How a receiver answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Takes everything.
    Well,
    /// Answers 503.
    Refuses,
    /// Reads half of what comes, then resets.
    Breaks,
    /// Takes this long for each request.
    Slow(Duration),
}

/// A receiver and where it listens.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    pub(crate) received: Received,
}

impl Received {
    fn new() -> Self {
        let mood = Arc::new(RwLock::new(Mood::Well));
        Self { kept: Arc::default(), mood, gone: Arc::default(), turn: Arc::default() }
    }

    /// All that was taken.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.kept.lock().unwrap().clone()
    }

    /// What was taken since this was last asked. A trial that takes more than a machine's memory
    /// asks for nothing else.
    pub(crate) fn drain(&self) -> Vec<u8> {
        std::mem::take(&mut self.kept.lock().unwrap())
    }

    /// From now on it behaves like this.
    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.write().unwrap() = mood;
    }

    fn mood(&self) -> Mood {
        *self.mood.read().unwrap()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.received.gone.store(true, Ordering::SeqCst);
        TcpStream::connect(self.address).ok();
    }
}

/// An HTTP server that keeps the bodies of all requests that it answered with 200.
pub(crate) fn http() -> Receiver {
    listen(|stream, received| {
        let mut reader = BufReader::new(stream);
        while let Some(length) = head(&mut reader) {
            let mood = received.mood();
            let mut body = vec![0; if mood == Mood::Breaks { length / 2 } else { length }];
            if reader.read_exact(&mut body).is_err() || mood == Mood::Breaks {
                return;
            }
            if let Mood::Slow(pause) = mood {
                thread::sleep(pause);
            }
            let answer = if mood == Mood::Refuses {
                "503 Service Unavailable"
            } else {
                received.kept.lock().unwrap().extend_from_slice(&body);
                "200 OK"
            };
            let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n");
            if reader.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

/// A server that keeps whole lines, of one connection after the other; a line that a connection
/// ends in is no message (RFC 6587).
pub(crate) fn lines() -> Receiver {
    listen(|stream, received| {
        let _turn = received.turn.lock();
        let mut reader = BufReader::with_capacity(1 << 16, stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok() && line.ends_with(b"\n") {
            received.kept.lock().unwrap().append(&mut line);
        }
    })
}

fn listen(serve: fn(TcpStream, &Received)) -> Receiver {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let receiver = Receiver { address: listener.local_addr().unwrap(), received: Received::new() };
    let received = receiver.received.clone();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if received.gone.load(Ordering::SeqCst) {
                return;
            }
            let received = received.clone();
            thread::spawn(move || serve(stream, &received));
        }
    });
    receiver
}

/// Reads the head of a request; the length of its body, or `None` at the end of the connection.
fn head(reader: &mut BufReader<TcpStream>) -> Option<usize> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            return Some(length);
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
}
