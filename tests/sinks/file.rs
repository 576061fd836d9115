//! The `file` sink on real file systems.

use crate::harness::{Bench, lines};
use crate::skip::skipped;
use serde_json::json;
use std::io::Read;
use std::process::{Command, Stdio};

#[test]
fn a_full_disk_is_waited_for_and_every_line_stands_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let sink = json!({ "type": "file", "path": disk.join("out.log"),
                       "retry": { "initial": "50ms", "max": "100ms" } });
    let bench = Bench::new(json!({}), sink);
    let written: Vec<String> = (0..20_000).map(|number| format!("line {number}")).collect();
    bench.append(written.join("\n") + "\n");
    let script = r#"
        mount -t tmpfs -o size=128k none "$DISK" || { echo no-mount; exit 0; }
        "$PROGRAM" agent --once --config "$CONFIG" 2>"$LOG" &
        for _ in $(seq 600); do grep -q 'No space left' "$LOG" && break; sleep 0.05; done
        tail --bytes 1 "$DISK/out.log" | od -An -tx1
        mount -o remount,size=16m none "$DISK"
        wait $! && cat "$DISK/out.log" >"$OUT" && echo well
    "#;
    let out = bench.path("out.log");
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "--", "bash", "-c", script])
        .env("PROGRAM", env!("CARGO_BIN_EXE_driftless"))
        .env("DRIFTLESS_RUN_DIR", bench.path("run"))
        .env("HOME", dir.path())
        .env("DISK", &disk)
        .env("CONFIG", bench.path("config"))
        .env("LOG", bench.path("agent.log"))
        .env("OUT", &out)
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Ok(output) if nix::unistd::geteuid().is_root() => output,
        _ => return skipped("a mount of its own needs root and unshare"),
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if said.contains("no-mount") {
        return skipped("no tmpfs can be mounted here");
    }
    assert!(said.contains("well"), "{said}\n{}", bench.said());
    assert!(bench.said().contains("No space left"), "{}", bench.said());
    let is_whole = said.starts_with(" 0a") || said.trim_start().starts_with("well");
    assert!(is_whole, "what is there while the disk is full is whole lines: {said}");
    assert!(lines(&out) == written, "{} of {} lines", lines(&out).len(), written.len());
}

#[test]
fn a_killed_writer_leaves_a_compressed_file_that_can_be_read() {
    for (compression, extension) in [("gzip", "gz"), ("zstd", "zst")] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(format!("out.log.{extension}"));
        let sink = json!({ "type": "file", "path": path, "compression": compression,
                           "batch": { "age": "1ms" } });
        let bench = Bench::new(json!({}), sink);
        for round in 0..5 {
            let agent = bench.start(&[]);
            bench.append(format!("round {round}\n").repeat(2000));
            bench.wait_until("something is written", || path.exists());
            agent.kill();
        }
        bench.once();
        let bytes = std::fs::read(&path).unwrap();
        let mut text = String::new();
        if compression == "gzip" {
            flate2::read::MultiGzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
        } else {
            text = String::from_utf8(zstd::decode_all(&*bytes).unwrap()).unwrap();
        }
        for round in 0..5 {
            let count = text.lines().filter(|line| *line == format!("round {round}")).count();
            assert!(count >= 2000, "{count} of round {round}");
        }
    }
}
