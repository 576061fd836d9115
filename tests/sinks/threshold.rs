//! What the transform `threshold` says, on its way into a sink.

use crate::harness::Bench;
use crate::receiver::{Receiver, Reply};
use serde_json::json;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

#[test]
fn a_change_of_state_that_no_sink_has_at_a_kill_is_told_by_the_next_start_and_once() {
    let is_away = Arc::new(AtomicBool::new(true));
    let away = Arc::clone(&is_away);
    let receiver = Receiver::new(move |_, _, _| match away.load(SeqCst) {
        true => Reply::Says(503, None),
        false => Reply::Says(200, None),
    });
    let gauge = json!({ "name": "free", "type": "gauge", "field": "free" });
    let check = json!({ "name": "full", "expr": "free", "critical": { "below": 5 } });
    let transforms = json!({
        "a_read": { "type": "parse", "format": "json" },
        "b_metric": { "type": "log_to_metric", "interval": "100ms", "metrics": [gauge] },
        "c_watch": { "type": "threshold", "interval": "100ms", "checks": [check] },
    });
    let retry = json!({ "initial": "20ms", "max": "100ms" });
    let sink = json!({ "type": "http", "url": receiver.url, "encoding": "ndjson", "retry": retry,
        "batch": { "records": 1, "age": "10ms" } });
    let bench = Bench::new(transforms, sink);
    let agent = bench.start(&[]);
    bench.append("{\"free\":3}\n");
    bench.wait_until("it is tried", || receiver.arrived(|arrived| !arrived.is_empty()));
    agent.kill();
    // What the value was is gone, and it is good now: only the agent knows how it was.
    fs::remove_file(bench.path("in.log")).unwrap();
    fs::write(bench.path("in.log"), "{\"free\":90}\n").unwrap();
    is_away.store(false, SeqCst);
    let agent = bench.start(&[]);
    bench.wait_until("both are told", || receiver.taken().len() >= 2);
    assert!(agent.stop().success());
    let told = ["full free is critical: 3, threshold 5", "full free is ok: 90, threshold 5"];
    assert_eq!(receiver.taken(), told, "{}", bench.said());
    let left = fs::read_dir(bench.path("data/untold")).unwrap().count();
    assert_eq!(left, 0, "all is told");
    // The next one knows all that, and tells nothing.
    let agent = bench.start(&[]);
    bench.append("{\"free\":2}\n");
    bench.wait_until("it is bad again", || receiver.taken().len() >= 3);
    assert!(agent.stop().success());
    assert_eq!(receiver.taken()[2..], ["full free is critical: 2, threshold 5"]);
}
