//! The mount table, as `/proc/PID/mountinfo` tells it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// One line of the mount table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it is mounted.
    pub point: PathBuf,
    /// Which part of the file system is mounted: `/` is all of it.
    pub root: PathBuf,
    /// What is mounted: a device's path, `host:/export`, or a made-up word.
    pub device: String,
    /// The kind of file system: `ext4`, `nfs4`, `tmpfs`.
    pub fstype: String,
    /// Options of this mount: `rw,noatime`.
    pub options: String,
    /// Options of the file system, shared by all its mounts: `ro,errors=remount-ro`.
    pub super_options: String,
    /// The device number's first half.
    pub major: u32,
    /// The device number's second half.
    pub minor: u32,
}

impl Mount {
    /// Whether writes are refused, be it here, in the whole file system, or since an error.
    pub fn is_read_only(&self) -> bool {
        let has = |options: &str, word: &str| options.split(',').any(|option| option == word);
        has(&self.options, "ro")
            || has(&self.super_options, "ro")
            || has(&self.super_options, "emergency_ro")
    }

    /// Whether this is one of the kernel's windows onto itself, which hold no one's files.
    pub fn is_kernel_view(&self) -> bool {
        const VIEWS: [&str; 22] = [
            "autofs",
            "binfmt_misc",
            "bpf",
            "cgroup",
            "cgroup2",
            "configfs",
            "debugfs",
            "devpts",
            "devtmpfs",
            "efivarfs",
            "fusectl",
            "hugetlbfs",
            "mqueue",
            "nsfs",
            "proc",
            "pstore",
            "rpc_pipefs",
            "securityfs",
            "selinuxfs",
            "sysfs",
            "tracefs",
            "ramfs",
        ];
        VIEWS.contains(&self.fstype.as_str())
    }
}

/// Reads a whole mountinfo file, in the order of mounting.
///
/// - Errors: the first line that is not of the kernel's form.
pub fn parse(mountinfo: &[u8]) -> Result<Vec<Mount>, String> {
    mountinfo
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| parse_line(line).ok_or_else(|| String::from_utf8_lossy(line).into_owned()))
        .collect()
}

/// `ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG...] - FSTYPE DEVICE SUPER_OPTIONS`
fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
    let numbers = std::str::from_utf8(fields.nth(2)?).ok()?;
    let (major, minor) = numbers.split_once(':')?;
    let root = unescape(fields.next()?);
    let point = unescape(fields.next()?);
    let options = text(fields.next()?);
    fields.find(|field| *field == b"-")?;
    Some(Mount {
        point: PathBuf::from(OsString::from_vec(point)),
        root: PathBuf::from(OsString::from_vec(root)),
        fstype: text(fields.next()?),
        device: text(&unescape(fields.next()?)),
        options,
        super_options: fields.next().map(text).unwrap_or_default(),
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Undoes `\040` for bytes that would break a line into other fields, as the kernel and fstab(5)
/// write them.
pub fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| byte == b'\\');
        let code = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(decoded) => {
                out.push(decoded);
                rest = &after[3..];
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_with_and_without_tags_and_with_odd_names() {
        let table = b"27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw,discard\n\
            31 27 0:40 /a /mnt/two\\040words\\134x\xff ro - nfs4 nas:/ex\\040port rw,vers=4.2\n";
        let mounts = parse(table).unwrap();
        assert_eq!(mounts[0].device, "/dev/vda");
        assert_eq!((mounts[0].major, mounts[0].minor), (254, 0));
        assert!(!mounts[0].is_read_only());
        let odd = OsString::from_vec(b"/mnt/two words\\x\xff".to_vec());
        assert_eq!(mounts[1].point.as_os_str(), odd);
        assert_eq!(mounts[1].root, PathBuf::from("/a"));
        assert_eq!(mounts[1].device, "nas:/ex port");
        assert!(mounts[1].is_read_only());
    }

    #[test]
    fn a_file_system_that_gave_up_writing_is_read_only() {
        let table = b"27 1 8:1 / / rw - ext4 /dev/sda1 rw,emergency_ro\n";
        assert!(parse(table).unwrap()[0].is_read_only());
    }

    #[test]
    fn a_broken_line_is_told_not_skipped() {
        assert_eq!(parse(b"27 1 8:1 / / rw ext4\n"), Err("27 1 8:1 / / rw ext4".into()));
    }
}
