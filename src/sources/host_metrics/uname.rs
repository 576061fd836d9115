//! `uname`: the kernel's name, release and version, and the name it gives this host.

use std::borrow::Cow;

use nix::sys::utsname;

use super::collector::{CollectError, Collector};
use crate::event::metric::{Family, MetricKind};
use crate::host::roots::Roots;

/// Asks the kernel, not a file.
pub struct Uname;

impl Uname {
    /// The collector for this host, whatever the roots are.
    pub fn new(_: &Roots) -> Self {
        Self
    }
}

impl Collector for Uname {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let asked = utsname::uname()
            .map_err(|errno| CollectError::Io { path: "uname".into(), error: errno.into() })?;
        let label = |name: &'static str, value: &std::ffi::OsStr| {
            (Cow::Borrowed(name), Cow::Owned(value.to_string_lossy().into_owned()))
        };
        let mut family = Family::new(
            "node_uname_info",
            MetricKind::Gauge,
            "What the kernel says it is, in labels; always 1.",
        );
        let labels = vec![
            label("domainname", asked.domainname()),
            label("machine", asked.machine()),
            label("nodename", asked.nodename()),
            label("release", asked.release()),
            label("sysname", asked.sysname()),
            label("version", asked.version()),
        ];
        family.push(labels, 1.0);
        out.push(family);
        Ok(())
    }
}
