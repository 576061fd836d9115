//! Promises about what lines are made of: encodings, delimiters, long lines, multiline, metadata.

use super::harness::{Bench, Collector, stop};
use std::fs;
use std::time::Duration;

fn utf_16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[tokio::test]
async fn utf_16_is_followed_in_pieces_of_any_size() {
    use std::io::Write;
    let (bench, sink) = (Bench::new(), Collector::default());
    let bytes = [vec![0xff, 0xfe], utf_16("grün\r\n日本\nund 😀 mehr\n")].concat();
    let mut file = fs::File::create(bench.path("a.log")).unwrap();
    let (begin, rest) = bytes.split_at(11);
    file.write_all(begin).unwrap();
    bench.once(&[("out", &sink)]).await;
    // What was taken as a last line has no end yet; the rest comes in odd pieces.
    let sink = Collector::default();
    fs::remove_dir_all(bench.checkpoint().parent().unwrap()).unwrap();
    let topology = bench.start(&[("out", &sink)]);
    for piece in rest.chunks(3) {
        file.write_all(piece).unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(sink.wait_for(3).await, ["grün", "日本", "und 😀 mehr"]);
    stop(topology).await;
    file.write_all(&utf_16("vier\n")).unwrap();
    bench.once(&[("out", &sink)]).await;
    assert_eq!(sink.lines()[3..], ["vier"]);
}

#[tokio::test]
async fn other_encodings_and_delimiters_are_understood() {
    let (mut bench, sink) = (Bench::new(), Collector::default());
    bench.config["encoding"] = "latin1".into();
    bench.config["delimiter"] = "|".into();
    bench.config["metadata"] = serde_json::json!(["offset"]);
    fs::write(bench.path("a.log"), b"gr\xfcn|zwei|\xe4|").unwrap();
    fs::write(bench.path("b.log"), b"\xef\xbb\xbfutf|").unwrap();
    bench.once(&[("out", &sink)]).await;
    let mut seen = sink.offsets();
    seen.sort_unstable();
    assert_eq!(sink.lines().len(), 4);
    assert_eq!(seen, [0, 3, 5, 10]);
}

#[tokio::test]
async fn a_long_line_is_cut_short_or_left_out_without_its_neighbours() {
    for (what, expected) in
        [("truncate", vec!["a", &"x".repeat(1024), "b"]), ("skip", vec!["a", "b"])]
    {
        let (mut bench, sink) = (Bench::new(), Collector::default());
        bench.config["max_line_bytes"] = 1024.into();
        bench.config["on_long_line"] = what.into();
        bench.append("a.log", &format!("a\n{}", "x".repeat(3_000_000)));
        let topology = bench.start(&[("out", &sink)]);
        sink.wait_for(1).await;
        bench.append("a.log", "xyz\nb\n");
        assert_eq!(sink.wait_for(expected.len()).await, expected);
        stop(topology).await;
        let counted = match what {
            "truncate" => bench.number("driftless_file_long_lines_total", "truncated"),
            _ => bench.number("driftless_component_dropped_events_total", "line_too_long"),
        };
        assert_eq!(counted, 1.0);
        bench.once(&[("out", &sink)]).await;
        assert_eq!(sink.lines(), expected);
    }
}

#[tokio::test]
async fn a_record_of_several_lines_survives_a_restart_in_its_middle() {
    let (mut bench, sink) = (Bench::new(), Collector::default());
    bench.config["multiline"] = serde_json::json!({ "mode": "java", "timeout": "1h" });
    bench.append("a.log", "one\ntwo\n\tat a.b\n");
    let topology = bench.start(&[("out", &sink)]);
    assert_eq!(sink.wait_for(1).await, ["one"]);
    stop(topology).await;
    bench.append("a.log", "\tat c.d\nthree\n");
    bench.once(&[("out", &sink)]).await;
    assert_eq!(sink.records(), ["one", "two\n\tat a.b\n\tat c.d", "three"]);
}

#[tokio::test]
async fn a_record_that_might_go_on_is_taken_after_its_timeout() {
    let (mut bench, sink) = (Bench::new(), Collector::default());
    bench.config["multiline"] = serde_json::json!({ "continuation": "^ ", "timeout": "50ms" });
    let topology = bench.start(&[("out", &sink)]);
    bench.append("a.log", "one\n more\n");
    sink.wait_for(2).await;
    assert_eq!(sink.records(), ["one\n more"]);
    bench.append("a.log", "two\n");
    sink.wait_for(3).await;
    stop(topology).await;
}

#[tokio::test]
async fn records_larger_than_a_read_are_whole() {
    let (mut bench, sink) = (Bench::new(), Collector::default());
    bench.config["multiline"] =
        serde_json::json!({ "start": "^[a-z]", "max_lines": 100_000, "max_bytes": "1MiB" });
    let record = |first: &str| format!("{first}\n{}", " continued\n".repeat(40_000));
    bench.append("a.log", &[record("a"), record("b"), record("c")].concat());
    bench.once(&[("out", &sink)]).await;
    let expected = ["a", "b", "c"].map(|first| record(first).trim_end().to_owned());
    assert!(sink.records() == expected);
}

#[tokio::test]
async fn lines_that_a_container_runtime_cut_are_joined() {
    let (mut bench, sink) = (Bench::new(), Collector::default());
    bench.config["multiline"] = serde_json::json!({ "mode": "cri" });
    bench.append("a.log", "t stdout P on\nt stderr F err\nt stdout F e\nt stdout F two\n");
    bench.once(&[("out", &sink)]).await;
    assert_eq!(sink.lines(), ["t stderr F err", "t stdout F one", "t stdout F two"]);
}
