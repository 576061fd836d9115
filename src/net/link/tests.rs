//! What a link promises, held against receivers in this process.

use super::*;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const PATIENCE: Duration = Duration::from_secs(5);

fn link(url: &str, framing: Option<Framing>, patience: Duration) -> Link {
    let keep_alive = KeepAliveSettings::default();
    let tls = TlsSettings::default();
    Link::new(&url.parse().unwrap(), framing, keep_alive, &tls, patience).unwrap()
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    (listener, url)
}

fn body(link: &Link, messages: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    for message in messages {
        link.framing().frame(message, &mut body);
    }
    body
}

#[tokio::test]
async fn a_stream_carries_frames_of_any_size() {
    let (listener, url) = listener().await;
    let received = tokio::spawn(async move {
        let mut all = Vec::new();
        listener.accept().await.unwrap().0.read_to_end(&mut all).await.unwrap();
        all
    });
    let link = link(&url, Some(Framing::OctetCounting), PATIENCE);
    let large = vec![b'x'; 3 << 20];
    let sent = body(&link, &[b"one", &large]);
    link.send(&sent).await.unwrap();
    link.send(&body(&link, &[b"two"])).await.unwrap();
    drop(link);
    let received = received.await.unwrap();
    assert!(received == [&b"3 one3145728 "[..], &large, b"3 two"].concat());
}

#[tokio::test]
async fn a_receiver_that_closed_meanwhile_is_noticed_before_anything_is_written() {
    let (listener, url) = listener().await;
    let link = link(&url, None, PATIENCE);
    let first = body(&link, &[b"first"]);
    link.send(&first).await.unwrap();
    let (mut peer, _) = listener.accept().await.unwrap();
    let mut text = [0; 6];
    peer.read_exact(&mut text).await.unwrap();
    drop(peer);
    link.send(&body(&link, &[b"second"])).await.unwrap();
    let (mut peer, _) = listener.accept().await.unwrap();
    let mut text = [0; 7];
    peer.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"second\n");
}

#[tokio::test]
async fn a_receiver_that_reads_nothing_is_a_fault_and_one_that_is_slow_is_not() {
    let (listener, url) = listener().await;
    let link = link(&url, None, Duration::from_millis(100));
    let large = body(&link, &[&vec![b'x'; 16 << 20]]);
    let fault = link.send(&large).await.unwrap_err();
    assert!(fault.message.contains("takes nothing more"), "{fault}");
    drop(listener.accept().await.unwrap());

    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    tokio::spawn(async move {
        let (mut peer, _) = listener.accept().await.unwrap();
        let mut chunk = vec![0; 512 << 10];
        while let Ok(1..) = peer.read(&mut chunk).await.inspect(|n| {
            count.fetch_add(*n, Ordering::SeqCst);
        }) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    link.send(&large).await.unwrap();
}

#[tokio::test]
async fn a_receiver_that_ends_before_it_has_all_is_a_fault() {
    let (listener, url) = listener().await;
    tokio::spawn(async move {
        let (mut peer, _) = listener.accept().await.unwrap();
        peer.read_exact(&mut [0; 100]).await.unwrap();
    });
    let link = link(&url, None, PATIENCE);
    let fault = link.send(&body(&link, &[&vec![b'x'; 16 << 20]])).await.unwrap_err();
    assert!(fault.message.starts_with("tcp://127.0.0.1:"), "{fault}");
}

#[tokio::test]
async fn a_receiver_that_answers_is_not_kept_from_reading() {
    let (listener, url) = listener().await;
    tokio::spawn(async move {
        let (mut peer, _) = listener.accept().await.unwrap();
        let mut chunk = vec![0; 65536];
        while let Ok(read @ 1..) = peer.read(&mut chunk).await {
            peer.write_all(&chunk[..read]).await.unwrap();
        }
    });
    let link = link(&url, None, PATIENCE);
    for _ in 0..64 {
        link.send(&body(&link, &[&vec![b'x'; 64 << 10]])).await.unwrap();
    }
}

#[tokio::test]
async fn datagrams_are_one_message_each() {
    let receiver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let udp = link(&format!("udp://{}", receiver.local_addr().unwrap()), None, PATIENCE);
    udp.send(&body(&udp, &[b"one", b"", b"three"])).await.unwrap();
    let mut text = [0; 100];
    for expected in [&b"one"[..], b"", b"three"] {
        let read = receiver.recv(&mut text).await.unwrap();
        assert_eq!(&text[..read], expected);
    }

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let receiver = UnixDatagram::bind(&path).unwrap();
    let unix = link(&format!("unix-datagram://{}", path.display()), None, PATIENCE);
    unix.send(&body(&unix, &[b"one"])).await.unwrap();
    assert_eq!(receiver.recv(&mut text).await.unwrap(), 3);
    // A receiver that starts anew has another socket under the same name.
    drop(receiver);
    std::fs::remove_file(&path).unwrap();
    assert!(unix.send(&body(&unix, &[b"lost"])).await.is_err());
    let receiver = UnixDatagram::bind(&path).unwrap();
    unix.send(&body(&unix, &[b"three"])).await.unwrap();
    assert_eq!(receiver.recv(&mut text).await.unwrap(), 5);
}

#[tokio::test]
async fn a_unix_stream_counts_as_delivered_once_its_reader_has_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let listener = UnixListener::bind(&path).unwrap();
    let link = link(&format!("unix-stream:{}", path.display()), Some(Framing::Nul), PATIENCE);
    let sent = body(&link, &[b"one"]);
    let reader = std::thread::spawn(move || {
        let mut text = [0; 4];
        std::io::Read::read_exact(&mut listener.accept().unwrap().0, &mut text).unwrap();
        text
    });
    // The reader ends, which closes the connection: whether that is seen is a matter of time.
    link.send(&sent).await.ok();
    assert_eq!(&reader.join().unwrap(), b"one\0");
    assert!(link.send(&sent).await.is_err(), "nobody is there any more");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let make_with = |url: &str, framing, keep_alive, tls: TlsSettings| {
        Link::new(&url.parse().unwrap(), framing, keep_alive, &tls, PATIENCE).err().unwrap()
    };
    let make = |url: &str, framing, keep_alive| {
        make_with(url, framing, keep_alive, TlsSettings::default())
    };
    let usual = KeepAliveSettings::default();
    assert!(make("tcp://a", None, usual).contains("no port"));
    assert!(make("udp://a:1", Some(Framing::Nul), usual).contains("for streams"));
    let never = KeepAliveSettings { idle: Period(Duration::ZERO), ..usual };
    assert!(make("tcp://a:1", None, never).contains("`idle`"));
    let none = KeepAliveSettings { count: 0, ..usual };
    assert!(make("tcp://a:1", None, none).contains("`count`"));
    let missing = TlsSettings { ca_file: Some("/nowhere".into()), ..TlsSettings::default() };
    assert!(make_with("tcp://a:1", None, usual, missing.clone()).contains("tls:// addresses"));
    assert!(make_with("tls://a:1", None, usual, missing).contains("/nowhere"));
}
