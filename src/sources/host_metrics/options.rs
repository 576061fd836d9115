//! Settings of single collectors, by the collectors' names.

use schemars::JsonSchema;
use serde::Deserialize;

use super::links::SharedLinks;
use super::{
    arp, bcache, cgroup_usage, cpu, diskstats, exec, filesystem, hwmon, interrupts, ipvs, netclass,
    netdev, netstat,
};
use super::{
    powersupplyclass, qdisc, rapl, slabinfo, stat, sysctl, systemd, tapestats, textfile,
    top_processes, vmstat,
};
use crate::host::brief::Programs;

/// What the collectors are told; where nothing is said, each does as `node_exporter` does unasked.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Neighbours on the network.
    pub arp: arp::Options,
    /// Fast disks as caches of slow ones.
    pub bcache: bcache::Options,
    /// What control groups and units take.
    pub cgroup_usage: cgroup_usage::Options,
    /// Processors.
    pub cpu: cpu::Options,
    /// Disks.
    pub diskstats: diskstats::Options,
    /// Programs that are run for what they say.
    pub exec: exec::Options,
    /// File systems.
    pub filesystem: filesystem::Options,
    /// Sensors.
    pub hwmon: hwmon::Options,
    /// Interrupts.
    pub interrupts: interrupts::Options,
    /// The kernel's load balancer.
    pub ipvs: ipvs::Options,
    /// What network interfaces are.
    pub netclass: netclass::Options,
    /// What went through network interfaces.
    pub netdev: netdev::Options,
    /// The counters of the network's protocols.
    pub netstat: netstat::Options,
    /// Batteries and mains.
    pub powersupplyclass: powersupplyclass::Options,
    /// Queues of network interfaces.
    pub qdisc: qdisc::Options,
    /// Energy used.
    pub rapl: rapl::Options,
    /// The kernel's own objects.
    pub slabinfo: slabinfo::Options,
    /// What the kernel has done.
    pub stat: stat::Options,
    /// Settings of the kernel.
    pub sysctl: sysctl::Options,
    /// Units of systemd.
    pub systemd: systemd::Options,
    /// Tape drives.
    pub tapestats: tapestats::Options,
    /// Files that other programs leave for a scrape.
    pub textfile: textfile::Options,
    /// The programs that take most.
    pub top_processes: top_processes::Options,
    /// Paging and page faults.
    pub vmstat: vmstat::Options,
    /// No setting: the answer that the collectors of interfaces share.
    #[serde(skip)]
    #[schemars(skip)]
    pub links: SharedLinks,
    /// No setting: the programs that collectors run, which end with the source.
    #[serde(skip)]
    #[schemars(skip)]
    pub programs: Programs,
}
