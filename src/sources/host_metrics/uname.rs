//! `uname`: the kernel's name, release and version, and the name it gives this host.

use nix::sys::utsname;

use super::collector::{CollectError, Collector};
use super::families::KnownLabels;
use crate::event::metric::{Family, MetricKind};
use crate::host::roots::Roots;

/// Asks the kernel, not a file.
#[derive(Default)]
pub struct Uname {
    labels: KnownLabels,
}

impl Uname {
    /// The collector for this host, whatever the roots are.
    pub fn new(_: &Roots) -> Self {
        Self::default()
    }
}

impl Collector for Uname {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let asked = utsname::uname()
            .map_err(|errno| CollectError::Io { path: "uname".into(), error: errno.into() })?;
        self.labels.begin();
        let mut family = Family::new(
            "node_uname_info",
            MetricKind::Gauge,
            "What the kernel says it is, in labels; always 1.",
        );
        let labels = self.labels.get([
            ("domainname", &asked.domainname().to_string_lossy()),
            ("machine", &asked.machine().to_string_lossy()),
            ("nodename", &asked.nodename().to_string_lossy()),
            ("release", &asked.release().to_string_lossy()),
            ("sysname", &asked.sysname().to_string_lossy()),
            ("version", &asked.version().to_string_lossy()),
        ]);
        family.push(labels, 1.0);
        out.push(family);
        Ok(())
    }
}
