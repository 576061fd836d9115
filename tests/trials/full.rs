//! A disk without room: where a sink writes, and where the agent keeps its own state.

use super::oracle::{Oracle, Verdict};
use super::rig::Rig;
use super::skip::skipped;
use super::writer::Writer;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Mounts a disk of one MiB at `$1` with something on it that takes half of the room, and becomes
/// the rest.
const SMALL: &str = r#"
    mount -t tmpfs -o size=1m tmpfs "$1" || exit 1
    head -c 524288 /dev/zero >"$1/ballast"
    shift
    exec "$@"
"#;

fn on_small_disk(dir: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", SMALL, "small"]).arg(dir);
    command
}

/// `None`, and a line that says why, where no disk can be mounted.
fn rig(topology: &str, small: &str) -> Option<Rig> {
    let rig = Rig::new(topology);
    rig.settings("shutdown_timeout: 2s\n");
    fs::create_dir_all(rig.path(small)).unwrap();
    let mut trial = on_small_disk(&rig.path(small));
    trial.arg("true").stdout(Stdio::null()).stderr(Stdio::null());
    if !trial.status().is_ok_and(|status| status.success()) {
        skipped("a small disk of its own needs root and unshare");
        return None;
    }
    Some(rig)
}

const TO_FILE: &str = "sources: {app: {type: file, include: ['{dir}/logs/*.log']}}\n\
     sinks:\n  out: {type: file, inputs: [app], path: '{dir}/out/all.log', \
     retry: {initial: 20ms, max: 200ms}}\n";

#[test]
fn a_file_sink_whose_disk_is_full_waits_and_goes_on_where_it_was() {
    let Some(rig) = rig(TO_FILE, "out") else { return };
    let mut writer = Writer::start(1, &rig.path("logs/app.log"), 1_000_000);
    let agent = rig.start_by(on_small_disk(&rig.path("out")));
    // The disk is to be seen in the agent's mounts alone.
    let inside = |name: &str| -> PathBuf {
        let path = rig.path("out").join(name);
        format!("/proc/{}/root{}", agent.id(), path.display()).into()
    };
    rig.wait_until("it says that there is no room", || rig.said().contains("No space left"));
    let written = writer.stop();
    let out = || fs::read(inside("all.log")).unwrap_or_default();
    // Somebody makes room by taking away what was delivered, as a rotation does, with the ballast.
    let mut all = Vec::new();
    let mut oracle = Oracle::default();
    fs::remove_file(inside("ballast")).unwrap();
    rig.wait_until("what there is room for arrives", || {
        all = out();
        oracle = Oracle::of(&all);
        oracle.distinct(1) == written || all.len() > 900_000
    });
    assert!(agent.stop().success() || oracle.distinct(1) < written, "{}", rig.said());
    let upto = oracle.distinct(1);
    assert!(upto > 3_000, "{upto} lines");
    assert_eq!(oracle.verdict(&[(1, upto)]), Verdict::default());
}

#[test]
fn a_full_disk_under_the_agents_own_state_stops_no_line_and_is_told() {
    let Some(rig) = rig(TO_FILE, "data") else { return };
    let mut command = on_small_disk(&rig.path("data"));
    // All of it is taken.
    command.args([
        "sh",
        "-c",
        "head -c 2097152 /dev/zero >\"$1/more\" 2>/dev/null; shift; exec \"$@\"",
        "full",
    ]);
    command.arg(rig.path("data"));
    let mut writer = Writer::start(1, &rig.path("logs/app.log"), 500_000);
    let agent = rig.start_by(command);
    let out = || Oracle::of(&fs::read(rig.path("out/all.log")).unwrap_or_default());
    rig.wait_until("it says that it cannot write its checkpoint", || {
        rig.said().contains("No space left")
    });
    let before = out().distinct(1);
    rig.wait_until("lines go on arriving", || out().distinct(1) > before + 1_000);
    let more = format!("/proc/{}/root{}", agent.id(), rig.path("data/more").display());
    fs::remove_file(more).unwrap();
    let checkpoint =
        format!("/proc/{}/root{}", agent.id(), rig.path("data/checkpoints/app").display());
    rig.wait_until("it is written once there is room", || {
        fs::read_to_string(&checkpoint).is_ok_and(|text| text.contains("\"offset\":"))
    });
    let verdict = rig.verdict(&[(1, writer.stop())], || fs::read(rig.path("out/all.log")).unwrap());
    assert!(agent.stop().success(), "{}", rig.said());
    assert_eq!(verdict, Verdict::default());
}
