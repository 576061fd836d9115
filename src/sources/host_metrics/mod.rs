//! The host's metrics, under `node_exporter`'s names: the table of contents.
//!
//! A collector is one file: the kernel's files it holds, a pure function that parses their text,
//! and the families it makes of them. Names, kinds, labels, values and default filters are
//! `node_exporter`'s (1.12), so that dashboards and rules made for it hold; help texts are our own.
//! Time and success of each collector are the runner's business.

pub mod collector;
pub mod cpu;
pub mod diskstats;
pub mod filesystem;
pub mod loadavg;
pub mod meminfo;
pub mod netdev;
pub mod runner;
mod source;
pub mod stat;
pub mod time;
pub mod uname;
pub mod vmstat;

pub use self::source::Config;

use self::collector::Collector;
use crate::host::roots::Roots;

/// A collector as the registry knows it.
#[derive(Clone, Copy)]
pub struct Entry {
    /// `node_exporter`'s name for it, used in config and in the `collector` label.
    pub name: &'static str,
    /// Makes one for a host. Opens nothing that may be missing.
    pub make: fn(&Roots) -> Box<dyn Collector>,
}

/// All collectors, by name. Those that `node_exporter` runs unasked are all there are so far.
pub const COLLECTORS: [Entry; 10] = [
    Entry { name: "cpu", make: |roots| Box::new(cpu::Cpu::new(roots)) },
    Entry { name: "diskstats", make: |roots| Box::new(diskstats::Diskstats::new(roots)) },
    Entry { name: "filesystem", make: |roots| Box::new(filesystem::Filesystem::new(roots)) },
    Entry { name: "loadavg", make: |roots| Box::new(loadavg::Loadavg::new(roots)) },
    Entry { name: "meminfo", make: |roots| Box::new(meminfo::Meminfo::new(roots)) },
    Entry { name: "netdev", make: |roots| Box::new(netdev::Netdev::new(roots)) },
    Entry { name: "stat", make: |roots| Box::new(stat::Stat::new(roots)) },
    Entry { name: "time", make: |roots| Box::new(time::Time::new(roots)) },
    Entry { name: "uname", make: |_| Box::new(uname::Uname) },
    Entry { name: "vmstat", make: |roots| Box::new(vmstat::Vmstat::new(roots)) },
];
