//! What a journal promises, across the end of a process.

use super::*;
use crate::event::Batch;
use crate::event::log::{LogBatch, Origin};
use crate::topology::component::BuildContext;
use crate::topology::testing::environment_in;
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

fn context(dir: &Path) -> BuildContext {
    let env = environment_in(dir);
    let sources: HashSet<Arc<str>> = ["app".into()].into();
    env.deliveries.lead(HashMap::from([("out".into(), sources)]));
    BuildContext { name: "out".into(), env }
}

fn logs(source: &str, content: u64, offset: u64, lines: &str) -> LogBatch {
    let origin = Origin { source: source.into(), content, ..Origin::default() };
    let lines = Bytes::from(lines.to_owned());
    LogBatch::from_lines(&lines, Arc::new(origin), offset, 0)
}

fn extents(batches: &[&LogBatch]) -> Extents {
    let mut extents = Extents::default();
    batches.iter().for_each(|logs| extents.add_batch(logs));
    extents
}

/// Ends it without what it writes at its end.
fn crash(journal: Journal) {
    let path = journal.path().to_owned();
    let bytes = fs::read(&path).unwrap();
    drop(journal);
    fs::write(path, bytes).unwrap();
}

fn left_of(journal: &Journal, logs: &LogBatch) -> Vec<String> {
    let batch = Batch::Logs(logs.clone());
    let Batch::Logs(rest) = journal.without_delivered(&batch).into_owned() else {
        panic!("logs stay logs")
    };
    rest.records().map(|record| String::from_utf8(record.raw().to_vec()).unwrap()).collect()
}

#[test]
fn what_was_done_is_left_out_after_a_crash_and_all_else_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let first = logs("app", 7, 100, "one\ntwo\n");
    {
        let journal = Journal::new(&context(dir.path()), Safe::Kernel);
        assert!(journal.open().is_empty());
        let id = journal.begin(b"place", &extents(&[&first]), 2);
        journal.done(id);
        assert!(journal.begin(b"next", &extents(&[&logs("app", 7, 108, "three\n")]), 1) > id);
        crash(journal);
    }
    let journal = Journal::new(&context(dir.path()), Safe::Kernel);
    let left = journal.open();
    let notes: Vec<(&[u8], u64)> = left.iter().map(|left| (&*left.note, left.records)).collect();
    assert_eq!(notes, [(&b"next"[..], 1)]);
    let again = logs("app", 7, 96, "old\none\ntwo\nthree\nfour\n");
    let replays = journal.replays(&again).unwrap();
    let fates: Vec<Fate> = again.records().map(|record| replays.of(&record)).collect();
    let open = Fate::Open(left[0].id);
    assert_eq!(fates, [Fate::New, Fate::Delivered, Fate::Delivered, open, Fate::New]);
    journal.void(left[0].id);
    assert_eq!(left_of(&journal, &again), ["old", "three", "four"]);
    for other in [logs("app", 8, 100, "one\n"), logs("other", 7, 100, "one\n")] {
        assert_eq!(left_of(&journal, &other), ["one"]);
    }
}

#[test]
fn a_line_that_has_grown_since_is_not_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::new(&context(dir.path()), Safe::Kernel);
    journal.open();
    journal.done(journal.begin(b"", &extents(&[&logs("app", 7, 0, "one\ntw")]), 2));
    assert_eq!(left_of(&journal, &logs("app", 7, 0, "one\ntwo\n")), ["two"]);
    assert!(left_of(&journal, &logs("app", 7, 0, "one\ntw\n")).is_empty());
}

#[test]
fn records_that_a_filter_left_out_are_not_taken_for_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::new(&context(dir.path()), Safe::Kernel);
    journal.open();
    let all = logs("app", 7, 0, "a 1\nb 2\na 3\nb 4\n");
    let mut some = all.clone();
    some.retain(|record| record.raw().starts_with(b"a"));
    journal.done(journal.begin(b"", &extents(&[&some]), 2));
    assert_eq!(left_of(&journal, &all), ["b 2", "b 4"]);
}

#[test]
fn an_entry_is_forgotten_once_the_checkpoint_is_past_it_or_its_content_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let cx = context(dir.path());
    let deliveries = &cx.env.deliveries;
    let entries = |mark: &dyn Fn()| {
        let journal = Journal::new(&cx, Safe::Kernel);
        journal.open();
        journal.done(journal.begin(b"", &extents(&[&logs("app", 7, 0, "one\ntwo\n")]), 2));
        mark();
        drop(journal);
        let next = Journal::new(&context(dir.path()), Safe::Kernel);
        next.open();
        let reread = Journal::new(&cx, Safe::Kernel);
        reread.open();
        let again = left_of(&reread, &logs("app", 7, 0, "one\ntwo\n"));
        fs::remove_file(dir.path().join("deliveries/out")).unwrap_or_default();
        again.len()
    };
    assert_eq!(entries(&|| deliveries.saved("app", [(7, "out", 4)].into_iter())), 0);
    assert_eq!(entries(&|| deliveries.saved("app", [(7, "other", 8)].into_iter())), 0);
    assert_eq!(entries(&|| deliveries.saved("app", [(7, "out", 8)].into_iter())), 2);
}

#[test]
fn what_a_source_no_longer_knows_is_forgotten_once_it_has_said_all() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::new(&context(dir.path()), Safe::Kernel);
    journal.open();
    journal.begin(b"", &extents(&[&logs("app", 7, 0, "one\n"), &logs("app", 9, 0, "1\n")]), 2);
    crash(journal);
    let cx = context(dir.path());
    assert_eq!(Journal::new(&cx, Safe::Kernel).open().len(), 1);
    assert!(cx.env.deliveries.is_asked("app"));
    cx.env.deliveries.saved_all("app", [(9, "out", 0)].into_iter());
    assert!(!cx.env.deliveries.is_asked("app"));
    assert_eq!(Journal::new(&cx, Safe::Kernel).open().len(), 1, "one of its contents may come");
    cx.env.deliveries.saved_all("app", [(9, "out", 2)].into_iter());
    assert!(Journal::new(&cx, Safe::Kernel).open().is_empty());
}

#[test]
fn after_a_loss_of_power_what_only_the_kernel_had_is_asked_about_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deliveries/out");
    for (safe, left) in [(Safe::Kernel, 1), (Safe::Disk, 0)] {
        let journal = Journal::new(&context(dir.path()), safe);
        journal.open();
        journal.done(journal.begin(b"", &extents(&[&logs("app", 7, 0, "one\n")]), 1));
        drop(journal);
        // Another start of the machine.
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let read = codec::read(&fs::read(&path).unwrap());
        let mut bytes = codec::HEADER.to_vec();
        for frame in read.frames {
            match frame {
                codec::Frame::Start(name) => {
                    let name = if name == boot.trim() { "another" } else { &name };
                    codec::push_start(name, &mut bytes);
                }
                codec::Frame::Begin(begin) => codec::push_begin(&begin, &mut bytes),
                codec::Frame::Done(id) => codec::push_done(id, &mut bytes),
                codec::Frame::Void(id) => codec::push_void(id, &mut bytes),
            }
        }
        fs::write(&path, bytes).unwrap();
        let next = Journal::new(&context(dir.path()), Safe::Disk);
        assert_eq!(next.open().len(), left, "{safe:?}");
        drop(next);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_damaged_journal_is_counted_and_forgets_no_more_than_what_follows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deliveries/out");
    let journal = Journal::new(&context(dir.path()), Safe::Kernel);
    journal.open();
    for offset in [0, 4] {
        journal.done(journal.begin(b"", &extents(&[&logs("app", 7, offset, "one\n")]), 1));
    }
    drop(journal);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    let cx = context(dir.path());
    let journal = Journal::new(&cx, Safe::Kernel);
    let left = journal.open();
    assert_eq!(left.len(), 1, "whether the second came to its place is no longer known");
    journal.void(left[0].id);
    assert_eq!(left_of(&journal, &logs("app", 7, 0, "one\none\n")), ["one"]);
    let families = cx.env.telemetry.families();
    let counted = families.iter().find(|it| it.name == "driftless_sink_replays_total").unwrap();
    assert!(counted.samples.iter().any(|it| it.labels[1].1.as_ref() == "journal_failed"));
}

#[test]
fn a_journal_that_cannot_be_written_holds_nothing_up() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("deliveries"), "in the way").unwrap();
    let journal = Journal::new(&context(dir.path()), Safe::Kernel);
    assert!(journal.open().is_empty());
    let first = logs("app", 7, 0, "one\n");
    assert_eq!(journal.begin(b"", &extents(&[&first]), 1), 0);
    fs::remove_file(dir.path().join("deliveries")).unwrap();
    assert!(journal.begin(b"", &extents(&[&first]), 1) > 0);
}

#[test]
fn it_does_not_grow_while_checkpoints_follow() {
    let dir = tempfile::tempdir().unwrap();
    let cx = context(dir.path());
    let journal = Journal::new(&cx, Safe::Kernel);
    journal.open();
    for round in 0..20_000 {
        let batch = logs("app", 7, round * 4, "one\n");
        journal.done(journal.begin(&[0; 100], &extents(&[&batch]), 1));
        cx.env.deliveries.saved("app", [(7, "out", round * 4)].into_iter());
        assert!(journal.replays(&batch).is_some());
    }
    let bytes = fs::metadata(dir.path().join("deliveries/out")).unwrap().len();
    assert!(bytes < 1 << 20, "{bytes}");
}
