//! A root to throw away with a systemd at work in it, as on a host that has started.

use super::skip::skipped;
use super::throwaway::SETUP;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Gives systemd a control group to put its units in, below one of its own that is taken away again,
/// and starts it. `$1` is the host's mount namespace, `$2` the script, `$3` what is shown at `/share`,
/// `$4` how a root is set up.
const BOOT: &str = r#"
    groups=$3/groups
    mkdir "$groups" && mount -t cgroup2 cgroup2 "$groups" || exit 1
    own=$groups/driftless-test-$$
    mkdir "$own" || exit 1
    bash -c 'echo $$ >"$1/cgroup.procs" || exit 1; shift
        exec timeout 120 unshare --mount --propagation private --pid --fork --kill-child \
            --uts --ipc --net --cgroup bash -c "$4" throwaway "$1" "$2" "$3" booted
    ' boot "$own" "$1" "$2" "$3" "$4"
    echo 1 >"$own/cgroup.kill"
    for _ in $(seq 100); do grep -q 'populated 0' "$own/cgroup.events" && break; sleep 0.02; done
    find "$own" -depth -type d -exec rmdir {} \;
    umount "$groups"
"#;

/// Runs the shell script `script` as a unit of that systemd, and returns what it said. `share` is at
/// `/share`.
///
/// `None`, and a line that says why, where this machine does not let us.
pub(crate) fn run(script: &str, share: &Path) -> Option<String> {
    let out = share.join("out");
    fs::create_dir(&out).unwrap();
    let host = fs::read_link("/proc/self/ns/mnt").ok()?;
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "bash", "-c", BOOT, "boot"])
        .arg(&host)
        .args([script])
        .arg(share)
        .arg(SETUP)
        .stdin(Stdio::null())
        .output();
    let complained = match output {
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    let read = |name: &str| fs::read_to_string(out.join(name));
    let Ok(code) = read("code") else {
        skipped(&format!("no systemd at work in a throwaway root: {}", complained.trim()));
        return None;
    };
    let (said, complained) = (read("stdout").unwrap(), read("stderr").unwrap());
    assert_eq!(code.trim(), "0", "{said}\n{complained}");
    Some(said)
}
