//! A running agent, and somebody who looks after it from the command line.

#[cfg(test)]
#[path = "../support/booted.rs"]
mod booted;
#[cfg(test)]
mod health;
#[cfg(test)]
#[path = "../support/installed.rs"]
mod installed;
#[cfg(test)]
mod notify;
#[cfg(test)]
mod own_log;
#[cfg(test)]
#[path = "../support/process.rs"]
mod process;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod rights;
#[cfg(test)]
mod self_check;
#[cfg(test)]
#[path = "../support/skip.rs"]
mod skip;
#[cfg(test)]
mod socket;
#[cfg(test)]
mod systemd;
#[cfg(test)]
mod taps;
#[cfg(test)]
#[path = "../support/throwaway.rs"]
#[expect(dead_code, reason = "a root with a systemd in it is another one")]
mod throwaway;

use rig::Rig;
use std::fs;
use std::net::TcpListener;

#[test]
fn an_operator_is_told_how_each_component_is_and_what_is_wrong() {
    let rig = Rig::new();
    let _agent = rig.start();
    rig.append("in.log", "one\ntwo\n");
    rig.wait_until("both lines have arrived", || rig.read("out.log") == "one\ntwo\n");
    let status = rig.status();
    assert_eq!(status["problems"].as_array().unwrap().len(), 0, "{status}");
    let source = rig::component(&status, "in");
    assert_eq!((&source["sent_events"], &source["state"]), (&2.into(), &"running".into()));
    let text = rig.ask(&["status"]);
    assert_eq!(text.code, 0, "{text:?}");
    assert!(text.out.contains("COMPONENT") && text.out.contains("out"), "{text:?}");

    // Nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = format!("  away: {{type: http, inputs: [in], url: 'http://{port}/'}}\n");
    rig.write("config/topology.yml", &(rig.topology() + &away));
    let reload = rig.ask(&["reload"]);
    assert_eq!((reload.code, reload.out.contains("taken")), (0, true), "{reload:?}");
    rig.append("in.log", "three\n");
    rig.wait_until("the failing sink shows", || rig.ask(&["status"]).code == 1);
    let text = rig.ask(&["status"]);
    assert!(text.out.contains("away is failing: "), "{text:?}");
    assert_eq!(rig::component(&rig.status(), "out")["state"], "running");
}

#[test]
fn who_asks_where_no_agent_runs_is_told_so_with_a_code_of_its_own() {
    let rig = Rig::new();
    for command in ["status", "reload", "apply-now", "drain"] {
        let answer = rig.ask(&[command]);
        assert_eq!(answer.code, 2, "{command}: {answer:?}");
        let socket = rig.path("data/control.sock").display().to_string();
        assert!(answer.err.contains("no agent runs") && answer.err.contains(&socket));
    }
    let agent = rig.start();
    agent.kill();
    assert_eq!(rig.ask(&["status"]).code, 2, "what is left of a dead agent is no agent");
    let agent = rig.start();
    assert_eq!(rig.ask(&["status"]).code, 0);
    assert!(agent.stop().success());
    assert!(!rig.path("data/control.sock").exists());
}

#[test]
fn a_reload_says_what_was_taken_or_why_nothing_was() {
    let rig = Rig::new();
    let _agent = rig.start();
    rig.write("config/topology.yml", "sources: {in: {type: fiel}}\n");
    let refused = rig.ask(&["reload"]);
    assert_eq!(refused.code, 1);
    let is_told = refused.err.contains("topology.yml:1") && refused.err.contains("old config");
    assert!(is_told, "{refused:?}");
    let json = rig.ask(&["reload", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["taken"], false);
    assert_eq!(json["complaints"][0]["line"], 1, "{json}");
    let status = rig.ask(&["status"]);
    assert_eq!(status.code, 1);
    assert!(status.out.contains("the config was refused"), "{status:?}");
    rig.append("in.log", "still here\n");
    rig.wait_until("the old config goes on", || rig.read("out.log") == "still here\n");
    rig.write("config/topology.yml", &rig.topology());
    assert_eq!(rig.ask(&["reload"]).code, 0);
    assert_eq!(rig.ask(&["status"]).code, 0);
}

#[test]
fn a_desired_state_is_applied_when_somebody_asks_and_the_recap_is_shown() {
    let rig = Rig::new();
    let none = rig.start();
    let answer = rig.ask(&["apply-now"]);
    assert_eq!(answer.code, 1);
    assert!(answer.err.contains("no apply file"), "{answer:?}");
    assert!(none.stop().success());

    let motd = rig.path("motd");
    let task = format!("copy: {{content: hello, dest: '{}'}}", motd.display());
    rig.write("config/apply.yml", &format!("interval: 1h\ntasks:\n  - name: motd\n    {task}\n"));
    let _agent = rig.start();
    rig.wait_until("the first run", || motd.exists());
    fs::write(&motd, "changed by hand").unwrap();
    let answer = rig.ask(&["apply-now"]);
    assert_eq!((answer.code, answer.out.starts_with("1 changed")), (0, true), "{answer:?}");
    assert_eq!(rig.read("motd"), "hello");
    let status = rig.status();
    assert_eq!(status["apply"]["drifted"][0].as_str().unwrap().rsplit(": ").next(), Some("motd"));
    assert_eq!(rig.ask(&["apply-now", "--no-wait"]).code, 0);
    // Behind that one, so that nothing is made any more.
    assert_eq!(rig.ask(&["apply-now"]).code, 0);

    fs::remove_file(&motd).unwrap();
    fs::create_dir(&motd).unwrap();
    fs::write(motd.join("in the way"), "").unwrap();
    let answer = rig.ask(&["apply-now", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!((answer.code, &json["failed"]), (1, &true.into()), "{json}");
    assert!(json["failures"][0].as_str().unwrap().contains("motd"), "{json}");
}

#[test]
fn tasks_with_a_tag_are_applied_when_somebody_asks_for_them_and_no_others() {
    let rig = Rig::new();
    let task = |name: &str, tags: &str| {
        let path = rig.path(name);
        let copy = format!("copy: {{content: {name}, dest: '{}'}}", path.display());
        format!("  - name: {name}\n    {copy}\n    tags: [{tags}]\n")
    };
    let tasks = [task("page", "web"), task("key", "web, tls"), task("rare", "never, rare")];
    rig.write("config/apply.yml", &format!("interval: 1h\ntasks:\n{}", tasks.concat()));
    let _agent = rig.start();
    rig.wait_until("the first run", || !rig.status()["apply"]["last"].is_null());
    let by_hand = || ["page", "key"].iter().for_each(|name| rig.write(name, "by hand"));
    let found = || ["page", "key", "rare"].map(|name| rig.read(name));

    by_hand();
    let answer = rig.ask(&["apply-now", "--tags", "tls,rare"]);
    assert_eq!((answer.code, answer.out.starts_with("2 changed")), (0, true), "{answer:?}");
    assert_eq!(found(), ["by hand", "key", "rare"]);
    by_hand();
    assert_eq!(rig.ask(&["apply-now", "--skip-tags", "tls"]).code, 0);
    assert_eq!(found(), ["page", "by hand", "rare"]);
    let answer = rig.ask(&["apply-now", "--tags", "tsl"]);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.err.contains("no task is tagged tsl; the tags are never, rare, tls, web"));
    assert_eq!(rig.ask(&["apply-now", "--no-wait", "--tags", "tls"]).code, 0);
    rig.wait_until("it runs", || rig.read("key") == "key");
}

#[test]
fn how_checks_of_metrics_stand_is_told_and_is_no_fault_of_the_agent() {
    let rig = Rig::new();
    let out = rig.path("alerts.jsonl");
    let check = "{name: load, expr: node_load1 * 0 + 7, critical: {above: 5}}";
    let calm = "{name: calm, expr: node_load1 * 0, warning: {above: 5}}";
    rig.write(
        "config/topology.yml",
        &format!(
            "sources: {{host: {{type: host_metrics, interval: 1s, collect: [loadavg]}}}}\n\
             transforms:\n  watch: {{type: threshold, inputs: [host], checks: [{calm}, {check}]}}\n\
             sinks: {{alerts: {{type: file, inputs: [watch], path: '{}'}}}}\n",
            out.display()
        ),
    );
    let _agent = rig.start();
    rig.wait_until("it is critical", || {
        let status = rig.status();
        let checks = status["checks"].as_array().unwrap();
        checks.len() == 2 && checks[0]["state"] == "critical" && checks[1]["state"] == "ok"
    });
    let status = rig.status();
    let worst = &status["checks"][0];
    assert_eq!((&worst["check"], &worst["component"]), (&"load".into(), &"watch".into()));
    assert_eq!(worst["value"], 7.0, "{worst}");
    let since = worst["since_seconds"].as_f64().unwrap();
    assert!(since > 0.0 && since <= status["at_seconds"].as_f64().unwrap(), "{worst}");
    let shown = rig.ask(&["status"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.out.contains("load") && shown.out.contains("critical"), "{shown:?}");
}

#[test]
fn a_drained_agent_has_delivered_everything_and_has_ended() {
    let rig = Rig::new();
    let agent = rig.start();
    let lines: String = (0..10_000).map(|number| format!("line {number}\n")).collect();
    rig.append("in.log", &lines);
    rig.wait_until("it reads", || !rig.read("out.log").is_empty());
    let answer = rig.ask(&["drain"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(agent.wait().success());
    assert!(lines.starts_with(&rig.read("out.log")));
    assert_eq!(rig.ask(&["status"]).code, 2);
}

#[test]
fn a_signal_that_comes_as_soon_as_a_component_is_at_work_ends_the_agent_in_order() {
    let rig = Rig::new();
    for round in 0..5 {
        rig.append("in.log", &format!("{round}\n"));
        let agent = rig.spawn();
        rig.wait_until("it works", || rig.read("out.log").ends_with(&format!("{round}\n")));
        assert!(agent.stop().success(), "{}", rig.read("agent.log"));
    }
}
