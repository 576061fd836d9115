//! `reboot`: whether the host waits for a restart, as Debian's packages ask for one.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::collector::{CollectError, Collector};
use crate::event::metric::{Family, MetricKind};
use crate::host::roots::Roots;

/// Looks for `/run/reboot-required` and reads `/run/reboot-required.pkgs`.
pub struct Reboot {
    /// Where there are no packages of this kind, the absence of the files says nothing.
    packages: PathBuf,
    required: PathBuf,
    asking: PathBuf,
}

impl Reboot {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self {
            packages: roots.file("/var/lib/dpkg/status"),
            required: roots.file("/run/reboot-required"),
            asking: roots.file("/run/reboot-required.pkgs"),
        }
    }
}

impl Collector for Reboot {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let is_required = self.required.exists();
        if !is_required && !self.packages.exists() {
            return Err(CollectError::NoData);
        }
        let gauge = |name, help, value| Family::single(name, MetricKind::Gauge, help, value);
        out.push(gauge(
            "node_reboot_required",
            "Whether the host waits for a restart: 1 yes, 0 no.",
            if is_required { 1.0 } else { 0.0 },
        ));
        let asking = fs::read(&self.asking).unwrap_or_default();
        out.push(gauge(
            "driftless_reboot_required_packages",
            "Packages that ask for the restart.",
            if is_required { packages(&asking) as f64 } else { 0.0 },
        ));
        Ok(())
    }
}

/// A package asks once for each time that it was installed.
fn packages(text: &[u8]) -> usize {
    let names = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    names.filter(|name| !name.is_empty()).collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::exposition;

    #[test]
    fn a_restart_is_told_with_how_many_ask_for_it_and_only_where_packages_can_ask() {
        let root = tempfile::tempdir().unwrap();
        let told = || {
            let mut families = Vec::new();
            let done = Reboot::new(&Roots::below(root.path())).collect(&mut families);
            let mut text = Vec::new();
            exposition::encode(&families, &mut text);
            let text = String::from_utf8(text).unwrap();
            let values = text.lines().filter(|line| !line.starts_with('#'));
            done.map(|()| values.map(str::to_owned).collect::<Vec<_>>().join(", "))
        };
        assert!(matches!(told(), Err(CollectError::NoData)));
        fs::create_dir_all(root.path().join("var/lib/dpkg")).unwrap();
        fs::create_dir(root.path().join("run")).unwrap();
        fs::write(root.path().join("var/lib/dpkg/status"), "").unwrap();
        let expected = "node_reboot_required 0, driftless_reboot_required_packages 0";
        assert_eq!(told().unwrap(), expected);
        fs::write(root.path().join("run/reboot-required"), "*** restart ***\n").unwrap();
        let expected = "node_reboot_required 1, driftless_reboot_required_packages 0";
        assert_eq!(told().unwrap(), expected);
        let asking = b"linux-image\nlibc6\nlinux-image\n\n\xff\xfe\n";
        fs::write(root.path().join("run/reboot-required.pkgs"), asking).unwrap();
        let expected = "node_reboot_required 1, driftless_reboot_required_packages 3";
        assert_eq!(told().unwrap(), expected);
    }
}
