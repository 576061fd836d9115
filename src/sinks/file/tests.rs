//! What the sink promises, held against a real file system.

use super::place::Told;
use super::*;
use crate::event::log::{Origin, Verdict};
use bytes::Bytes;
use serde_json::json;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

fn config(path: &Path, rest: serde_json::Value) -> Config {
    let mut config = serde_json::json!({ "path": path, "encoding": "text", "sync": "never" });
    let serde_json::Value::Object(rest) = rest else { panic!("settings are a mapping") };
    config.as_object_mut().unwrap().extend(rest);
    serde_json::from_value(config).unwrap()
}

type FileSink = (ByPath, Files);

fn sink(path: &Path, rest: serde_json::Value) -> FileSink {
    config(path, rest).parts().unwrap()
}

fn encode((encoder, _): &mut FileSink, batch: &Batch) -> Requests {
    let mut requests = Requests::default();
    encoder.encode(batch, &mut requests).unwrap();
    requests
}

async fn send((_, files): &FileSink, requests: &Requests) -> Result<(), Fault> {
    for request in requests.iter() {
        files.deliver(request).await?;
    }
    Ok(())
}

fn logs(lines: &'static str) -> LogBatch {
    LogBatch::from_lines(&Bytes::from_static(lines.as_bytes()), Arc::new(Origin::default()), 0, 0)
}

fn by_level(lines: &'static str) -> Batch {
    let mut logs = logs(lines);
    logs.rewrite(|record, writer| {
        let level = record.raw().split(|byte| *byte == b' ').next().unwrap_or_default();
        writer.push("level", record.text_at(level));
        Verdict::Parsed
    });
    Batch::Logs(logs)
}

fn read(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap_or_default()
}

#[tokio::test]
async fn each_record_goes_to_its_file_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = sink(&dir.path().join("new/{{ level }}.log"), json!({}));
    for lines in ["a 1\nb 2\na 3\n", "b 4\n"] {
        let requests = encode(&mut sink, &by_level(lines));
        send(&sink, &requests).await.unwrap();
    }
    assert_eq!(read(dir.path(), "new/a.log"), "a 1\na 3\n");
    assert_eq!(read(dir.path(), "new/b.log"), "b 2\nb 4\n");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_does_not_hold_up_the_others() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "in the way").unwrap();
    let mut sink = sink(&dir.path().join("{{ level }}/log"), json!({}));
    let requests = encode(&mut sink, &by_level("a 1\nb 2\n"));
    let [a, b] = requests.iter().collect::<Vec<_>>()[..] else { panic!("one for each file") };
    assert!(sink.1.deliver(a).await.is_err());
    sink.1.deliver(b).await.unwrap();
    assert!(sink.1.deliver(a).await.is_err());
    fs::remove_file(dir.path().join("a")).unwrap();
    sink.1.deliver(a).await.unwrap();
    assert_eq!(read(dir.path(), "a/log"), "a 1\n");
    assert_eq!(read(dir.path(), "b/log"), "b 2\n");
}

#[tokio::test]
async fn a_file_that_was_rotated_away_is_made_anew_with_its_header() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let csv = json!({ "encoding": { "csv": { "fields": ["message"], "header": true } } });
    let mut sink = sink(&path, csv);
    for (line, moved) in [("1\n", "log.2"), ("2\n", "log.1"), ("3\n", "log.0")] {
        let requests = encode(&mut sink, &Batch::Logs(logs(line)));
        send(&sink, &requests).await.unwrap();
        send(&sink, &requests).await.unwrap();
        fs::rename(&path, dir.path().join(moved)).unwrap();
    }
    assert_eq!(read(dir.path(), "log.2"), "message\n1\n1\n");
    assert_eq!(read(dir.path(), "log.1"), "message\n2\n2\n");
}

async fn write(sink: &mut FileSink, lines: &'static str) -> Result<(), Fault> {
    let requests = encode(sink, &Batch::Logs(logs(lines)));
    send(sink, &requests).await
}

#[tokio::test]
async fn a_file_is_put_aside_at_its_size_and_the_oldest_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut sink = sink(&path, json!({ "rotate": { "size": 10, "keep": 2 } }));
    for line in ["one\n", "two\n", "three\n", "four\n", "five is long\n", "six\n"] {
        write(&mut sink, line).await.unwrap();
    }
    assert_eq!(read(dir.path(), "log"), "six\n");
    assert_eq!(read(dir.path(), "log.1"), "five is long\n");
    assert_eq!(read(dir.path(), "log.2"), "four\n");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
}

#[test]
fn a_file_is_put_aside_once_it_is_old() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let config = config(&path, json!({ "rotate": { "age": "1h" } }));
    let sink = config.parts().unwrap();
    let path = path.to_str().unwrap();
    let now = clock::now();
    let append = |minutes: u64, line: &[u8]| {
        sink.1
            .appender
            .append(path, &[line], now + Duration::from_secs(60 * minutes), Told::default())
            .unwrap();
    };
    append(0, b"one\n");
    append(59, b"two\n");
    append(60, b"three\n");
    assert_eq!(read(dir.path(), "log.1"), "one\ntwo\n");
    assert_eq!(read(dir.path(), "log"), "three\n");
}

#[tokio::test]
async fn a_compressed_file_can_be_read_whatever_a_crash_left_of_it() {
    for (word, name) in [("gzip", "log.gz"), ("zstd", "log.zst")] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        let settings = json!({ "compression": word });
        let mut first = sink(&path, settings.clone());
        write(&mut first, "one\n").await.unwrap();
        write(&mut first, "two\n").await.unwrap();
        drop(first);
        let whole = fs::read(&path).unwrap();
        // A crash in the middle of a third write.
        let torn = [&whole[..], &whole[..whole.len() / 3]].concat();
        fs::write(&path, torn).unwrap();
        write(&mut sink(&path, settings), "three\n").await.unwrap();
        let bytes = fs::read(&path).unwrap();
        let mut text = String::new();
        match word {
            "gzip" => {
                flate2::read::MultiGzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
            }
            _ => text = String::from_utf8(zstd::decode_all(&*bytes).unwrap()).unwrap(),
        }
        assert_eq!(text, "one\ntwo\nthree\n");
    }
}

#[tokio::test]
async fn a_line_without_its_end_does_not_swallow_the_next_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    fs::write(&path, "whole\ntor").unwrap();
    let mut sink = sink(&path, json!({}));
    write(&mut sink, "one\n").await.unwrap();
    write(&mut sink, "two\n").await.unwrap();
    assert_eq!(read(dir.path(), "log"), "whole\ntor\none\ntwo\n");
}

#[tokio::test]
async fn new_files_and_directories_are_as_asked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/log");
    let is_root = nix::unistd::geteuid().is_root();
    let mut settings = json!({ "mode": "0622", "directory_mode": "0750" });
    if is_root {
        settings["owner"] = "daemon".into();
        settings["group"] = "12345".into();
    }
    write(&mut sink(&path, settings), "one\n").await.unwrap();
    let about = fs::metadata(&path).unwrap();
    assert_eq!(about.permissions().mode() & 0o7777, 0o622, "the umask does not count");
    assert_eq!(fs::metadata(dir.path().join("new")).unwrap().permissions().mode() & 0o777, 0o750);
    if is_root {
        let daemon = nix::unistd::User::from_name("daemon").unwrap().unwrap();
        assert_eq!((about.uid(), about.gid()), (daemon.uid.as_raw(), 12345));
    }
}

#[tokio::test]
async fn a_link_in_place_of_the_file_is_followed_only_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (path, target) = (dir.path().join("log"), dir.path().join("elsewhere"));
    fs::write(&target, "").unwrap();
    symlink(&target, &path).unwrap();
    let fault = write(&mut sink(&path, json!({})), "one\n").await.unwrap_err();
    assert!(fault.message.contains("follow_symlinks"), "{fault}");
    assert_eq!(read(dir.path(), "elsewhere"), "");
    let mut following = sink(&path, json!({ "follow_symlinks": true }));
    write(&mut following, "two\n").await.unwrap();
    assert_eq!(read(dir.path(), "elsewhere"), "two\n");
}

#[tokio::test]
async fn a_locked_file_has_one_writer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut first = sink(&path, json!({ "lock": true }));
    write(&mut first, "one\n").await.unwrap();
    let mut second = sink(&path, json!({ "lock": true }));
    let fault = write(&mut second, "two\n").await.unwrap_err();
    assert!(fault.message.contains("another process has locked it"), "{fault}");
    drop(first);
    write(&mut second, "two\n").await.unwrap();
    assert_eq!(read(dir.path(), "log"), "one\ntwo\n");
}

#[tokio::test]
async fn no_more_files_are_open_than_allowed_and_idle_ones_are_closed() {
    let dir = tempfile::tempdir().unwrap();
    let settings = json!({ "max_open_files": 3, "idle_timeout": "50ms" });
    let sink = sink(&dir.path().join("x"), settings);
    for round in 1..=2 {
        for number in 0..10 {
            let path = dir.path().join(number.to_string());
            let path = path.to_str().unwrap();
            sink.1.appender.append(path, &[b"x"], clock::now(), Told::default()).unwrap();
            assert!(sink.1.appender.open_files() <= 3);
            // A file without line ends gets one before the next record.
            assert_eq!(fs::metadata(path).unwrap().len(), 2 * round - 1);
        }
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while sink.1.appender.open_files() > 0 {
        assert!(Instant::now() < deadline, "idle files are closed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    let fault = write(&mut sink(Path::new("/dev/full"), json!({})), "one\n").await.unwrap_err();
    assert!(fault.message.contains("no regular file"), "{fault}");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    for (settings, reason) in [
        (json!({ "encoding": "json" }), "one array"),
        (json!({ "mode": "999" }), "`mode`"),
        (json!({ "directory_mode": "x" }), "`directory_mode`"),
        (json!({ "owner": "nobody-of-this-name" }), "no user"),
        (json!({ "group": "nobody-of-this-name" }), "no group"),
        (json!({ "rotate": {} }), "neither"),
        (json!({ "rotate": { "size": "1MiB" }, "follow_symlinks": true }), "move the link"),
        (json!({ "max_open_files": 0 }), "`max_open_files`"),
        (json!({ "sync": { "interval": "0s" } }), "`always`"),
    ] {
        let refusal = config(Path::new("/x"), settings).parts().err().unwrap();
        assert!(refusal.contains(reason), "{reason}: {refusal}");
    }
}
