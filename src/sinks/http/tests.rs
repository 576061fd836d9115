//! What the sink promises, held against a real server.

use super::*;
use crate::event::log::{LogBatch, Origin};
use crate::topology::component::FaultKind;
use crate::topology::request::Marking;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request as Received, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io::Read;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// What arrived: method, path, headers, body.
type Arrived = (String, String, HeaderMap, Vec<u8>);

/// A server that gives these answers in turn (status, and `Retry-After`; 0 for none at all).
async fn server(answers: &[(u16, &str)]) -> (String, Arc<Mutex<Vec<Arrived>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/in?key=hunter2", listener.local_addr().unwrap());
    let arrived: Arc<Mutex<Vec<Arrived>>> = Arc::default();
    let (log, answers) = (Arc::clone(&arrived), answers.to_vec());
    let answers: Vec<(u16, String)> =
        answers.into_iter().map(|(status, after)| (status, after.to_owned())).collect();
    let answers = Arc::new(answers);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (log, answers) = (Arc::clone(&log), Arc::clone(&answers));
            let service = service_fn(move |request: Received<hyper::body::Incoming>| {
                let (log, answers) = (Arc::clone(&log), Arc::clone(&answers));
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes().to_vec();
                    let count = {
                        let mut log = log.lock().unwrap();
                        let path = head.uri.path().to_owned();
                        log.push((head.method.to_string(), path, head.headers, body));
                        log.len()
                    };
                    let (status, after) = &answers[(count - 1).min(answers.len() - 1)];
                    if *status == 0 {
                        std::future::pending::<()>().await;
                    }
                    let mut response = Response::builder().status(*status);
                    if !after.is_empty() {
                        response = response.header("retry-after", after);
                    }
                    let body = Full::new(Bytes::from_static(b"\nbecause\n"));
                    Ok::<_, Infallible>(response.body(body).unwrap())
                }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(async move { connection.await.ok() });
        }
    });
    (url, arrived)
}

fn config(url: &str, rest: &serde_json::Value) -> Config {
    let mut config = serde_json::json!({ "url": url });
    config.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    serde_json::from_value(config).unwrap()
}

fn lines() -> Batch {
    let origin = Origin {
        source: "app".into(),
        host: "web1".into(),
        path: Some("/a".into()),
        ..Origin::default()
    };
    Batch::Logs(LogBatch::from_lines(&Bytes::from_static(b"one\ntwo\n"), Arc::new(origin), 0, 0))
}

fn request(config: &Config) -> Request {
    let mut request = Request::new("", Marking::Places);
    request.append(&mut config.encoder(), &lines()).unwrap();
    request
}

async fn send(config: &Config) -> Result<Answer, Fault> {
    let sender = config.sender(&Masker::default()).unwrap();
    sender.deliver(&request(config)).await
}

#[tokio::test]
async fn records_arrive_with_their_origin_under_the_senders_name() {
    let (url, arrived) = server(&[(200, "")]).await;
    let auth = serde_json::json!({
        "auth": { "user": "me", "password": "hunter2" },
        "headers": { "X-Team": "ops" },
    });
    send(&config(&url, &auth)).await.unwrap();
    let (method, path, headers, body) = arrived.lock().unwrap().pop().unwrap();
    assert_eq!((method.as_str(), path.as_str()), ("POST", "/in"));
    assert_eq!(headers["authorization"], "Basic bWU6aHVudGVyMg==");
    assert_eq!(headers["x-team"], "ops");
    assert_eq!(headers["content-type"], "application/x-ndjson");
    assert!(headers["user-agent"].to_str().unwrap().starts_with("driftless/"));
    let first: serde_json::Value =
        serde_json::from_slice(body.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    assert_eq!(first["host"], "web1");
    assert_eq!(first["path"], "/a");
    assert_eq!(first["message"], "one");
    assert!(first["timestamp"].is_string());
}

#[tokio::test]
async fn a_compressed_body_is_the_same_body_at_every_attempt() {
    for (algorithm, unpack) in [
        (
            "gzip",
            (|body| {
                let mut text = Vec::new();
                flate2::read::GzDecoder::new(body).read_to_end(&mut text).map(|_| text)
            }) as fn(&[u8]) -> std::io::Result<Vec<u8>>,
        ),
        ("zstd", |body| zstd::decode_all(body)),
    ] {
        let (url, arrived) = server(&[(500, ""), (503, ""), (204, "")]).await;
        let settings =
            serde_json::json!({ "compression": algorithm, "encoding": "text", "method": "put" });
        let config = config(&url, &settings);
        let (sink, request) = (config.sender(&Masker::default()).unwrap(), request(&config));
        for attempt in 0..3 {
            let sent = sink.deliver(&request).await;
            assert_eq!(sent.is_ok(), attempt == 2);
        }
        let arrived = arrived.lock().unwrap();
        for (method, _, headers, body) in arrived.iter() {
            assert_eq!(method, "PUT");
            assert_eq!(unpack(body).unwrap(), b"one\ntwo\n");
            assert_eq!(headers["content-encoding"], algorithm);
        }
        assert_eq!(arrived.len(), 3);
    }
}

#[tokio::test]
async fn each_answer_means_what_it_says() {
    let (url, _) = server(&[(429, "7"), (503, ""), (400, "")]).await;
    let sink = config(&url, &serde_json::json!({}));
    let first = send(&sink).await.unwrap_err();
    assert_eq!(first.kind, FaultKind::Passing(Some(Duration::from_secs(7))));
    assert_eq!(send(&sink).await.unwrap_err().kind, FaultKind::Passing(None));
    let last = send(&sink).await.unwrap();
    assert_eq!(
        last.rejected.iter().map(|it| (it.record, it.status)).collect::<Vec<_>>(),
        [(0, Some(400)), (1, Some(400)),]
    );
    let reason = &last.rejected[0].reason;
    assert!(reason.contains("400 Bad Request: because") && !reason.contains("hunter2"), "{reason}");
}

#[tokio::test]
async fn a_server_that_is_away_is_tried_again() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/in?key=hunter2", free.local_addr().unwrap());
    drop(free);
    let away = send(&config(&url, &serde_json::json!({}))).await.unwrap_err();
    assert_eq!(away.kind, FaultKind::Passing(None));
    assert!(away.message.contains("refused") && !away.message.contains("hunter2"), "{away}");
}

#[tokio::test]
async fn the_next_server_gets_what_one_cannot_take_and_the_one_that_failed_rests() {
    let (bad, tried) = server(&[(503, "")]).await;
    let (good, taken) = server(&[(200, ""), (200, ""), (429, ""), (400, "")]).await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let away = format!("http://{}/", free.local_addr().unwrap());
    drop(free);
    let config = config("", &serde_json::json!({ "url": [away, bad, good] }));
    let sink = config.sender(&Masker::default()).unwrap();
    let request = request(&config);
    sink.deliver(&request).await.unwrap();
    sink.deliver(&request).await.unwrap();
    assert_eq!((tried.lock().unwrap().len(), taken.lock().unwrap().len()), (1, 2));
    // These say something of the request, not of the server.
    assert_eq!(sink.deliver(&request).await.unwrap_err().status, Some(429));
    assert_eq!(sink.deliver(&request).await.unwrap().rejected.len(), 2);
    assert_eq!(tried.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn where_no_server_is_well_all_are_tried_and_the_shortest_pause_counts() {
    let (one, first) = server(&[(503, "9")]).await;
    let (two, second) = server(&[(503, "7")]).await;
    let settings = serde_json::json!({ "url": [one, two] });
    let config = config("", &settings);
    let sink = config.sender(&Masker::default()).unwrap();
    for attempt in 1..=2 {
        let fault = sink.deliver(&request(&config)).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Passing(Some(Duration::from_secs(7))));
        assert_eq!((first.lock().unwrap().len(), second.lock().unwrap().len()), (attempt, attempt));
    }
}

#[tokio::test]
async fn requests_are_spread_over_servers_when_asked() {
    let (one, first) = server(&[(200, "")]).await;
    let (two, second) = server(&[(200, "")]).await;
    let config = config("", &serde_json::json!({ "url": [one, two], "balance": "spread" }));
    let sink = config.sender(&Masker::default()).unwrap();
    for _ in 0..6 {
        sink.deliver(&request(&config)).await.unwrap();
    }
    assert_eq!((first.lock().unwrap().len(), second.lock().unwrap().len()), (3, 3));
}

#[test]
fn printing_a_config_shows_no_secret() {
    let secrets = serde_json::json!({
        "auth": { "bearer": "hunter2" }, "headers": { "X-Key": "hunter2" },
    });
    let config = config("http://localhost/?key=hunter2", &secrets);
    assert!(!format!("{config:?}").contains("hunter2"));
}
