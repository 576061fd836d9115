//! Files of the kernel's that are not as they should be: whatever stands in one, its collector says
//! that it has nothing to give, and nothing breaks.

use std::fs;
use std::path::Path;

use super::COLLECTORS;
use super::options::Options;
use crate::event::exposition;
use crate::host::packages::{dnf::updates, simulation::upgrades};
use crate::host::roots::Roots;

/// A collector, a file that it reads, and what may stand there.
const FILES: &[(&str, &str, &str)] = &[
    ("arp", "proc/net/arp", "IP HW\n10.0.0.1 0x1 0x2 aa:bb:cc:dd:ee:ff * eth0\n"),
    ("bonding", "sys/class/net/bonding_masters", "bond0 bond1\n"),
    ("buddyinfo", "proc/buddyinfo", "Node 0, zone DMA 1 0 1\n"),
    ("cgroup_usage", "sys/fs/cgroup/a.slice/cpu.stat", "user_usec 7\nthrottled_usec 1\n"),
    ("cgroup_usage", "sys/fs/cgroup/a.slice/io.stat", "8:0 rbytes=1 wbytes=2 rios=3\n"),
    ("cgroup_usage", "sys/fs/cgroup/a.slice/io.pressure", "some avg10=0.00 total=14\n"),
    ("cgroup_usage", "sys/fs/cgroup/a.slice/cpu.max", "max 100000\n"),
    ("cgroup_usage", "sys/fs/cgroup/a.slice/memory.events", "low 0\noom_kill 3\n"),
    ("cgroup_usage", "sys/fs/cgroup/a.slice/memory.current", "4096\n"),
    ("cgroup_usage", "sys/fs/cgroup/a.slice/memory.max", "max\n"),
    ("cgroup_usage", "sys/fs/cgroup/a.slice/pids.current", "7\n"),
    ("cgroups", "proc/cgroups", "#subsys_name\ncpu\t3\t172\t1\n"),
    ("cpu", "proc/cpuinfo", "processor\t: 0\ncpu MHz\t: 1\nflags\t: aes\n\nprocessor : 1\n"),
    ("cpu", "proc/stat", "cpu 1 2\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 7\n"),
    ("cpu", "sys/devices/system/cpu/isolated", "1,3-5\n"),
    (
        "cpu_vulnerabilities",
        "sys/devices/system/cpu/vulnerabilities/mds",
        "Mitigation: Clear buffers; SMT on\n",
    ),
    ("diskstats", "proc/diskstats", "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n"),
    ("drbd", "proc/drbd", " 1: cs:Connected ro:Primary/Primary ds:UpToDate/X\n ns:1 oos:2\n"),
    ("entropy", "proc/sys/kernel/random/poolsize", "256\n"),
    ("filefd", "proc/sys/fs/file-nr", "1024\t0\t1631329\n"),
    ("filesystem", "proc/1/mountinfo", "27 1 254:0 / / rw - ext4 /dev/vda rw\n"),
    ("hwmon", "sys/class/hwmon/hwmon0/temp1_input", "45000\n"),
    ("interrupts", "proc/interrupts", "  CPU0 CPU1\n 1: 3 4 IO-APIC 1-edge i8042\nERR: 0\n"),
    ("ipvs", "proc/net/ip_vs_stats", "a\nb\n 16AA370 E33656E5 0 51D8C8883AB3 0\n"),
    ("lnstat", "proc/net/stat/arp_cache", "entries allocs\n00000014 00000001\n"),
    ("loadavg", "proc/loadavg", "0.21 0.37 0.39 1/719 19737\n"),
    (
        "mdadm",
        "proc/mdstat",
        "md6 : active raid1 sdb2[2](F) sda2[0]\n  195 blocks [2/1] [U_]\n  recovery = 8% (1/195)\n",
    ),
    ("meminfo", "proc/meminfo", "MemTotal: 4 kB\nActive(anon): 1 kB\n"),
    ("meminfo_numa", "sys/devices/system/node/node0/meminfo", "Node 0 MemTotal: 4 kB\n"),
    (
        "mountstats",
        "proc/self/mountstats",
        "device n:/x mounted on /a with fstype nfs statvers=1.1\n age: 7\n xprt: udp 8 1 5\n",
    ),
    ("netdev", "proc/net/dev", "a\nb\n lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"),
    ("netstat", "proc/net/netstat", "TcpExt: ListenDrops\nTcpExt: 3\n"),
    ("nfs", "proc/net/rpc/nfs", "net 1 2 3 4\nrpc 1 2 3\nproc4 2 1 2\n"),
    ("nfsd", "proc/net/rpc/nfsd", "rc 0 6 1\nth 8 0 0.000\nproc4ops 3 0 0 1\n"),
    ("os", "etc/os-release", "ID=debian\nNAME=\"A \\\"B\\\"\"\nVERSION_ID=12.5\n"),
    ("packages", "var/lib/dpkg/status", "Package: a\nStatus: hold ok installed\n\nPackage: b\n"),
    ("pressure", "proc/pressure/io", "some avg10=0.00 total=14\nfull avg10=0.00 total=1\n"),
    ("processes", "proc/7/stat", "7 (a b) S 2 0 0 0 -1 2 0 0 0 0 14 0 0 0 20 0 1 0 24\n"),
    ("reboot", "run/reboot-required", "*** restart ***\n"),
    ("reboot", "run/reboot-required.pkgs", "linux-image\nlibc6\n"),
    ("schedstat", "proc/schedstat", "version 15\ncpu0 1 2 3 4 5 6 7 8 9\n"),
    ("slabinfo", "proc/slabinfo", "slabinfo\n# name\ntw_sock 1 2 3 4 5 : tunables\n"),
    ("sockstat", "proc/net/sockstat", "TCP: inuse 4 mem 1\n"),
    ("softirqs", "proc/softirqs", "  CPU0\n TIMER: 4\n"),
    ("softnet", "proc/net/softnet_stat", "0a 0 0 0 0 0 0 0 0 0 0 0 1\n"),
    ("stat", "proc/stat", "intr 7 1\nctxt 9\nsoftirq 3 1 2\n"),
    ("swap", "proc/swaps", "Filename\n/dev/sda2 partition 8 7 -2\n"),
    ("tcpstat", "proc/net/tcp", "sl\n0: 0:1F90 0:0 0A 00000001:00000010 00\n"),
    ("textfile", "text/a.prom", "# TYPE a counter\na{x=\"1\"} 2\n"),
    ("time", "sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"),
    ("top_processes", "proc/7/stat", "7 (a b) S 2 0 0 0 -1 2 0 0 0 0 14 0 0 0 20 0 1 0 24 1 2\n"),
    ("top_processes", "proc/7/io", "rchar: 9\nread_bytes: 4096\nwrite_bytes: 512\n"),
    ("udp_queues", "proc/net/udp", "sl\n0: 0:16 0:0 0A 00000015:00000001 00\n"),
    ("vmstat", "proc/vmstat", "pgpgin 1\noom_kill 0\n"),
    ("xfrm", "proc/net/xfrm_stat", "XfrmInError 1\n"),
    ("xfs", "sys/fs/xfs/sda/stats/stats", "rw 28 7\nvnodes 1 2 3 4 5 6 7 8\n"),
    ("zfs", "proc/spl/kstat/zfs/arcstats", "1\nname type data\nhits 4 7\n"),
    ("zfs", "proc/spl/kstat/zfs/tank/io", "12 3\nnread nwritten\n1 2\n"),
    ("zfs", "proc/spl/kstat/zfs/tank/objset-1", "1\nname\ndataset_name 7 tank/a b\nreads 4 1\n"),
    ("zoneinfo", "proc/zoneinfo", "Node 0, zone DMA\n high 14\n protection: (0, 9)\n pagesets\n"),
];

/// Files without which some collectors read nothing, with what stands there.
const BESIDE: &[(&str, &str, &str)] = &[
    ("cgroup_usage", "sys/fs/cgroup/cgroup.controllers", ""),
    ("reboot", "run/reboot-required", ""),
    ("top_processes", "proc/7/stat", "7 (a b) S 2 0 0 0 -1 2 0 0 0 0 14 0 0 0 20 0 1 0 24 1 2\n"),
];

/// The first byte chooses the file, the others are what stands there.
pub(crate) fn kernel_file(input: &[u8], root: &Path) {
    let Some((which, content)) = input.split_first() else { return };
    let (name, file, _) = FILES[usize::from(*which) % FILES.len()];
    let beside = BESIDE.iter().filter(|(collector, ..)| *collector == name);
    let beside = beside.map(|(_, file, content)| (*file, content.as_bytes()));
    let files = beside.chain([(file, content)]);
    for (file, content) in files {
        let path = root.join(file);
        let folder = path.parent().unwrap_or(root);
        if fs::create_dir_all(folder).is_err() || fs::write(&path, content).is_err() {
            return;
        }
    }
    let mut options = Options::default();
    options.cpu.info = true;
    options.cpu.flags = "a".parse().ok();
    options.stat.softirq = true;
    options.textfile.directories = vec![root.join("text").to_string_lossy().into_owned()];
    for entry in COLLECTORS.iter().filter(|entry| entry.name == name) {
        let mut collector = (entry.make)(&Roots::below(root), &options);
        // Twice: what the first round remembers is used in the second.
        for _ in 0..2 {
            let mut families = Vec::new();
            // What is wrong with the file is told; that is all there is to say.
            collector.collect(&mut families).map_err(|error| error.to_string()).ok();
            exposition::encode(&families, &mut Vec::new());
        }
    }
}

/// What a plugin of Nagios prints, apt or dnf says that it would do, or the kernel tells of wireless
/// interfaces.
pub(crate) fn plugin(input: &[u8]) {
    super::wifi::hostile(input);
    let text = String::from_utf8_lossy(input);
    let families = super::nagios::families(&text, "x");
    assert_eq!(exposition::encode(&families, &mut Vec::new()), 0, "no series is there twice");
    upgrades(&text);
    updates(&text);
}

/// What plugins, apt and the kernel tell.
pub(crate) fn plugins() -> Vec<Vec<u8>> {
    let texts = [
        "DISK OK | /=2643MB;5948;5958;0;5968 'a b''c'=1.5s\nmore | x=3c load=-0,5\ny=U\n",
        "Inst libc6 [2.36-9] (2.36-10 Debian-Security:12/stable-security [amd64])\nInst a (1 b)\n",
        "alpha.noarch 2.0-1 local\na-very-long-name.noarch\n  2.0-1 local\nObsoleting Packages\n",
    ];
    let texts = texts.map(|text| text.as_bytes().to_vec());
    texts.into_iter().chain(super::wifi::answers()).collect()
}

/// What the kernel writes.
pub(crate) fn kernel_files() -> Vec<Vec<u8>> {
    let seed = |(at, (_, _, content)): (usize, &(&str, &str, &str))| {
        let mut seed = vec![u8::try_from(at).unwrap_or(0)];
        seed.extend_from_slice(content.as_bytes());
        seed
    };
    FILES.iter().enumerate().map(seed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_the_good_files_has_a_collector_that_reads_it() {
        for (name, file, _) in FILES {
            assert!(COLLECTORS.iter().any(|entry| entry.name == *name), "{name} for {file}");
        }
    }
}
