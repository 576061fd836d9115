//! What becomes of a file when the process that writes it is killed.

use super::*;
use crate::event::log::Origin;
use crate::topology::request::Marking;
use crate::topology::testing::environment_in;
use bytes::Bytes;
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

/// One process's sink.
struct Run {
    encoder: Box<dyn Encode>,
    sender: Arc<dyn Deliver>,
    delivery: Delivery,
    cx: BuildContext,
    journal: std::path::PathBuf,
}

impl Run {
    /// Begins, with what an earlier process has left.
    async fn start(dir: &Path, settings: serde_json::Value) -> Self {
        let mut config = json!({ "path": dir.join("out"), "sync": "never" });
        let serde_json::Value::Object(settings) = settings else { panic!("settings are a map") };
        config.as_object_mut().unwrap().extend(settings);
        let config: Config = serde_json::from_value(config).unwrap();
        let env = environment_in(&dir.join("data"));
        let sources: HashSet<Arc<str>> = ["app".into()].into();
        env.deliveries.lead(HashMap::from([("out".into(), sources)]));
        let cx = BuildContext { name: "out".into(), env };
        let BuiltSink::Requests { encoder, sender, delivery } = config.build(&cx).unwrap() else {
            panic!("a file takes requests")
        };
        sender.prepare().await.unwrap();
        let journal = dir.join("data/deliveries/out");
        Self { encoder, sender, delivery, cx, journal }
    }

    /// Takes these lines of the source's file, the first of which begins at `offset`.
    async fn take(&mut self, offset: u64, lines: &str) {
        let origin = Origin { source: "app".into(), content: 7, ..Origin::default() };
        let lines = Bytes::from(lines.to_owned());
        let logs = LogBatch::from_lines(&lines, Arc::new(origin), offset, 0);
        let mut requests =
            Requests::new(Marking::Nothing, self.delivery.batch).noting(self.delivery.extents);
        self.encoder.encode(&Batch::Logs(logs), &mut requests).unwrap();
        for request in requests.iter() {
            self.sender.deliver(request).await.unwrap();
        }
    }

    /// Ends it without what it writes at its end.
    fn kill(self) {
        let journal = fs::read(&self.journal).unwrap();
        drop(self.encoder);
        drop(self.sender);
        fs::write(&self.journal, journal).unwrap();
    }

    fn counted(&self, outcome: &str) -> bool {
        let families = self.cx.env.telemetry.families();
        let counter = families.iter().find(|it| it.name == "driftless_sink_replays_total");
        let samples = counter.iter().flat_map(|it| &it.samples);
        samples.into_iter().any(|it| it.labels.iter().any(|label| *label.1 == *outcome))
    }
}

fn many(name: &str) -> String {
    (0..2000).map(|number| format!("{name} {number}\n")).collect()
}

fn read(dir: &Path) -> String {
    fs::read_to_string(dir.join("out")).unwrap()
}

#[tokio::test]
async fn what_was_written_whole_is_left_out_also_where_the_file_was_rotated_since() {
    for moved in ["out", "out.1", "another"] {
        let dir = tempfile::tempdir().unwrap();
        let mut first = Run::start(dir.path(), json!({})).await;
        first.take(0, "one\ntwo\n").await;
        first.take(8, &many("a")).await;
        first.kill();
        fs::rename(dir.path().join("out"), dir.path().join(moved)).unwrap();
        let mut second = Run::start(dir.path(), json!({})).await;
        let all = format!("one\ntwo\n{}", many("a"));
        second.take(0, &all).await;
        assert_eq!(fs::read_to_string(dir.path().join(moved)).unwrap(), all);
        second.take(all.len() as u64, "new\n").await;
        assert!(read(dir.path()).ends_with("new\n"));
        assert!(second.counted("left_out") && !second.counted("unsure"));
    }
}

#[tokio::test]
async fn what_was_written_in_part_is_cut_off_and_written_again() {
    for settings in [json!({}), json!({ "sync": "always" }), json!({ "path": "{{ source }}" })] {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = settings;
        if settings["path"].is_string() {
            settings["path"] = json!(dir.path().join("{{ source }}").to_str().unwrap());
            std::os::unix::fs::symlink(dir.path().join("app"), dir.path().join("out")).unwrap();
        }
        let mut first = Run::start(dir.path(), settings.clone()).await;
        first.take(0, "one\ntwo\n").await;
        first.take(8, &many("a")).await;
        first.kill();
        let file = fs::File::options().write(true).open(dir.path().join("out")).unwrap();
        file.set_len(8192).unwrap();
        let mut second = Run::start(dir.path(), settings).await;
        assert_eq!(read(dir.path()), "one\ntwo\n");
        let all = format!("one\ntwo\n{}", many("a"));
        second.take(0, &all).await;
        assert_eq!(read(dir.path()), all);
        assert!(!second.counted("unsure"));
    }
}

#[tokio::test]
async fn what_somebody_else_wrote_is_never_cut_off_and_doubt_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Run::start(dir.path(), json!({})).await;
    first.take(0, "one\n").await;
    first.take(4, &many("a")).await;
    first.kill();
    let file = fs::File::options().write(true).open(dir.path().join("out")).unwrap();
    file.set_len(4096).unwrap();
    let torn = read(dir.path()) + "somebody else\n";
    fs::write(dir.path().join("out"), &torn).unwrap();
    let mut second = Run::start(dir.path(), json!({})).await;
    second.take(0, &format!("one\n{}", many("a"))).await;
    assert_eq!(read(dir.path()), torn + &many("a"));
    assert!(second.counted("unsure"));
}

#[tokio::test]
async fn a_file_that_is_gone_is_written_again_but_for_what_it_surely_had() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Run::start(dir.path(), json!({})).await;
    first.take(0, "one\n").await;
    first.take(4, "two\n").await;
    first.kill();
    fs::remove_file(dir.path().join("out")).unwrap();
    let mut second = Run::start(dir.path(), json!({})).await;
    second.take(0, "one\ntwo\nthree\n").await;
    assert_eq!(read(dir.path()), "two\nthree\n");
    assert!(second.counted("unsure"));
}

#[tokio::test]
async fn without_its_journal_everything_comes_again_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Run::start(dir.path(), json!({})).await;
    first.take(0, "one\n").await;
    first.kill();
    fs::remove_file(dir.path().join("data/deliveries/out")).unwrap();
    let mut second = Run::start(dir.path(), json!({})).await;
    second.take(0, "one\n").await;
    assert_eq!(read(dir.path()), "one\none\n");
}
