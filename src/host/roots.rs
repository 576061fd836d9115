//! Where the host's own files begin, so that fixtures and containers can stand in for them.

use std::path::{Path, PathBuf};

/// The four places that everything known about a host is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// The kernel's process file system, `/proc` on a live host.
    pub procfs: PathBuf,
    /// The kernel's device tree, `/sys` on a live host.
    pub sysfs: PathBuf,
    /// What `/etc`, `/usr` and mount points are looked up below, `/` on a live host.
    pub rootfs: PathBuf,
    /// What udev has written down about devices, `/run/udev/data` on a live host.
    pub udev_data: PathBuf,
}

impl Roots {
    /// The host that this process runs on.
    pub fn live() -> Self {
        Self {
            procfs: "/proc".into(),
            sysfs: "/sys".into(),
            rootfs: "/".into(),
            udev_data: "/run/udev/data".into(),
        }
    }

    /// A directory that holds `proc/`, `sys/`, `udev/data/` and otherwise looks like `/`: how a
    /// fixture or a mounted image is read.
    pub fn below(directory: &Path) -> Self {
        Self {
            procfs: directory.join("proc"),
            sysfs: directory.join("sys"),
            rootfs: directory.into(),
            udev_data: directory.join("udev/data"),
        }
    }

    /// Whether `/proc` and `/sys` are those of the host that this process runs on, so that the
    /// kernel can be asked in other ways too.
    pub fn is_live(&self) -> bool {
        let live = Self::live();
        (&self.procfs, &self.sysfs) == (&live.procfs, &live.sysfs)
    }

    /// The file that the host itself calls `path`, such as `/etc/os-release`.
    pub fn file(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.rootfs.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The name that the host itself has for `path`, which was seen from outside: without the
    /// root in front.
    pub fn inside(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.rootfs) {
            Ok(below) => Path::new("/").join(below),
            Err(_) => path.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_the_host_is_found_below_the_root_and_named_without_it() {
        let roots = Roots::below(Path::new("/mnt/image"));
        assert_eq!(roots.file("/etc/passwd"), Path::new("/mnt/image/etc/passwd"));
        assert_eq!(roots.inside(Path::new("/mnt/image/var")), Path::new("/var"));
        assert_eq!(roots.inside(Path::new("/mnt/image")), Path::new("/"));
        assert_eq!(Roots::live().inside(Path::new("/var")), Path::new("/var"));
    }
}
