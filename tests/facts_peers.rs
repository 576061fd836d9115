//! What this host is, as Ansible and Facter tell it and as we do under their names. Skips where
//! they are not installed.

use serde_json::Value;
use std::process::Command;

#[cfg(test)]
#[path = "support/fetched.rs"]
mod fetched;
#[cfg(test)]
#[path = "support/skip.rs"]
mod skip;

/// Facts that must be the same as Ansible's wherever it has them.
const ANSIBLE: &str = "all_ipv4_addresses all_ipv6_addresses apparmor architecture bios_date \
    bios_vendor bios_version board_name board_vendor chassis_vendor cmdline default_ipv4 \
    default_ipv6 distribution distribution_major_version distribution_minor_version \
    distribution_release distribution_version dns effective_group_id effective_user_id fips kernel \
    kernel_version local machine machine_id memtotal_mb nodename os_family pkg_mgr proc_cmdline \
    processor processor_cores processor_count processor_nproc processor_threads_per_core \
    processor_vcpus product_name product_serial product_uuid product_version real_group_id \
    real_user_id service_mgr swaptotal_mb system system_vendor user_dir user_gecos user_gid user_id \
    user_shell user_uid userspace_architecture userspace_bits virtualization_role lsb.id \
    lsb.codename lsb.description lsb.release lsb.major_release selinux.status date_time.tz \
    date_time.tz_offset date_time.year memory_mb.real.total memory_mb.swap.total";

/// The same for Facter.
const FACTER: &str = "disks dmi filesystems fips_enabled identity is_virtual kernel kernelmajversion kernelrelease \
    kernelversion memory.system.total memory.system.total_bytes networking.fqdn \
    networking.hostname networking.ip networking.ip6 networking.mac networking.mtu \
    networking.netmask networking.netmask6 networking.network networking.network6 \
    networking.primary networking.scope6 os path processors.count processors.models processors.physicalcount \
    processors.cores processors.isa processors.speed processors.threads ssh system_uptime.days timezone virtual";

#[cfg(test)]
fn ours(format: &str) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_driftless"));
    let output = command.args(["facts", "--format", format]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn at<'v>(facts: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(facts, |value, step| value.get(step))
}

/// Those of theirs that we tell otherwise.
fn differing(theirs: &Value, ours: &Value, names: impl Iterator<Item = String>) -> Vec<String> {
    let mut compared = 0;
    let mut told = Vec::new();
    for name in names {
        let Some(wanted) = at(theirs, &name) else { continue };
        compared += 1;
        let found = at(ours, &name);
        if found != Some(wanted) {
            told.push(format!("{name}: they say {wanted}, we {found:?}"));
        }
    }
    assert!(compared > 15, "only {compared} are there");
    told
}

#[test]
fn a_task_made_for_ansible_finds_the_same_facts() {
    let Some(program) = fetched::fetched("ansible", "bin/ansible") else { return };
    let home = program.ancestors().nth(2).unwrap();
    let output = Command::new(&program)
        .args(["localhost", "-i", "localhost,", "-c", "local", "-m", "setup"])
        // The Python that it runs in can run its modules; what it would find may be a stub.
        .args(["-e", "ansible_python_interpreter={{ ansible_playbook_python }}"])
        .env("PYTHONPATH", home)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let json = text.find('{').map(|at| serde_json::from_str::<Value>(&text[at..]));
    let Some(Ok(theirs)) = json else {
        let told = [output.stdout, output.stderr].concat();
        panic!("ansible has no facts: {}", String::from_utf8_lossy(&told));
    };
    let (theirs, ours) = (&theirs["ansible_facts"], ours("ansible"));
    let names = ANSIBLE.split_whitespace().map(|name| format!("ansible_{name}"));
    let mut told = differing(theirs, &ours, names);
    let sorted = |facts: &Value| {
        let list = facts["ansible_interfaces"].as_array().cloned().unwrap_or_default();
        let mut names: Vec<String> = list.iter().map(ToString::to_string).collect();
        names.sort();
        names
    };
    assert_eq!(sorted(theirs), sorted(&ours));
    for interface in sorted(theirs) {
        let name = format!("ansible_{}", interface.trim_matches('"').replace('-', "_"));
        let parts = ["active", "device", "ipv4", "ipv6", "macaddress", "mtu", "type"];
        for part in parts {
            let (wanted, found) = (&theirs[&name][part], &ours[&name][part]);
            if wanted != found {
                told.push(format!("{name}.{part}: they say {wanted}, we {found}"));
            }
        }
    }
    assert!(told.is_empty(), "{}", told.join("\n"));
}

#[test]
fn a_manifest_made_for_facter_finds_the_same_facts() {
    let Ok(output) = Command::new("facter").arg("-j").output() else {
        return skip::skipped("facter is not installed");
    };
    let theirs: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names = FACTER.split_whitespace().map(str::to_owned);
    let told = differing(&theirs, &ours("facter"), names);
    assert!(told.is_empty(), "{}", told.join("\n"));
}
