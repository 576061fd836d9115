//! Who may read what the agent keeps.

use crate::rig::Rig;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// All that is no directory below `dir`.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap());
    entries
        .flat_map(|entry| match entry.file_type().unwrap().is_dir() {
            true => files(&entry.path()),
            false => vec![entry.path()],
        })
        .collect()
}

#[test]
fn nothing_that_the_agent_keeps_is_for_anybody_else() {
    let rig = Rig::new();
    let (out, told) = (rig.path("out.log"), rig.path("told.jsonl"));
    rig.write(
        "config/topology.yml",
        &format!(
            "sources:
  in: {{type: file, include: ['{}']}}
  host: {{type: host_metrics, interval: 1s, collect: [loadavg]}}
  done: {{type: audit}}
transforms:
  checked:
    type: threshold
    inputs: [host]
    checks: [{{name: load, expr: node_load1 * 0 + 7, critical: {{above: 5}}}}]
sinks:
  out: {{type: file, inputs: [in], path: '{}'}}
  told: {{type: file, inputs: [checked, done], path: '{}'}}
  away:
    type: http
    inputs: [in]
    url: http://127.0.0.1:1/
    buffer: {{type: disk, max_bytes: 1MiB}}
",
            rig.path("in.log").display(),
            out.display(),
            told.display()
        ),
    );
    let made = rig.path("made").display().to_string();
    rig.write(
        "config/apply.yml",
        &format!(
            "interval: 1h
tasks: [{{copy: {{dest: {made}, content: x}}, notify: tell}}]
handlers: [{{name: tell, command: 'true'}}]
"
        ),
    );
    let agent = rig.start();
    rig.append("in.log", "one\ntwo\n");
    let places = ["control.sock", "apply", "audit", "buffers", "checkpoints", "deliveries"];
    rig.wait_until("all is at work", || {
        let there = files(&rig.path("data"));
        let has =
            |place: &&str| there.iter().any(|path| path.starts_with(rig.path("data").join(place)));
        places.iter().all(has)
            && rig.read("out.log") == "one\ntwo\n"
            && !rig.read("told.jsonl").is_empty()
    });
    let open: BTreeSet<PathBuf> = files(&rig.path("data"))
        .into_iter()
        .filter(|path| fs::symlink_metadata(path).is_ok_and(|found| found.mode() & 0o077 != 0))
        .collect();
    assert!(open.is_empty(), "others may read {open:?}");
    agent.kill();
}
