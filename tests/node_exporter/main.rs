//! What we tell of a host, next to what `node_exporter` tells of it. Skips where there is no
//! `node_exporter`, or none of its fixtures.

#[cfg(test)]
mod golden;
#[cfg(test)]
#[path = "../support/installed.rs"]
mod installed;
#[cfg(test)]
mod interfaces;
#[cfg(test)]
#[path = "../support/network.rs"]
mod own_network;
#[cfg(test)]
mod peer;
#[cfg(test)]
#[path = "../support/skip.rs"]
mod skip;

use driftless::event::exposition;
use driftless::host::roots::Roots;
use driftless::sources::host_metrics::options::Options;
use driftless::sources::host_metrics::runner::Collectors;

use self::peer::{Peer, Text};

fn ours(collectors: &mut Collectors) -> Text {
    let mut out = Vec::new();
    exposition::encode(&collectors.collect(|_| true), &mut out);
    Text::parse(&String::from_utf8_lossy(&out))
}

fn name_of(series: &str) -> &str {
    series.split('{').next().unwrap_or(series)
}

#[test]
fn a_dashboard_made_for_node_exporter_finds_the_same_on_this_host() {
    let Some(peer) = Peer::start() else {
        return skip::skipped("node_exporter is not installed");
    };
    peer.scrape(); // the first one learns the processors
    let mut collectors = Collectors::new(&Roots::live(), &Options::default(), ["default"]).unwrap();
    let rounds = [ours(&mut collectors), peer.scrape(), ours(&mut collectors)];
    let [before, theirs, after] = rounds.map(Text::without_new_labels);
    for (name, kind) in &theirs.types {
        // The exporter's own; and what its version 1.5 names otherwise.
        let own = ["node_exporter_build_info", "node_cpu_frequency", "promhttp_"];
        if !own.iter().any(|start| name.starts_with(start)) {
            assert_eq!(before.types.get(name), Some(kind), "{name}");
        }
    }
    let number = |text: &Text, series: &str| text.series.get(series)?.parse::<f64>().ok();
    let mut compared = 0;
    for (series, value) in &theirs.series {
        let name = name_of(series);
        let Some(kind) = before.types.get(name) else { continue };
        let told = before.series.get(series);
        let told = told.unwrap_or_else(|| panic!("we do not tell of {series}"));
        let fixed = ["_info", "_size_bytes", "MemTotal_bytes", "boot_time_seconds", "_readonly"];
        if fixed.iter().any(|end| name.ends_with(end)) {
            assert_eq!(told, value, "{series}");
            compared += 1;
        } else if kind == "counter" {
            let (low, high) = (number(&before, series), number(&after, series));
            let theirs = number(&theirs, series);
            assert!(low <= theirs && theirs <= high, "{series}: {low:?} {theirs:?} {high:?}");
            compared += 1;
        }
    }
    assert!(compared > 50, "only {compared} series are in both");
}
