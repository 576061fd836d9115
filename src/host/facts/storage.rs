//! Facts about what is mounted.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Host;
use crate::host::mounts::{self, Mount};
use crate::host::statfs::Answer;

/// How long all mounts together may take to say how full they are.
const LIMIT: Duration = Duration::from_secs(1);

/// `mounts`: by mount point, `device`, `fstype`, `options`, `read_only`, `size_bytes`, `free_bytes`,
/// `available_bytes` (what users other than root may still use). The bytes are `null` where the
/// mount refuses or does not answer within a second. Of several mounts over one another the last
/// counts; the kernel's own file systems are left out.
/// - Source: `/proc/self/mountinfo`, statvfs(3).
pub(super) fn mounts(host: &Host) -> Value {
    let table = std::fs::read(host.roots.procfs.join("self/mountinfo")).unwrap_or_default();
    let mut mounts = mounts::parse(&table).unwrap_or_default();
    mounts.retain(|mount| !mount.is_kernel_view());
    let points: Vec<PathBuf> = mounts.iter().map(|mount| host.roots.file(&mount.point)).collect();
    let answers = host.watchdog.ask(&points, LIMIT);
    let entry = |(mount, answer): (&Mount, &Answer)| {
        let usage = if let Answer::Usage(usage) = answer { Some(usage) } else { None };
        let bytes = |value: f64| value as u64;
        let value = json!({
            "device": mount.device,
            "fstype": mount.fstype,
            "options": mount.options,
            "read_only": mount.is_read_only(),
            "size_bytes": usage.map(|usage| bytes(usage.size_bytes)),
            "free_bytes": usage.map(|usage| bytes(usage.free_bytes)),
            "available_bytes": usage.map(|usage| bytes(usage.available_bytes)),
        });
        (mount.point.to_string_lossy().into_owned(), value)
    };
    Value::Object(mounts.iter().zip(&answers).map(entry).collect::<Map<_, _>>())
}
