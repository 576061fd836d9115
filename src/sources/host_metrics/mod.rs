//! The host's metrics, under `node_exporter`'s names: the table of contents.
//!
//! A collector is one file: the kernel's files it holds, a pure function that parses their text,
//! and the families it makes of them. Names, kinds, labels, values and default filters are
//! `node_exporter`'s (1.12), so that dashboards and rules made for it hold; help texts are our own.
//! Time and success of each collector are the runner's business.

pub mod arp;
pub mod bonding;
pub mod collector;
pub mod conntrack;
pub mod cpu;
pub mod cpufreq;
pub mod diskstats;
pub mod dmi;
pub mod edac;
pub mod entropy;
pub mod families;
pub mod filefd;
pub mod filesystem;
pub mod filter;
pub mod hwmon;
pub mod kernel_hung;
mod links;
pub mod loadavg;
pub mod mdadm;
pub mod meminfo;
pub mod netclass;
pub mod netdev;
pub mod netstat;
pub mod nvme;
pub mod options;
pub mod os;
pub mod powersupplyclass;
pub mod pressure;
pub mod runner;
pub mod schedstat;
pub mod selinux;
pub mod sockstat;
pub mod softnet;
mod source;
pub mod stat;
pub mod textfile;
pub mod thermal_zone;
pub mod time;
pub mod timex;
pub mod udp_queues;
pub mod uname;
pub mod vmstat;
pub mod watchdog;

pub use self::source::Config;

use self::collector::Collector;
use self::options::Options;
use crate::host::roots::Roots;

/// A collector as the registry knows it.
#[derive(Clone, Copy)]
pub struct Entry {
    /// `node_exporter`'s name for it, used in config and in the `collector` label.
    pub name: &'static str,
    /// Whether it runs unasked, as a part of `default`.
    pub is_default: bool,
    /// Makes one for a host. Opens nothing that may be missing.
    pub make: Make,
}

type Make = fn(&Roots, &Options) -> Box<dyn Collector>;

const fn on(name: &'static str, make: Make) -> Entry {
    Entry { name, is_default: true, make }
}

/// All collectors, by name: those that `node_exporter` runs unasked (`on`), and those that it runs
/// when it is told to (`off`).
pub const COLLECTORS: &[Entry] = &[
    on("arp", |roots, options| Box::new(arp::Arp::new(roots, &options.arp))),
    on("bonding", |roots, _| Box::new(bonding::Bonding::new(roots))),
    on("conntrack", |roots, _| Box::new(conntrack::Conntrack::new(roots))),
    on("cpu", |roots, options| Box::new(cpu::Cpu::new(roots, &options.cpu))),
    on("cpufreq", |roots, _| Box::new(cpufreq::Cpufreq::new(roots))),
    on("diskstats", |roots, options| Box::new(diskstats::Diskstats::new(roots, &options.diskstats))),
    on("dmi", |roots, _| Box::new(dmi::Dmi::new(roots))),
    on("edac", |roots, _| Box::new(edac::Edac::new(roots))),
    on("entropy", |roots, _| Box::new(entropy::Entropy::new(roots))),
    on("filefd", |roots, _| Box::new(filefd::Filefd::new(roots))),
    on("filesystem", |roots, options| Box::new(filesystem::Filesystem::new(roots, &options.filesystem))),
    on("hwmon", |roots, options| Box::new(hwmon::Hwmon::new(roots, &options.hwmon))),
    on("kernel_hung", |roots, _| Box::new(kernel_hung::KernelHung::new(roots))),
    on("loadavg", |roots, _| Box::new(loadavg::Loadavg::new(roots))),
    on("mdadm", |roots, _| Box::new(mdadm::Mdadm::new(roots))),
    on("meminfo", |roots, _| Box::new(meminfo::Meminfo::new(roots))),
    on("netclass", |roots, options| Box::new(netclass::Netclass::new(roots, &options.netclass))),
    on("netdev", |roots, options| Box::new(netdev::Netdev::new(roots, &options.netdev))),
    on("netstat", |roots, options| Box::new(netstat::Netstat::new(roots, &options.netstat))),
    on("nvme", |roots, _| Box::new(nvme::Nvme::new(roots))),
    on("os", |roots, _| Box::new(os::Os::new(roots))),
    on("powersupplyclass", |roots, options| Box::new(powersupplyclass::PowerSupplyClass::new(roots, &options.powersupplyclass))),
    on("pressure", |roots, _| Box::new(pressure::Pressure::new(roots))),
    on("schedstat", |roots, _| Box::new(schedstat::Schedstat::new(roots))),
    on("selinux", |roots, _| Box::new(selinux::Selinux::new(roots))),
    on("sockstat", |roots, _| Box::new(sockstat::Sockstat::new(roots))),
    on("softnet", |roots, _| Box::new(softnet::Softnet::new(roots))),
    on("stat", |roots, options| Box::new(stat::Stat::new(roots, &options.stat))),
    on("textfile", |_, options| Box::new(textfile::Textfile::new(&options.textfile))),
    on("thermal_zone", |roots, _| Box::new(thermal_zone::ThermalZone::new(roots))),
    on("time", |roots, _| Box::new(time::Time::new(roots))),
    on("timex", |_, _| Box::<timex::Timex>::default()),
    on("udp_queues", |roots, _| Box::new(udp_queues::UdpQueues::new(roots))),
    on("uname", |_, _| Box::new(uname::Uname)),
    on("vmstat", |roots, options| Box::new(vmstat::Vmstat::new(roots, &options.vmstat))),
    on("watchdog", |roots, _| Box::new(watchdog::Watchdog::new(roots))),
];
