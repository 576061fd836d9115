//! Facts about disks and what is mounted.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Host;
use crate::host::mounts::{self, Mount};
use crate::host::statfs::Answer;
use crate::host::sysfs;
use crate::host::udev::Udev;

/// How long all mounts together may take to say how full they are.
const LIMIT: Duration = Duration::from_secs(1);

/// The kernel counts sizes in sectors of so many bytes, whatever the disk's own are.
const SECTOR_BYTES: u64 = 512;

/// `mounts`: by mount point, `device`, `fstype`, `options`, `read_only`, `size_bytes`, `free_bytes`,
/// `available_bytes` (what users other than root may still use). The bytes are `null` where the
/// mount refuses or does not answer within a second. Of several mounts over one another the last
/// counts; the kernel's own file systems are left out.
/// - Source: `/proc/self/mountinfo`, statvfs(3).
pub(super) fn mounts(host: &Host) -> Value {
    let mounts = table(host);
    let points: Vec<Arc<Path>> =
        mounts.iter().map(|mount| host.roots.file(&mount.point).into()).collect();
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

/// `filesystems`: the kinds that the kernel can mount from a disk, sorted.
/// - Source: `/proc/filesystems`.
pub(super) fn filesystems(host: &Host) -> Value {
    let text = host.proc("filesystems").unwrap_or_default();
    // What needs no disk has a word before its name.
    let kinds = text.lines().map(str::trim).filter(|kind| !kind.contains(char::is_whitespace));
    let mut kinds: Vec<&str> = kinds.filter(|kind| !["", "fuseblk"].contains(kind)).collect();
    kinds.sort_unstable();
    json!(kinds)
}

/// The mounts that hold somebody's files.
fn table(host: &Host) -> Vec<Mount> {
    let table = std::fs::read(host.roots.procfs.join("self/mountinfo")).unwrap_or_default();
    let mut mounts = mounts::parse(&table).unwrap_or_default();
    mounts.retain(|mount| !mount.is_kernel_view());
    mounts
}

/// `disks`: by name, `size_bytes`, `model`, `vendor`, `serial`, `wwn`, `rotational`, `removable` and
/// the names of its `partitions`. Loop devices and disks in memory are left out.
/// - Source: `/sys/block`, udev's notes.
pub(super) fn disks(host: &Host) -> Value {
    let folder = host.roots.sysfs.join("block");
    let mut udev = Udev::new(&host.roots.udev_data);
    let disk = |name: String| {
        if ["loop", "ram", "zram", "fd"].iter().any(|start| name.starts_with(start)) {
            return None;
        }
        let own = folder.join(&name);
        let text = |file: &str| sysfs::text(own.join(file)).filter(|text| !text.is_empty());
        let is = |file: &str| text(file).map(|word| word == "1");
        let known = number(text("dev").as_deref())
            .and_then(|(major, minor)| udev.block_device(major, minor));
        let noted = |key: &str| known.and_then(|known| known.get(key)).cloned();
        let value = json!({
            "size_bytes": sysfs::number::<u64>(own.join("size")).map(|size| size * SECTOR_BYTES),
            "model": text("device/model").or_else(|| noted("ID_MODEL")),
            "vendor": text("device/vendor").or_else(|| noted("ID_VENDOR")),
            "serial": text("device/serial")
                .or_else(|| noted("ID_SERIAL_SHORT"))
                .or_else(|| noted("ID_SERIAL")),
            "wwn": text("device/wwid").or_else(|| noted("ID_WWN")),
            "rotational": is("queue/rotational"),
            "removable": is("removable"),
            "partitions": partitions_of(&own, &name),
        });
        Some((name, value))
    };
    Value::Object(sysfs::names(&folder).into_iter().filter_map(disk).collect::<Map<_, _>>())
}

/// `partitions`: by name, `disk`, `size_bytes`, `filesystem`, `uuid`, `label`, `partuuid` and where
/// it is mounted (`mount`). What is on it is `null` where udev has no notes.
/// - Source: `/sys/block`, udev's notes, `/proc/self/mountinfo`.
pub(super) fn partitions(host: &Host) -> Value {
    let folder = host.roots.sysfs.join("block");
    let mounts = table(host);
    let mut udev = Udev::new(&host.roots.udev_data);
    let mut partitions = Map::new();
    for disk in sysfs::names(&folder) {
        for name in partitions_of(&folder.join(&disk), &disk) {
            let own = folder.join(&disk).join(&name);
            let device = number(sysfs::text(own.join("dev")).as_deref());
            let known = device.and_then(|(major, minor)| udev.block_device(major, minor));
            let noted = |key: &str| known.and_then(|known| known.get(key)).cloned();
            let is_mounted = |mount: &&Mount| Some((mount.major, mount.minor)) == device;
            let mount = mounts.iter().find(is_mounted);
            let value = json!({
                "disk": disk,
                "size_bytes":
                    sysfs::number::<u64>(own.join("size")).map(|size| size * SECTOR_BYTES),
                "filesystem": noted("ID_FS_TYPE").or_else(|| Some(mount?.fstype.clone())),
                "uuid": noted("ID_FS_UUID"),
                "label": noted("ID_FS_LABEL"),
                "partuuid": noted("ID_PART_ENTRY_UUID"),
                "mount": mount.map(|mount| mount.point.to_string_lossy()),
            });
            partitions.insert(name, value);
        }
    }
    Value::Object(partitions)
}

/// Folders of a disk that are called after it.
fn partitions_of(folder: &Path, disk: &str) -> Vec<String> {
    let mut names = sysfs::names(folder);
    names.retain(|name| name.starts_with(disk) && folder.join(name).join("partition").exists());
    names
}

/// `MAJOR:MINOR`
fn number(text: Option<&str>) -> Option<(u32, u32)> {
    let (major, minor) = text?.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::roots::Roots;
    use std::fs;

    #[test]
    fn kinds_of_file_systems_are_those_that_lie_on_disks() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("proc")).unwrap();
        let text = "nodev\tsysfs\n\txfs\n\text4\nnodev\ttmpfs\n\tfuseblk\n\n";
        fs::write(root.path().join("proc/filesystems"), text).unwrap();
        assert_eq!(filesystems(&Host::of(Roots::below(root.path()))), json!(["ext4", "xfs"]));
    }

    #[test]
    fn a_disk_is_told_with_its_partitions_and_what_is_on_them() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("sys/block/sda/size", "1000\n"),
            ("sys/block/sda/dev", "8:0\n"),
            ("sys/block/sda/queue/rotational", "0\n"),
            ("sys/block/sda/device/model", "Fast Disk \n"),
            ("sys/block/sda/sda1/partition", "1\n"),
            ("sys/block/sda/sda1/size", "500\n"),
            ("sys/block/sda/sda1/dev", "8:1\n"),
            ("sys/block/loop0/size", "8\n"),
            ("udev/data/b8:1", "E:ID_FS_TYPE=ext4\nE:ID_FS_UUID=0-1\n"),
            ("proc/self/mountinfo", "27 1 8:1 / /srv rw - ext4 /dev/sda1 rw\n"),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let host = Host::of(Roots::below(root.path()));
        let disks = disks(&host);
        assert_eq!(disks.as_object().unwrap().len(), 1);
        assert_eq!(disks["sda"]["size_bytes"], 512_000);
        assert_eq!(disks["sda"]["model"], "Fast Disk");
        assert_eq!(disks["sda"]["rotational"], false);
        assert_eq!(disks["sda"]["partitions"], json!(["sda1"]));
        let expected = json!({
            "disk": "sda", "size_bytes": 256_000, "filesystem": "ext4", "uuid": "0-1",
            "label": null, "partuuid": null, "mount": "/srv",
        });
        assert_eq!(partitions(&host)["sda1"], expected);
    }
}
