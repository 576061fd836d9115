//! Each example is valid, does what it says, and together they show every component. They run as
//! copies in directories of their own; what changes a system runs in a root to throw away.

#[cfg(test)]
mod support;

use driftless::{sinks, sources, transforms};
use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::{fs, thread};
use support::Example;
use support::web::{free_port, get, one_request, request_on};

#[test]
fn every_example_is_valid() {
    for name in support::example_names() {
        let example = Example::copy(&name);
        let output = example.driftless(&["validate"]).arg(example.config()).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_tests_of_every_example_pass() {
    let mut tested = 0;
    for name in support::example_names() {
        let example = Example::copy(&name);
        if !example.config().join("tests").is_dir() {
            continue;
        }
        tested += 1;
        let output = example.driftless(&["test"]).arg(example.config()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&said));
    }
    assert!(tested >= 3, "the tests of the examples are where they were");
}

#[test]
fn the_examples_show_every_component() {
    let mut shown = BTreeSet::new();
    for name in support::example_names() {
        let example = Example::copy(&name);
        let output = example.driftless(&["graph"]).arg(example.config()).output().unwrap();
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let role = line.split_whitespace().next().unwrap().to_owned();
            let type_name = line.split(['(', ')']).nth(1).unwrap().to_owned();
            shown.insert((role, type_name));
        }
    }
    let roles =
        [("source", sources::NAMES), ("transform", transforms::NAMES), ("sink", sinks::NAMES)];
    for (role, names) in roles {
        for name in names {
            let component = (role.to_owned(), (*name).to_owned());
            assert!(shown.contains(&component), "no example has a {role} of type {name}");
        }
    }
}

#[test]
fn the_quick_start_does_all_three_jobs_and_goes_on_where_it_was() {
    let example = Example::copy("quickstart");
    let port = free_port();
    example.replace("vars.yml", "/tmp/driftless-quickstart", &example.path("").to_string_lossy());
    example.replace("facts.yml", "8000", &port.to_string());
    example.replace("apply.yml", "interval: 10s", "interval: 1s");
    let append = |path: &str, line: &str| {
        let mut file = fs::File::options().append(true).open(example.path(path)).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    };
    let settings = "# Managed by Driftless.\nworkers = 2\n";
    let declared =
        || fs::read_to_string(example.path("app.conf")).is_ok_and(|text| text == settings);

    let agent = example.agent(&[]);
    example.wait_until("what is declared is there", || {
        declared() && example.path("app/app.log").exists()
    });
    append("app/app.log", "first\nDEBUG noise\n");
    example.wait_until("the line is at its sink", || example.content("lines-").contains("first\n"));
    example.wait_until("metrics are served", || {
        get(port, "/metrics").contains("\nnode_cpu_seconds_total{")
    });
    append("app.conf", "by hand\n");
    example.wait_until("what was changed by hand is as declared again", declared);
    assert!(agent.stop().success());

    append("app/app.log", "second\n");
    let agent = example.agent(&[]);
    example.wait_until("what came meanwhile is there", || {
        example.content("lines-").contains("second\n")
    });
    assert!(agent.stop().success());
    let lines = example.content("lines-");
    for line in ["first", "second"] {
        assert_eq!(lines.lines().filter(|found| *found == line).count(), 1, "{line}: {lines}");
    }
    assert!(!lines.contains("DEBUG"));
    assert!(example.content("audit").lines().count() > 3, "every task is on record");
}

#[test]
fn logs_to_file_keeps_the_errors_of_a_web_server() {
    let example = Example::copy("logs-to-file");
    let dir = example.path("");
    example.replace("logs.yml", "/var/log", &dir.to_string_lossy());
    example.replace("agent.yml", "/var/lib/driftless", &dir.join("state").to_string_lossy());
    fs::create_dir(example.path("nginx")).unwrap();
    let line = |path: &str, status: u16| {
        format!(
            "127.0.0.1 - - [10/Oct/2026:13:55:36 +0000] \"GET {path} HTTP/1.1\" {status} 12 \"-\" \"curl\"\n"
        )
    };
    let log = [line("/", 200), line("/broken", 502), line("/gone", 404)].concat();
    fs::write(example.path("nginx/access.log"), log).unwrap();
    assert!(example.agent(&["--once"]).wait().success());
    let files: Vec<_> = fs::read_dir(example.path("errors")).unwrap().flatten().collect();
    let [file] = files.as_slice() else { panic!("one day is one file: {files:?}") };
    assert!(file.file_name().to_string_lossy().ends_with("-2026-10-10.jsonl"), "{file:?}");
    let kept = fs::read_to_string(file.path()).unwrap();
    assert_eq!(kept.lines().count(), 1, "{kept}");
    let record: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert_eq!((&record["path"], &record["status"]), (&"/broken".into(), &502.into()));
}

#[test]
fn facts_thresholds_tells_what_is_beyond_its_bound() {
    let example = Example::copy("facts-thresholds");
    let alerts = example.path("alerts.jsonl");
    let data = format!("data_dir: {}\n", example.path("data").display());
    fs::write(example.config().join("agent.yml"), data).unwrap();
    example.replace("facts.yml", "/var/log/driftless/alerts.jsonl", &alerts.to_string_lossy());
    example.replace("facts.yml", "{above: 2, clear_below: 1.5}", "{above: -1}");
    assert!(example.agent(&["--once"]).wait().success());
    let told = fs::read_to_string(alerts).unwrap();
    let records = told.lines().map(|line| serde_json::from_str(line).unwrap());
    let load: Vec<serde_json::Value> =
        records.filter(|record: &serde_json::Value| record["check"] == "load per cpu").collect();
    let [record] = load.as_slice() else { panic!("one change: {told}") };
    assert_eq!((&record["from"], &record["to"]), (&"pending".into(), &"warning".into()));
    assert_eq!(record["threshold"], -1.0);
    assert!(record["value"].as_f64().unwrap() >= 0.0, "{told}");
}

/// The requests that come, each answered, for as long as the test runs.
fn requests(listener: TcpListener) -> mpsc::Receiver<(String, String)> {
    let (sender, requests) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sender = sender.clone();
            thread::spawn(move || request_on(stream).map(|request| sender.send(request)));
        }
    });
    requests
}

#[test]
fn facts_rules_alerts_as_prometheus_would_and_once() {
    let example = Example::copy("facts-rules");
    let alerts = example.path("alerts.jsonl");
    example.replace("facts.yml", "/var/log/driftless/alerts.jsonl", &alerts.to_string_lossy());
    let data = example.path("data");
    example.replace("agent.yml", "/var/lib/driftless", &data.to_string_lossy());
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap().to_string();
    example.replace("facts.yml", "alertmanager.example.com:9093", &address);
    let received = requests(server);
    for run in ["the first", "the second"] {
        assert!(example.agent(&["--once"]).wait().success());
        let (head, body) = received.recv().unwrap();
        assert!(head.starts_with("post /api/v2/alerts "), "{run}: {head}");
        let sent: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(sent[0]["labels"]["alertname"], "HostIsThere", "{run}: {sent}");
        assert_eq!(sent[0]["annotations"]["summary"], "web1:9100 is watched.");
        assert!(sent[0].get("endsAt").is_none(), "{sent}");
        let told = fs::read_to_string(&alerts).unwrap();
        assert_eq!(told.lines().count(), 1, "{run}: {told}");
        let record: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!((&record["from"], &record["to"]), (&"ok".into(), &"firing".into()));
    }
}

#[test]
fn facts_export_sends_the_same_metrics_to_a_bucket_a_file_and_a_server() {
    let example = Example::copy("facts-export");
    example.replace("facts.yml", "/var/log/metrics", &example.path("").to_string_lossy());
    // What answers here reads plain text.
    example.replace("facts.yml", "compression: zstd", "compression: none");
    example.replace("facts.yml", "compression: gzip", "compression: none");
    let mut received = Vec::new();
    for address in ["127.0.0.1:9000", "127.0.0.1:8080"] {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = server.local_addr().unwrap().to_string();
        example.replace("facts.yml", address, &own);
        received.push(requests(server));
    }
    let agent = example.agent(&["--once"]);
    let put = received[0].iter().find(|(head, _)| head.starts_with("put ")).unwrap().0;
    let target = put.split(' ').nth(1).unwrap();
    assert!(target.starts_with("/metrics/") && target.ends_with(".openmetrics"), "{target}");
    let (post, _) = received[1].iter().find(|(head, _)| head.starts_with("post ")).unwrap();
    assert!(post.starts_with("post /metrics "), "{post}");
    assert!(agent.wait().success());
    let files = fs::read_dir(example.path("")).unwrap().map(|entry| entry.unwrap().path());
    let mut files = files.filter(|path| path.extension().is_some_and(|it| it == "ndjson"));
    let file = files.next();
    let text = fs::read_to_string(file.unwrap()).unwrap();
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert!(first["timestamp"].is_string() && first["host"].is_string(), "{first}");
}

#[test]
fn facts_beyond_tells_of_programs_and_of_what_they_say() {
    let example = Example::copy("facts-beyond");
    let port = free_port();
    example.replace("facts.yml", "127.0.0.1:9100", &format!("127.0.0.1:{port}"));
    let alerts = example.path("alerts.jsonl");
    example.replace("facts.yml", "/var/log/driftless/alerts.jsonl", &alerts.to_string_lossy());
    let _agent = example.agent(&[]);
    let wanted = [
        "queue_jobs ",
        "driftless_plugin_status{name=\"root\"} 0",
        "driftless_plugin_value{label=\"/\",name=\"root\",unit=\"%\"} 42",
        "driftless_top_processes_resident_bytes{name=",
    ];
    let mut told = String::new();
    let is_there = || {
        told = get(port, "/metrics");
        wanted.iter().all(|line| told.contains(line))
    };
    assert!(support::process::comes_about(is_there), "not all of {wanted:?} is told");
}

#[test]
fn facts_inventory_tells_what_the_host_is_once_and_then_what_has_changed() {
    let example = Example::copy("facts-inventory");
    let record = example.path("inventory.jsonl");
    let path = record.to_string_lossy();
    example.replace("topology.yml", "/var/log/driftless/inventory.jsonl", &path);
    let data = example.path("data");
    example.replace("agent.yml", "/var/lib/driftless", &data.to_string_lossy());
    let told = || -> Vec<serde_json::Value> {
        assert!(example.agent(&["--once"]).wait().success());
        let text = fs::read_to_string(&record).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let first = told();
    assert_eq!(first.len(), 1, "{first:?}");
    assert_eq!(first[0]["type"], "inventory.snapshot");
    assert_eq!(first[0]["facts"]["users"]["root"]["uid"], 0);
    assert_eq!(told().len(), 1, "nothing has changed");
    // As if the host had been another.
    let kept = data.join("inventory/inventory");
    let text = fs::read_to_string(&kept).unwrap();
    fs::write(&kept, text.replace("\"root\":{\"uid\":0", "\"root\":{\"uid\":7")).unwrap();
    let last = told();
    assert_eq!(last.len(), 3, "{last:?}");
    assert_eq!((&last[1]["fact"], &last[1]["old"]), (&"users.root.uid".into(), &7.into()));
    assert_eq!(last[1]["new"], 0);
}

#[test]
fn metrics_serves_the_collectors_that_it_names_and_no_others() {
    let example = Example::copy("metrics");
    let port = free_port();
    example.replace("facts.toml", "9100", &port.to_string());
    let agent = example.agent(&[]);
    example.wait_until("metrics are served", || get(port, "/metrics").contains("\nnode_load1 "));
    let text = get(port, "/metrics");
    assert!(text.contains("\nnode_memory_MemTotal_bytes "), "{text}");
    assert!(!text.contains("node_vmstat_"), "vmstat is not among those named");
    assert!(agent.stop().success());
}

#[test]
fn a_pipeline_takes_each_record_to_its_place_and_shows_no_secret() {
    let example = Example::copy("pipeline");
    example.keep_state_here();
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = collector.local_addr().unwrap().port();
    example.replace("topology.json", "9999", &port.to_string());
    let received = thread::spawn(move || one_request(&collector));
    let mut child = example
        .driftless(&["agent", "--once", "--log-level", "trace", "--config"])
        .arg(example.config())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = "{\"level\":\"error\",\"msg\":\"disk full\",\"pid\":7}\n{\"level\":\"debug\",\"msg\":\"x\"}\n\
                 {\"level\":\"info\",\"msg\":\"fine\",\"pid\":8}\nno json\n";
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");

    let (head, body) = received.join().unwrap();
    assert!(head.contains("authorization: bearer a-token-for-tests"), "{head}");
    let record: serde_json::Value = serde_json::from_str(body.trim()).unwrap();
    assert_eq!((&record["message"], &record["site"]), (&"disk full".into(), &"demo".into()));
    assert!(record.get("pid").is_none() && record.get("msg").is_none(), "{record}");

    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(shown.lines().count(), 1, "{shown}");
    assert!(shown.contains("fine"), "{shown}");
    let odd = example.content("odd-lines");
    assert!(odd.lines().count() == 1 && odd.contains("no json"), "{odd}");
    assert!(!said.contains("a-token-for-tests"), "{said}");
}

#[test]
fn logs_transforms_shows_what_each_of_them_does() {
    let example = Example::copy("logs-transforms");
    let dir = example.path("");
    example.replace("topology.yml", "/var/log/", &format!("{}/", dir.to_string_lossy()));
    fs::write(
        example.config().join("agent.yml"),
        format!("data_dir: {}\n", dir.join("state").to_string_lossy()),
    )
    .unwrap();
    fs::create_dir(example.path("shop")).unwrap();
    let line = |level: &str, message: &str| {
        format!(
            "{{\"service\":\"pay\",\"client\":\"10.9.1.1\",\"level\":\"{level}\",\"request\":\"r1\",\
             \"seconds\":0.5,\"http\":{{\"status\":200}},\"message\":\"{message}\"}}\n"
        )
    };
    let log = [
        line("error", "card 4111 1111 1111 1111 of a@b.example"),
        line("error", "card 4111 1111 1111 1111 of a@b.example"),
        line("info", "done"),
    ];
    fs::write(example.path("shop/a.jsonl"), log.concat()).unwrap();
    assert!(example.agent(&["--once"]).wait().success());
    let read = |name: &str| fs::read_to_string(example.path("shop-out").join(name)).unwrap();
    let records = |name: &str| -> Vec<serde_json::Value> {
        read(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let shown = records("shown.jsonl");
    let errors: Vec<_> = shown.iter().filter(|record| record["level"] == "error").collect();
    assert_eq!(errors.len(), 2, "one and its repetition: {shown:?}");
    assert_eq!((&errors[0]["repeated"], &errors[1]["repeated"]), (&().into(), &1.into()));
    let message = errors[0]["message"].as_str().unwrap();
    assert!(message.starts_with("card ***1111 of ") && !message.contains("b.example"), "{message}");
    assert_eq!(
        (&errors[0]["team"], &errors[0]["client_site"]),
        (&"money".into(), &"warehouse".into())
    );
    let [request] = records("requests.jsonl").try_into().unwrap();
    assert_eq!((&request["lines"], &request["seconds"]), (&3.into(), &1.5.into()));
    assert_eq!(request["http.status"], 200);
    let metrics = read("metrics.prom");
    assert!(metrics.contains("shop_requests_total{service=\"pay\",status=\"200\"} 3"), "{metrics}");
}

#[test]
fn apply_basics_foretells_does_and_then_has_nothing_to_do() {
    let script = r#"
        export HOME=/root
        look() { stat --format '%n %i %s %a %U %Y %Z' /etc/motd /etc /srv /srv/demo /srv/demo/* 2>&1 || true; }
        before=$(look)
        code=0; /share/driftless apply /share --dry-run || code=$?
        [ $code = 2 ]
        [ "$before" = "$(look)" ]

        /share/driftless apply /share --yes
        grep -q 'home of demo' /etc/motd
        [ "$(stat --format %a /srv/demo/site.conf)" = 640 ]
        test -d /srv/demo/cache -a -d /srv/demo/incoming -a -d /srv/demo/public
        cmp /etc/passwd /srv/demo/users.first
        test -e /srv/demo/changed

        after=$(look)
        /share/driftless apply /share --yes
        [ "$after" = "$(look)" ]
    "#;
    let example = Example::copy("apply-basics");
    fs::copy(support::PROGRAM, example.config().join("driftless")).unwrap();
    let Some(output) = support::throwaway::run(script, &example.config()) else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(!Path::new("/srv/demo").exists(), "the host itself is left alone");
}

#[test]
fn apply_accounts_foretells_makes_users_and_then_has_nothing_to_do() {
    let script = r#"
        export HOME=/root
        mkdir -p /etc/sudoers.d /etc/ssh /etc/cron.d
        useradd --create-home mallory
        look() { stat --format '%n %i %s %a %U %Y %Z' /etc/passwd /etc/shadow /etc/group /etc/gshadow /etc/subuid /home/* /etc/sudoers.d/*; }
        before=$(look)
        code=0; /share/driftless apply /share --dry-run >/tmp/dry || code=$?
        [ $code = 2 ]
        [ "$before" = "$(look)" ]
        grep -q '^+alice:x:' /tmp/dry

        /share/driftless apply /share --yes
        [ "$(id -Gn bob)" = 'bob operators builders' ]
        grep -q '^no-agent-forwarding ssh-ed25519 .* alice@laptop$' /home/alice/.ssh/authorized_keys
        [ "$(stat --format '%U %a' /home/alice/.ssh/authorized_keys /home/alice/.ssh)" = "$(printf 'alice 600\nalice 700')" ]
        [ "$(stat --format '%U:%G %a' /srv/shop)" = 'shop:shop 750' ]
        [ "$(stat --format %a /etc/sudoers.d/operators-shop)" = 440 ]
        grep -q '^30 3 [*] [*] [*] shop /usr/bin/find' /etc/cron.d/shop
        if id mallory; then exit 1; fi
        test ! -e /home/mallory

        after=$(look)
        /share/driftless apply /share --yes
        [ "$after" = "$(look)" ]
    "#;
    let example = Example::copy("apply-accounts");
    fs::copy(support::PROGRAM, example.config().join("driftless")).unwrap();
    let Some(output) = support::throwaway::run(script, &example.config()) else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
}

#[test]
fn apply_packages_foretells_installs_and_enables_and_then_has_nothing_to_do() {
    let script = r#"
        export HOME=/root
        mkdir -p /srv/packages/p/DEBIAN
        cd /srv/packages
        printf 'Package: shop-tools\nVersion: 1.2\nArchitecture: all\nMaintainer: t <t@t>\nDescription: t\n' >p/DEBIAN/control
        dpkg-deb --root-owner-group -b p shop-tools.deb >/dev/null
        rm -r p
        (dpkg-deb -f shop-tools.deb; printf 'Filename: ./shop-tools.deb\nSize: %s\nSHA256: %s\n' $(stat -c %s *.deb) $(sha256sum *.deb | cut -d' ' -f1)) >Packages
        rm -rf /etc/apt/sources.list.d /etc/apt/preferences.d /etc/apt/apt.conf.d /var/lib/apt/lists
        mkdir -p /var/lib/apt/lists/partial /etc/apt/apt.conf.d /etc/apt/sources.list.d /etc/systemd/system
        echo 'deb [trusted=yes] file:/srv/packages ./' >/etc/apt/sources.list
        apt-get -q update

        look() { stat --format '%n %i %s %a %Y %Z' /var/lib/dpkg/status /var/lib/apt/extended_states /var/cache/debconf/config.dat /etc/systemd/system/* /etc/apt/sources.list.d/* 2>/dev/null || true; }
        before=$(look)
        code=0; /share/driftless apply /share --dry-run >/tmp/dry || code=$?
        [ $code = 2 ]
        [ "$before" = "$(look)" ]
        grep -q 'package shop-tools: version 1.2' /tmp/dry

        /share/driftless apply /share --yes
        [ "$(dpkg-query -W -f '${Version} ${db:Status-Want}' shop-tools)" = '1.2 hold' ]
        [ "$(readlink /etc/systemd/system/multi-user.target.wants/shop.service)" = /etc/systemd/system/shop.service ]
        [ "$(readlink /etc/systemd/system/shop-old.socket)" = /dev/null ]
        [ "$(debconf-show shop-tools)" = '* shop-tools/port: 8080' ]
        grep -qx 'URIs: file:/srv/packages' /etc/apt/sources.list.d/shop.sources

        after=$(look)
        printf '#!/bin/sh\nexit 1\n' >/usr/bin/apt-get
        /share/driftless apply /share --yes
        [ "$after" = "$(look)" ]
    "#;
    let example = Example::copy("apply-packages");
    fs::copy(support::PROGRAM, example.config().join("driftless")).unwrap();
    let Some(output) = support::throwaway::run(script, &example.config()) else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
}

#[test]
fn a_playbook_with_roles_runs_as_it_is_and_undoes_what_it_cannot_finish() {
    let script = r#"
        set -e
        apply() { /share/driftless apply /share --yes "$@"; }
        test ! -e /srv/playbook
        apply --dry-run && exit 1 || [ $? = 2 ]
        test ! -e /srv/playbook
        apply --list-tags | tr '\n' ' ' | grep -qx 'release site '

        apply -e newest=1 | grep -q 'rollback of block'
        test ! -e /srv/playbook/release
        grep -q 'hello from demo' /srv/playbook/site/about.html
        test -e /srv/playbook/site/robots.txt -a -e /srv/playbook/logs/changed -a -e /srv/playbook/by
        apply
        [ "$(cat /srv/playbook/release)" = 2 ]

        look() { find /srv/playbook -printf '%p %i %m %C@\n' | sort; }
        after=$(look)
        apply
        [ "$after" = "$(look)" ]
    "#;
    let example = Example::copy("apply-playbook");
    fs::copy(support::PROGRAM, example.config().join("driftless")).unwrap();
    let Some(output) = support::throwaway::run(script, &example.config()) else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(!Path::new("/srv/playbook").exists(), "the host itself is left alone");
}

#[test]
fn apply_jinja_makes_what_its_expressions_say_and_draws_its_password_once() {
    let script = r#"
        export HOME=/root
        code=0; /share/driftless apply /share --dry-run || code=$?
        [ $code = 2 ]
        test ! -e /srv/jinja-demo

        /share/driftless apply /share --yes
        cd /srv/jinja-demo
        printf '%s\n' ann server01 \
            '{"tls": {"enabled": true, "versions": ["1.2", "1.3"]}, "workers": 2}' \
            new site '10.1.0.0 2bb80d53' '0 52' > wanted
        diff wanted filters.txt
        printf '%s\n' 'users of jinja-demo' 'bob    1002' 'ann    1001' 'motto: slow and steady' \
            'shell: /bin/sh' 'tls:' '  enabled: true' '  versions:' "  - '1.2'" "  - '1.3'" \
            'workers: 2' > wanted
        diff wanted report.txt
        test -e part01.txt -a -e part03.txt -a -e seen
        [ "$(stat --format %a secrets/db)" = 600 ]
        grep -qxE 'password = .{16}' db.conf
        grep -qF "$(cat secrets/db)" db.conf

        rm wanted
        look() { stat --format '%n %i %s %a %Y %Z' . * secrets/*; }
        after=$(look)
        /share/driftless apply /share --yes
        [ "$after" = "$(look)" ]
    "#;
    let example = Example::copy("apply-jinja");
    fs::copy(support::PROGRAM, example.config().join("driftless")).unwrap();
    let Some(output) = support::throwaway::run(script, &example.config()) else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
}

#[test]
fn dead_letters_are_sent_again_as_the_records_that_they_were() {
    let example = Example::copy("logs-replay");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    example.replace("logs.yml", "127.0.0.1:9999", &listener.local_addr().unwrap().to_string());
    let letter = |message: &str, sink: &str| {
        format!(
            "{{\"timestamp\":\"2026-03-01T12:00:00Z\",\"host\":\"web1\",\"path\":\"/app.log\",\
             \"message\":\"{message}\",\"reason\":\"bad\",\"sink\":\"{sink}\",\"status\":400,\
             \"source\":\"logs.app\",\"offset\":7}}\n"
        )
    };
    let letters = letter("one", "logs.collector") + &letter("other", "logs.central");
    fs::write(example.path("refused.ndjson"), letters).unwrap();
    let agent = example.agent(&["--once"]);
    let (_, body) = one_request(&listener);
    assert!(agent.wait().success());
    let sent: serde_json::Value = serde_json::from_str(&body).unwrap();
    let expected = serde_json::json!({
        "timestamp": "2026-03-01T12:00:00Z", "host": "web1", "path": "/app.log", "message": "one",
    });
    assert_eq!(sent, expected);
}
