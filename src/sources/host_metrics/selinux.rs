//! `selinux`: whether SELinux is on, and what it does about offences.

use std::fs;
use std::path::PathBuf;

use super::collector::{CollectError, Collector};
use crate::event::metric::{Family, MetricKind};
use crate::host::roots::Roots;
use crate::host::sysfs;

/// Reads `/sys/fs/selinux/enforce` and `/etc/selinux/config`.
pub struct Selinux {
    enforce: PathBuf,
    config: PathBuf,
}

impl Selinux {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self {
            enforce: roots.sysfs.join("fs/selinux/enforce"),
            config: roots.file("/etc/selinux/config"),
        }
    }
}

impl Collector for Selinux {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let gauge = |name, help, value| Family::single(name, MetricKind::Gauge, help, value);
        let current: Option<f64> = sysfs::number(&self.enforce);
        let enabled = if current.is_some() { 1.0 } else { 0.0 };
        out.push(gauge("node_selinux_enabled", "Whether SELinux is on: 1 yes, 0 no.", enabled));
        let Some(current) = current else { return Ok(()) };
        let config = fs::read_to_string(&self.config).unwrap_or_default();
        out.push(gauge(
            "node_selinux_config_mode",
            "What SELinux is to do from the next start on: 1 enforce, 0 tell, -1 nothing.",
            mode(&config),
        ));
        out.push(gauge(
            "node_selinux_current_mode",
            "What SELinux does now: 1 enforce, 0 tell.",
            current,
        ));
        Ok(())
    }
}

/// The last `SELINUX=` of the config file as a number; nothing and anything else is -1.
fn mode(config: &str) -> f64 {
    let setting =
        config.lines().filter_map(|line| line.trim().strip_prefix("SELINUX=")).next_back();
    match setting.map(str::trim) {
        Some("enforcing") => 1.0,
        Some("permissive") => 0.0,
        _ => -1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_of_the_config_is_a_number() {
        assert!((mode("# x\nSELINUX=enforcing\nSELINUXTYPE=targeted\n") - 1.0).abs() < 1e-9);
        assert!(mode("SELINUX=permissive").abs() < 1e-9);
        assert!((mode("SELINUX=disabled") + 1.0).abs() < 1e-9);
    }
}
