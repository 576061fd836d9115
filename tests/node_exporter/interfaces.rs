//! Many network interfaces, and some that come and go while they are looked at.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use driftless::event::exposition;
use driftless::event::metric::{Family, SampleValue};
use driftless::host::roots::Roots;
use driftless::sources::host_metrics::options::Options;
use driftless::sources::host_metrics::runner::Collectors;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::own_network::{in_own_network, ip};
use crate::skip;

/// Lets this thread see `/sys` as it is in its own network.
fn sees_its_network() -> bool {
    let nothing: Option<&str> = None;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    unshare(CloneFlags::CLONE_NEWNS).is_ok()
        && mount(nothing, "/", nothing, private, nothing).is_ok()
        && mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), nothing).is_ok()
}

/// Adds interfaces, two by two.
fn add(names: impl Iterator<Item = usize>) -> bool {
    let mut ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut commands = ip.stdin.take().unwrap();
    for n in names {
        let pair = format!("link add veth{n}a up type veth peer name veth{n}b\n");
        commands.write_all(pair.as_bytes()).unwrap();
    }
    drop(commands);
    ip.wait().unwrap().success()
}

fn number(families: &[Family], name: &str, label: &str) -> Option<f64> {
    let family = families.iter().find(|family| family.name == *name)?;
    let sample = family.samples.iter().find(|it| it.labels.iter().any(|(_, it)| it == label))?;
    match sample.value {
        SampleValue::Number(number) => Some(number),
        _ => None,
    }
}

fn devices(families: &[Family], name: &str) -> BTreeSet<String> {
    let family = families.iter().find(|family| family.name == *name).unwrap();
    let device = |labels: &[(driftless::event::metric::Text, driftless::event::metric::Text)]| {
        labels.iter().find(|(name, _)| name == "device").unwrap().1.to_string()
    };
    family.samples.iter().map(|sample| device(&sample.labels)).collect()
}

/// Milliseconds of processor time that this thread has used.
fn used_ms() -> f64 {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    schedstat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e6
}

/// A round that is whole: all that tell of interfaces had something to tell, nothing of it twice.
fn collect(collectors: &mut Collectors) -> Vec<Family> {
    let families = collectors.collect(|_| true);
    for name in ["arp", "netclass", "netdev"] {
        let success = number(&families, "node_scrape_collector_success", name);
        assert_eq!(success, Some(1.0), "{name}");
    }
    assert_eq!(exposition::encode(&families, &mut Vec::new()), 0, "no series is there twice");
    families
}

fn many_interfaces() {
    if !sees_its_network() || !add(1..2) {
        return skip::skipped("no interfaces can be added here");
    }
    assert!(ip("link del veth1a"));
    let mut collectors = Collectors::new(&Roots::live(), &Options::default(), ["default"]).unwrap();
    let mut pairs = 0;
    for wanted in [0, 25, 100] {
        assert!(add(pairs..wanted));
        pairs = wanted;
        collect(&mut collectors);
        let begun = used_ms();
        let families = collect(&mut collectors);
        println!("{} interfaces: {:.1} ms", 2 * pairs, used_ms() - begun);
        let known = (0..pairs).flat_map(|n| [format!("veth{n}a"), format!("veth{n}b")]);
        let known: BTreeSet<String> = known.chain(["lo".to_owned()]).collect();
        for family in ["node_network_up", "node_network_info", "node_network_receive_bytes_total"] {
            assert_eq!(devices(&families, family), known, "{family}");
        }
    }

    let churn = "while ip link add churn0 type veth peer name churn1; do ip link del churn0; done";
    let mut churn = Command::new("sh").args(["-c", churn]).spawn().unwrap();
    let mut seen = 0;
    for _ in 0..100 {
        let up = devices(&collect(&mut collectors), "node_network_up");
        assert!(up.len() > 2 * pairs && (0..pairs).all(|n| up.contains(&format!("veth{n}b"))));
        seen += usize::from(up.contains("churn0"));
    }
    churn.kill().unwrap();
    churn.wait().unwrap();
    println!("one that comes and goes was seen {seen} times");
    ip("link del churn0");
    let after = devices(&collect(&mut collectors), "node_network_receive_bytes_total");
    assert!(!after.iter().any(|name| name.starts_with("churn")), "what is gone is not told of");
}

#[test]
fn two_hundred_interfaces_are_told_of_while_others_come_and_go() {
    in_own_network(many_interfaces);
}
