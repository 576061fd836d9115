//! The host's metrics, under `node_exporter`'s names: the table of contents.
//!
//! A collector is one file: the kernel's files it holds, a pure function that parses their text,
//! and the families it makes of them. Names, kinds, labels, values and default filters are
//! `node_exporter`'s (1.12), so that dashboards and rules made for it hold; help texts are our own.
//! What it has no collector for is told under `driftless_*`.
//! Time and success of each collector are the runner's business.

pub mod arp;
pub mod bcache;
pub mod bcachefs;
pub mod bonding;
pub mod btrfs;
pub mod buddyinfo;
pub mod cgroup_usage;
pub mod cgroups;
pub mod collector;
pub mod conntrack;
pub mod cpu;
mod cpu_info;
pub mod cpu_vulnerabilities;
pub mod cpufreq;
pub mod diskstats;
pub mod dmi;
pub mod dmmultipath;
pub mod drbd;
pub mod edac;
pub mod entropy;
pub mod exec;
pub mod families;
pub mod fibrechannel;
pub mod filefd;
pub mod filesystem;
pub mod filter;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
pub mod hwmon;
pub mod infiniband;
pub mod interrupts;
pub mod ipvs;
pub mod kernel_hung;
pub mod ksmd;
mod links;
pub mod lnstat;
pub mod loadavg;
pub mod logind;
pub mod mdadm;
pub mod meminfo;
pub mod meminfo_numa;
pub mod mountstats;
mod nagios;
pub mod netclass;
pub mod netdev;
pub mod netstat;
pub mod network_route;
pub mod nfs;
pub mod nfsd;
pub mod nvme;
pub mod options;
pub mod os;
pub mod packages;
pub mod pcidevice;
pub mod powersupplyclass;
pub mod pressure;
pub mod processes;
pub mod qdisc;
pub mod rapl;
pub mod reboot;
mod rpc;
pub mod runner;
pub mod schedstat;
pub mod selinux;
pub mod slabinfo;
pub mod sockstat;
pub mod softirqs;
pub mod softnet;
mod source;
pub mod stat;
pub mod swap;
pub mod sysctl;
pub mod systemd;
pub mod tapestats;
pub mod tcpstat;
pub mod textfile;
pub mod thermal_zone;
pub mod time;
pub mod timex;
pub mod top_processes;
pub mod udp_queues;
pub mod uname;
pub mod vmstat;
pub mod watchdog;
pub mod wifi;
pub mod xfrm;
pub mod xfs;
pub mod zfs;
pub mod zoneinfo;

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
    /// Whether, where it has nothing to tell of, a device or a module has to come before it has.
    pub needs_device: bool,
    /// Makes one for a host. Opens nothing that may be missing.
    pub make: Make,
}

type Make = fn(&Roots, &Options) -> Box<dyn Collector>;

const fn on(name: &'static str, make: Make) -> Entry {
    Entry { name, is_default: true, needs_device: false, make }
}

const fn device(name: &'static str, make: Make) -> Entry {
    Entry { name, is_default: true, needs_device: true, make }
}

const fn off(name: &'static str, make: Make) -> Entry {
    Entry { name, is_default: false, needs_device: false, make }
}

/// `on NAME TYPE`, or `device` or `off`; `options` where the collector takes some, and what it shares
/// with others.
macro_rules! entry {
    ($when:ident $name:ident $type:ident) => {
        $when(stringify!($name), |roots, _| Box::new($name::$type::new(roots)))
    };
    ($when:ident $name:ident $type:ident options $shared:ident) => {
        $when(stringify!($name), |roots, options| {
            Box::new($name::$type::new(roots, &options.$name, &options.$shared))
        })
    };
    ($when:ident $name:ident $type:ident programs) => {
        $when(stringify!($name), |roots, options| {
            Box::new($name::$type::new(roots, &options.programs))
        })
    };
    ($when:ident $name:ident $type:ident options) => {
        $when(stringify!($name), |roots, options| {
            Box::new($name::$type::new(roots, &options.$name))
        })
    };
}

/// All collectors, by name: those that `node_exporter` runs unasked (`on`; `device`, where most hosts
/// have nothing for it), and those that it runs when it is told to, with those that it does not
/// have (`off`).
pub const COLLECTORS: &[Entry] = &[
    entry!(on arp Arp options),
    entry!(device bcache Bcache options),
    entry!(on bcachefs Bcachefs),
    entry!(device bonding Bonding),
    entry!(on btrfs Btrfs),
    entry!(off buddyinfo Buddyinfo),
    entry!(off cgroup_usage CgroupUsage options),
    entry!(off cgroups Cgroups),
    entry!(on conntrack Conntrack),
    entry!(on cpu Cpu options),
    entry!(off cpu_vulnerabilities CpuVulnerabilities),
    entry!(device cpufreq Cpufreq),
    entry!(on diskstats Diskstats options),
    entry!(device dmi Dmi),
    entry!(device dmmultipath Dmmultipath),
    entry!(off drbd Drbd),
    entry!(device edac Edac),
    entry!(on entropy Entropy),
    entry!(off exec Exec options programs),
    entry!(device fibrechannel Fibrechannel),
    entry!(on filefd Filefd),
    entry!(on filesystem Filesystem options),
    entry!(device hwmon Hwmon options),
    entry!(device infiniband Infiniband),
    entry!(off interrupts Interrupts options),
    entry!(device ipvs Ipvs options),
    entry!(on kernel_hung KernelHung),
    entry!(off ksmd Ksmd),
    entry!(off lnstat Lnstat),
    entry!(on loadavg Loadavg),
    entry!(off logind Logind),
    entry!(device mdadm Mdadm),
    entry!(on meminfo Meminfo),
    entry!(off meminfo_numa MeminfoNuma),
    entry!(off mountstats Mountstats),
    entry!(on netclass Netclass options links),
    entry!(on netdev Netdev options links),
    entry!(on netstat Netstat options),
    entry!(off network_route NetworkRoute),
    entry!(device nfs Nfs),
    entry!(device nfsd Nfsd),
    entry!(device nvme Nvme),
    entry!(on os Os),
    entry!(off packages Packages programs),
    entry!(off pcidevice Pcidevice),
    entry!(device powersupplyclass PowerSupplyClass options),
    entry!(on pressure Pressure),
    entry!(off processes Processes),
    entry!(off qdisc Qdisc options),
    entry!(device rapl Rapl options),
    entry!(off reboot Reboot),
    entry!(device schedstat Schedstat),
    entry!(on selinux Selinux),
    entry!(off slabinfo Slabinfo options),
    entry!(on sockstat Sockstat),
    entry!(off softirqs Softirqs),
    entry!(on softnet Softnet),
    entry!(on stat Stat options),
    entry!(off swap Swap),
    entry!(off sysctl Sysctl options),
    entry!(off systemd Systemd options),
    entry!(device tapestats Tapestats options),
    entry!(off tcpstat Tcpstat),
    entry!(on textfile Textfile options),
    entry!(device thermal_zone ThermalZone),
    entry!(on time Time),
    entry!(on timex Timex),
    entry!(off top_processes TopProcesses options),
    entry!(on udp_queues UdpQueues),
    entry!(on uname Uname),
    entry!(on vmstat Vmstat options),
    entry!(device watchdog Watchdog),
    entry!(off wifi Wifi),
    entry!(off xfrm Xfrm),
    entry!(on xfs Xfs),
    entry!(device zfs Zfs),
    entry!(off zoneinfo Zoneinfo),
];
