//! Journals of deliveries that nobody has written so.

use super::codec::{self, Begin};
use super::{Extents, Fate, Journal, Safe, Spans};
use crate::event::log::{LogBatch, Origin};
use crate::topology::component::BuildContext;
use crate::topology::context::{Environment, SinkNames};
use crate::topology::memory::Memory;
use crate::topology::telemetry::Telemetry;
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

const LINES: &str = "one\ntwo\nthree\n";

/// Whatever a journal's file holds, it opens, says the same when it is opened again, tells of no
/// record two things, and takes a new entry.
///
/// The first byte chooses what the others are: a file, or frames whose checksums are right.
pub(crate) fn deliveries(input: &[u8], dir: &Path) {
    let Some((what, bytes)) = input.split_first() else { return };
    let mut file = bytes.to_vec();
    if what % 2 == 1 {
        file = codec::HEADER.to_vec();
        for content in bytes.split(|byte| *byte == 0xff) {
            codec::push(&mut file, |out| out.extend_from_slice(content));
        }
    }
    let read = codec::read(&file);
    let mut again = codec::HEADER.to_vec();
    read.frames.iter().for_each(|frame| codec::push_frame(frame, &mut again));
    assert_eq!(codec::read(&again).frames, read.frames, "what was read can be written");

    let path = dir.join("deliveries/out");
    let made = fs::create_dir_all(dir.join("deliveries")).and_then(|()| fs::write(&path, &file));
    let (Ok(()), Some(first)) = (made, journal(dir)) else { return };
    let left = first.open();
    let numbers: HashSet<u64> = left.iter().map(|left| left.id).collect();
    assert_eq!(numbers.len(), left.len(), "each entry has a number of its own");
    let origin = Origin { source: "app".into(), content: 7, ..Origin::default() };
    let batch = LogBatch::from_lines(&Bytes::from(LINES), Arc::new(origin), 0, 0);
    if let Some(replays) = first.replays(&batch) {
        for record in batch.records() {
            if let Fate::Open(id) = replays.of(&record) {
                assert!(numbers.contains(&id), "{id} is not open");
            }
        }
    }
    let mut extents = Extents::default();
    extents.add_batch(&batch);
    let new = first.begin(b"new", &extents, 3);
    assert!(new == 0 || !numbers.contains(&new), "{new} is another's");
    left.iter().for_each(|left| first.void(left.id));
    first.done(new);
    drop(first);
    let Some(second) = journal(dir) else { return };
    let left = second.open();
    assert!(new == 0 || left.iter().all(|left| left.id != new), "it was done");
}

/// The journal of a sink that is sure of what comes from `app`.
fn journal(dir: &Path) -> Option<Journal> {
    let env = Environment {
        host: "here".into(),
        data_dir: dir.to_owned(),
        keeps_state: true,
        memory: Memory::new(1 << 20),
        telemetry: Telemetry::new().ok()?,
        sinks: SinkNames::default(),
        secrets: Default::default(),
        masker: Default::default(),
        constants: Default::default(),
        tasks: tokio::sync::watch::channel(None).1,
        deliveries: Default::default(),
        runs: Default::default(),
        once: false,
    };
    let sources: HashSet<Arc<str>> = HashSet::from(["app".into()]);
    env.deliveries.lead(HashMap::from([("out".into(), sources)]));
    Some(Journal::new(&BuildContext { name: "out".into(), env: Arc::new(env) }, Safe::Kernel))
}

/// Good input.
pub(crate) fn journals() -> Vec<Vec<u8>> {
    let mut spans = Spans::default();
    spans.add(0, 4);
    spans.add(8, 1 << 40);
    let begin = |id| {
        let contents = vec![(("app".into(), 7), spans.clone())];
        Begin { id, records: 2, note: b"{}".to_vec(), contents }
    };
    let mut file = codec::HEADER.to_vec();
    codec::push_start("a-b", &mut file);
    codec::push_begin(&begin(1), &mut file);
    codec::push_done(1, &mut file);
    codec::push_begin(&begin(300), &mut file);
    codec::push_void(300, &mut file);
    codec::push_begin(&begin(301), &mut file);
    // A start, an entry, and that it was done; without sums.
    let frames = b"\x01\0\x03a-b\xff\x01\x05\x01\x01n\x01\x03app\x07\x02\0\x04\x04\x06\xff\x02\x05";
    vec![[b"\0", &*file].concat(), frames.to_vec()]
}
