//! `bonding`: how many interfaces each bond is made of, and how many of them have a link.

use std::path::PathBuf;

use super::collector::{CollectError, Collector};
use super::families::labels;
use crate::event::metric::{Family, MetricKind};
use crate::host::roots::Roots;
use crate::host::sysfs;

/// Reads `/sys/class/net/bonding_masters` and the slaves of each bond.
pub struct Bonding {
    folder: PathBuf,
}

impl Bonding {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { folder: roots.sysfs.join("class/net") }
    }

    /// Whether this slave of `master` has a link. Kernels before 3.13 call its folder otherwise.
    fn is_active(&self, master: &str, slave: &str) -> bool {
        let folder = self.folder.join(master);
        let state = |link| folder.join(format!("{link}_{slave}/bonding_slave/mii_status"));
        sysfs::text(state("lower")).or_else(|| sysfs::text(state("slave"))).as_deref() == Some("up")
    }
}

impl Collector for Bonding {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let masters = sysfs::text(self.folder.join("bonding_masters"));
        let masters = masters.ok_or(CollectError::NoData)?;
        let gauge = |name, help| Family::new(name, MetricKind::Gauge, help);
        let mut active = gauge("node_bonding_active", "Interfaces of a bond that have a link.");
        let mut slaves = gauge("node_bonding_slaves", "Interfaces that a bond is made of.");
        for master in masters.split_ascii_whitespace() {
            let members = sysfs::text(self.folder.join(master).join("bonding/slaves"));
            let members = members.unwrap_or_default();
            let members: Vec<&str> = members.split_ascii_whitespace().collect();
            let up = members.iter().filter(|slave| self.is_active(master, slave)).count();
            active.push(labels([("master", master)]), up as f64);
            slaves.push(labels([("master", master)]), members.len() as f64);
        }
        out.extend([active, slaves]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::metric::SampleValue;
    use std::fs;

    #[test]
    fn a_slave_without_a_link_counts_as_slave_only() {
        let host = tempfile::tempdir().unwrap();
        let net = host.path().join("sys/class/net");
        for (slave, state) in [("lower_eth0", "up"), ("lower_eth1", "down")] {
            let folder = net.join("bond0").join(slave).join("bonding_slave");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("mii_status"), state).unwrap();
        }
        fs::create_dir(net.join("bond0/bonding")).unwrap();
        fs::write(net.join("bond0/bonding/slaves"), "eth0 eth1\n").unwrap();
        fs::write(net.join("bonding_masters"), "bond0\n").unwrap();
        let mut families = Vec::new();
        Bonding::new(&Roots::below(host.path())).collect(&mut families).unwrap();
        let values: Vec<_> = families.iter().map(|family| &family.samples[0].value).collect();
        assert_eq!(values, [&SampleValue::Number(1.0), &SampleValue::Number(2.0)]);
    }
}
