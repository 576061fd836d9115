//! Facts about what the host runs inside of, or runs inside itself.

use serde_json::{Value, json};

use super::Host;

/// `container`: what kind of container this is (`docker`, `podman`, `lxc`, `systemd-nspawn`,
/// `openvz`, `wsl`), `null` where it is none.
/// - Source: `/run/systemd/container`, `/.dockerenv`, `/run/.containerenv`, the first process's
///   environment, `/proc/vz`, the kernel's release.
pub(super) fn container(host: &Host) -> Value {
    container_kind(host).into()
}

fn container_kind(host: &Host) -> Option<String> {
    let marker = |path: &str, kind: &str| host.has(path).then(|| kind.to_owned());
    let variable = || {
        let environment = host.proc("1/environ")?;
        let mut variables = environment.split('\0');
        variables.find_map(|variable| variable.strip_prefix("container=")).map(str::to_owned)
    };
    let openvz = || {
        let proc = &host.roots.procfs;
        (proc.join("vz").exists() && !proc.join("bc").exists()).then(|| "openvz".to_owned())
    };
    let wsl = || {
        let release = host.proc("sys/kernel/osrelease")?.to_lowercase();
        release.contains("microsoft").then(|| "wsl".to_owned())
    };
    host.file("/run/systemd/container")
        .or_else(|| marker("/.dockerenv", "docker"))
        .or_else(|| marker("/run/.containerenv", "podman"))
        .or_else(variable)
        .or_else(openvz)
        .or_else(wsl)
}

/// `virt.{type,role}`: the container or virtual machine that this is (`guest`), else what it runs
/// such machines with (`host`), else `none` for both. Types of machines: `kvm`, `vmware`,
/// `virtualbox`, `hyperv`, `xen`, `parallels`, `bhyve`, `apple`, or `other`.
/// - Source: [`container`]; the firmware's words in `/sys/class/dmi/id`, `/sys/hypervisor`, the
///   clocks that hypervisors lend, the processor's flag `hypervisor`; `/proc/modules`.
pub(super) fn virt(host: &Host) -> Value {
    let (kind, role) = if let Some(kind) = container_kind(host) {
        (kind, "guest")
    } else if host.proc("xen/capabilities").is_some_and(|words| words.contains("control_d")) {
        ("xen".to_owned(), "host")
    } else if let Some(kind) = machine_kind(host) {
        (kind.to_owned(), "guest")
    } else if let Some(kind) = hypervisor_kind(host) {
        (kind.to_owned(), "host")
    } else {
        ("none".to_owned(), "none")
    };
    json!({ "type": kind, "role": role })
}

/// `cloud`: whose cloud this machine is rented in (`aws`, `azure`, `gcp`, `digitalocean`, `hetzner`,
/// `oracle`, `alibaba`, `openstack`, `vultr`, `linode`, `scaleway`), `null` where it is in none that
/// the firmware tells of. No network is asked.
/// - Source: `/sys/class/dmi/id`.
pub(super) fn cloud(host: &Host) -> Value {
    const CLOUDS: [(&str, &str); 13] = [
        ("Amazon EC2", "aws"),
        ("amazon", "aws"),
        ("Google Compute Engine", "gcp"),
        ("7783-7084-3265-9085-8269-3286-77", "azure"),
        ("DigitalOcean", "digitalocean"),
        ("Hetzner", "hetzner"),
        ("OracleCloud.com", "oracle"),
        ("Alibaba Cloud", "alibaba"),
        ("OpenStack", "openstack"),
        ("Vultr", "vultr"),
        ("Linode", "linode"),
        ("Akamai", "linode"),
        ("Scaleway", "scaleway"),
    ];
    let words = ["sys_vendor", "product_name", "bios_vendor", "bios_version", "chassis_asset_tag"]
        .map(|name| host.sys(&format!("class/dmi/id/{name}")).unwrap_or_default())
        .join(" ");
    CLOUDS.iter().find(|(word, _)| words.contains(word)).map(|(_, cloud)| *cloud).into()
}

fn machine_kind(host: &Host) -> Option<&'static str> {
    /// Words of the firmware, and the hypervisor that writes them.
    const FIRMWARE: [(&str, &str); 14] = [
        ("QEMU", "kvm"),
        ("KVM", "kvm"),
        ("OpenStack", "kvm"),
        ("Amazon EC2", "kvm"),
        ("Google Compute Engine", "kvm"),
        ("DigitalOcean", "kvm"),
        ("VMware", "vmware"),
        ("VirtualBox", "virtualbox"),
        ("innotek", "virtualbox"),
        ("Xen", "xen"),
        ("Parallels", "parallels"),
        ("BHYVE", "bhyve"),
        ("Apple Virtualization", "apple"),
        ("Microsoft Corporation Virtual Machine", "hyperv"),
    ];
    const CLOCKS: [(&str, &str); 3] =
        [("kvm-clock", "kvm"), ("hyperv_clocksource", "hyperv"), ("xen", "xen")];
    let find = |text: &str, words: &[(&str, &'static str)]| {
        words.iter().find(|(word, _)| text.contains(word)).map(|(_, kind)| *kind)
    };
    let firmware = ["sys_vendor", "product_name", "board_vendor", "bios_vendor"]
        .map(|name| host.sys(&format!("class/dmi/id/{name}")).unwrap_or_default())
        .join(" ");
    let xen = || (host.sys("hypervisor/type")? == "xen").then_some("xen");
    let clock = || {
        let clocks = "devices/system/clocksource/clocksource0/available_clocksource";
        find(&host.sys(clocks)?, &CLOCKS)
    };
    let flag = || {
        let text = host.proc("cpuinfo")?;
        let flags = text.lines().find(|line| line.starts_with("flags"))?;
        flags.split_ascii_whitespace().any(|flag| flag == "hypervisor").then_some("other")
    };
    find(&firmware, &FIRMWARE).or_else(xen).or_else(clock).or_else(flag)
}

fn hypervisor_kind(host: &Host) -> Option<&'static str> {
    let modules = host.proc("modules")?;
    let loaded = |name: &str| modules.lines().any(|line| line.split(' ').next() == Some(name));
    [("kvm", "kvm"), ("vboxdrv", "virtualbox")]
        .into_iter()
        .find_map(|(module, kind)| loaded(module).then_some(kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::roots::Roots;
    use std::fs;

    fn virt_of(files: &[(&str, &str)]) -> (Value, Value) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let host = Host::of(Roots::below(root.path()));
        let virt = virt(&host);
        (virt["type"].clone(), virt["role"].clone())
    }

    #[test]
    fn a_cloud_is_known_by_what_its_machines_say_they_are() {
        let root = tempfile::tempdir().unwrap();
        let dmi = root.path().join("sys/class/dmi/id");
        fs::create_dir_all(&dmi).unwrap();
        let host = Host::of(Roots::below(root.path()));
        assert_eq!(cloud(&host), Value::Null);
        fs::write(dmi.join("sys_vendor"), "Hetzner\n").unwrap();
        assert_eq!(cloud(&host), "hetzner");
        fs::write(dmi.join("sys_vendor"), "Microsoft Corporation\n").unwrap();
        fs::write(dmi.join("chassis_asset_tag"), "7783-7084-3265-9085-8269-3286-77\n").unwrap();
        assert_eq!(cloud(&host), "azure");
    }

    #[test]
    fn what_a_host_runs_inside_of_is_told_by_the_nearest_layer() {
        let vendor = ("sys/class/dmi/id/sys_vendor", "QEMU\n");
        let modules = ("proc/modules", "kvm 1 0 - Live 0x0\n");
        let guest = |kind: &str| (kind.into(), "guest".into());
        assert_eq!(virt_of(&[vendor, modules]), guest("kvm"));
        assert_eq!(virt_of(&[vendor, (".dockerenv", "")]), guest("docker"));
        assert_eq!(virt_of(&[("proc/1/environ", "A=1\0container=lxc\0")]), guest("lxc"));
        let clock = "sys/devices/system/clocksource/clocksource0/available_clocksource";
        assert_eq!(virt_of(&[(clock, "kvm-clock tsc\n")]), guest("kvm"));
        assert_eq!(virt_of(&[("proc/cpuinfo", "flags : fpu hypervisor\n")]), guest("other"));
        assert_eq!(virt_of(&[modules]), ("kvm".into(), "host".into()));
        assert_eq!(virt_of(&[]), ("none".into(), "none".into()));
    }
}
