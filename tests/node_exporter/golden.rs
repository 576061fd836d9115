//! `node_exporter`'s own fixtures, and what it makes of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use driftless::event::exposition;
use driftless::host::roots::Roots;
use driftless::sources::host_metrics::COLLECTORS;
use driftless::sources::host_metrics::options::Options;
use driftless::sources::host_metrics::runner::Collectors;
use flate2::read::GzDecoder;

use crate::peer::Text;
use crate::skip;

/// Where a checkout of `node_exporter`'s fixtures is unpacked, with `e2e-output.txt` in it.
const FIXTURES: &str = "NODE_EXPORTER_FIXTURES";

/// The same, packed, beside this project.
const PACKED: [&str; 2] = [
    "../shared/node_exporter-fixtures/fixtures.tar.gz",
    "../../shared/node_exporter-fixtures/fixtures.tar.gz",
];

/// What stands for the fixtures in the expected output.
const ROOT: &str = "collector/fixtures";

/// How its end-to-end test is set up.
const OPTIONS: &str = r#"{
    "arp": {"devices": {"exclude": "nope"}},
    "bcache": {"priority_stats": true},
    "cpu": {
        "info": true,
        "bugs": "^(cpu_meltdown|spectre_.*|mds)$",
        "flags": "^(aes|avx.?|constant_tsc)$"
    },
    "hwmon": {"chips": {"include": "(applesmc|asus_nb_wmi|coretemp|hwmon4|ieee80211|nct6779)"}},
    "netclass": {"devices": {"exclude": "(dmz|int)"}, "ignore_invalid_speed": true},
    "stat": {"softirq": true},
    "sysctl": {
        "include": ["fs.file-nr", "fs.file-nr:total,current,max", "kernel.threads-max"],
        "include_info": ["kernel.seccomp.actions_avail"]
    },
    "textfile": {"directories": ["ROOT/textfile/two_metric_files"]}
}"#;

/// Collectors that ask the kernel or real mounts, whatever the fixtures say.
const NOT_OF_FILES: [&str; 8] =
    ["filesystem", "netdev", "qdisc", "selinux", "swap", "timex", "uname", "wifi"];

/// Collectors that `node_exporter` does not have.
const OWN: [&str; 5] = ["cgroup_usage", "exec", "packages", "reboot", "top_processes"];

/// Beginnings of names that another run gives another value, that the kernel alone knows (the
/// fixtures of `qdisc` and `wifi` stand in for netlink), or that are the exporter's own.
const CHANGING: [&str; 12] = [
    "go_",
    "process_",
    "promhttp_",
    "node_exporter_build_info",
    "node_network_receive_",
    "node_network_transmit_",
    "node_qdisc_",
    "node_scrape_collector_",
    "node_tcp_connection_states",
    "node_textfile_mtime_seconds",
    "node_time_",
    "node_wifi_",
];

/// Beginnings of names of families that do not hold yet. What holds must be taken off.
const NOT_YET: &[&str] = &[];

fn unpacked() -> Option<(Option<tempfile::TempDir>, PathBuf)> {
    if let Some(root) = std::env::var_os(FIXTURES) {
        return Some((None, root.into()));
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packed = PACKED.iter().find_map(|path| fs::File::open(here.join(path)).ok())?;
    let folder = tempfile::tempdir().unwrap();
    tar::Archive::new(GzDecoder::new(packed)).unpack(folder.path()).unwrap();
    let root = folder.path().to_owned();
    Some((Some(folder), root))
}

fn name_of(series: &str) -> &str {
    series.split('{').next().unwrap_or(series)
}

fn begins(name: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| name.starts_with(beginning))
}

#[test]
fn node_exporters_own_fixtures_give_node_exporters_own_output() {
    let Some((_folder, root)) = unpacked() else {
        return skip::skipped(&format!("there are no fixtures, and {FIXTURES} is not set"));
    };
    let at = root.to_string_lossy();
    let options: Options = serde_json::from_str(&OPTIONS.replace("ROOT", &at)).unwrap();
    let names = COLLECTORS.iter().map(|entry| entry.name);
    let names = names.filter(|name| !NOT_OF_FILES.contains(name) && !OWN.contains(name));
    let mut collectors = Collectors::new(&Roots::below(&root), &options, names).unwrap();
    let mut out = Vec::new();
    exposition::encode(&collectors.collect(|_| true), &mut out);
    let ours = String::from_utf8_lossy(&out).replace(&*at, ROOT);
    let ours = Text::parse(&ours);
    let expected = fs::read_to_string(root.join("e2e-output.txt")).unwrap();
    let expected = Text::parse(&expected);

    let mut wrong = Vec::new();
    let mut unheld = BTreeSet::new();
    for (series, value) in expected.of(|series| !begins(name_of(series), &CHANGING)) {
        let name = name_of(series);
        let holds = ours.series.get(series) == Some(value)
            && ours.types.get(name) == expected.types.get(name);
        if !holds {
            match NOT_YET.iter().find(|beginning| name.starts_with(**beginning)) {
                Some(beginning) => {
                    unheld.insert(*beginning);
                }
                None => wrong.push(format!("{series} {value}, not {:?}", ours.series.get(series))),
            }
        }
    }
    for (series, value) in ours.of(|series| !begins(name_of(series), &CHANGING)) {
        if !expected.series.contains_key(series) && !begins(name_of(series), NOT_YET) {
            wrong.push(format!("{series} {value} is too much"));
        }
    }
    let held = NOT_YET.iter().filter(|beginning| !unheld.contains(*beginning));
    wrong.extend(held.map(|beginning| format!("{beginning}* holds; take it off NOT_YET")));
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    // What the collectors say of themselves.
    let success = "node_scrape_collector_success";
    for (series, value) in expected.of(|series| name_of(series) == success) {
        if let Some(told) = ours.series.get(series) {
            assert_eq!(told, value, "{series}");
        }
    }
}
