//! One config for many hosts: groups, variables by directory, conditions of files, and what each
//! host would get, as it is told on another machine.

#![cfg(test)]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

struct Fleet {
    dir: TempDir,
}

impl Fleet {
    /// A config of these files, in which ROOT is a directory to throw away.
    fn new(files: &[(&str, &str)]) -> Self {
        let fleet = Self { dir: TempDir::new().unwrap() };
        fs::create_dir(fleet.path("root")).unwrap();
        for (name, text) in files {
            fleet.write(&format!("config/{name}"), text);
        }
        fleet
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("ROOT", self.path("root").to_str().unwrap())).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_driftless"))
            .args(arguments)
            .current_dir(self.path("config"))
            .env_clear()
            .env("HOME", self.dir.path())
            .env("PATH", "/usr/bin:/bin")
            .env("DRIFTLESS_RUN_DIR", self.path("run"))
            .env("XDG_STATE_HOME", self.path("state"))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// All that it says, and its exit code.
    fn said(&self, arguments: &[&str]) -> (String, Option<i32>) {
        let output = self.run(arguments);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (text.replace(self.path("root").to_str().unwrap(), "ROOT"), output.status.code())
    }

    fn told(&self, name: &str) -> String {
        fs::read_to_string(self.path("root").join(name)).unwrap_or_default()
    }
}

/// Who is in which group, and variables that say where they come from.
const FLEET: [(&str, &str); 9] = [
    (
        "fleet.yml",
        "groups:\n  web: {hosts: ['web*']}\n  debian: {when: facts.os.family == 'debian'}\n  \
         old: {hosts: [web1], when: \"'debian' in group_names\"}\n",
    ),
    ("vars.yml", "from: vars.yml\nonly_all: yes\n"),
    ("vars/all/ports.yml", "port: 80\n"),
    ("vars/groups/web.yml", "from: web\nport: 8080\n"),
    ("vars/groups/old/a.yml", "from: old\n"),
    ("vars/groups/old/b.yml", "when: facts.arch == 'none'\nport: 1\n"),
    ("vars/groups/db.yml", "from: db\n"),
    ("vars/hosts/web1.example.com.yml", "from: web1\n"),
    (
        "apply.yml",
        "tasks:\n  - copy: {dest: ROOT/told, content: \"{{ from }} {{ port }} {{ only_all }} {{ group_names | join(',') }}\\n\"}\n",
    ),
];

const DEBIAN: &str = r#"{"os": {"family": "debian"}, "arch": "x86_64"}"#;

#[test]
fn the_nearer_variables_win_and_all_others_stay() {
    let fleet = Fleet::new(&FLEET);
    fleet.write("debian.json", DEBIAN);
    for (host, says) in [
        ("web1.example.com", "+web1 8080 True web,debian"),
        ("web1", "+old 8080 True web,debian,old"),
        ("web2", "+web 8080 True web,debian"),
        ("db1", "+vars.yml 80 True debian"),
    ] {
        let (said, code) =
            fleet.said(&["apply", ".", "--dry-run", "--as", host, "--facts", "../debian.json"]);
        assert!(said.contains(says), "{host}: {said}");
        assert_eq!(code, Some(2), "{said}");
        assert_eq!(fleet.told("told"), "", "a dry run");
    }
}

#[test]
fn what_is_said_in_the_file_of_tasks_and_on_the_command_line_is_nearer_still() {
    let fleet = Fleet::new(&FLEET);
    let apply = fs::read_to_string(fleet.path("config/apply.yml")).unwrap();
    fleet.write("config/apply.yml", &format!("vars: {{from: the file}}\n{apply}"));
    let dry = ["apply", ".", "--dry-run", "--as", "web1.example.com"];
    let (said, _) = fleet.said(&dry);
    assert!(said.contains("+the file 8080"), "{said}");
    let (said, _) = fleet.said(&[&dry[..], &["--extra-vars", "from=extra"]].concat());
    assert!(said.contains("+extra 8080"), "{said}");
}

#[test]
fn a_host_that_is_meant_by_its_own_agent_file_gets_its_groups_variables() {
    let fleet = Fleet::new(&FLEET);
    let data = fleet.path("data").display().to_string();
    fleet.write("config/agent.yml", &format!("data_dir: {data}\nhost: somebody\ngroups: [db]\n"));
    let (said, code) = fleet.said(&["apply", ".", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(fleet.told("told").starts_with("db 80 True db"), "{}", fleet.told("told"));
}

#[test]
fn a_file_of_any_kind_counts_only_where_its_condition_holds() {
    let fleet = Fleet::new(&[
        ("fleet.yml", "groups: {web: {hosts: ['web*']}}\n"),
        ("vars/web.yml", "when: \"'web' in group_names\"\nname: web\n"),
        ("vars/rest.yml", "when: \"'web' not in group_names\"\nname: rest\n"),
        ("apply.yml", "when: host == 'web1'\ntasks:\n  - debug: {msg: hello}\n"),
        ("facts.yml", "when: name == 'web'\nexport: [console]\n"),
        (
            "logs.yml",
            "when: \"'web' in group_names\"\nsources: {a: {paths: [/a]}}\noutputs: {out: console}\n",
        ),
        (
            "topology.yml",
            "when: facts.os.family == 'plan9'\nsources: {b: {type: file, include: [/b]}}\nsinks: {c: {type: console, inputs: [b]}}\n",
        ),
    ]);
    fleet.write("plan9.json", r#"{"os": {"family": "plan9"}}"#);
    let names = |arguments: &[&str]| {
        let output = fleet.run(&[&["graph", "."][..], arguments].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        let names = text.lines().map(|line| line.split_whitespace().nth(1).unwrap().to_owned());
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        names(&["--host", "web1"]),
        "apply.config apply.secrets apply.host facts.host facts.console logs.a logs.out"
    );
    assert_eq!(names(&["--host", "web2"]), "facts.host facts.console logs.a logs.out");
    assert_eq!(names(&["--host", "db1"]), "");
    assert_eq!(names(&["--host", "db1", "--facts", "../plan9.json"]), "b c");
}

#[test]
fn validate_tells_what_a_host_would_get_and_which_answers_are_not_its_own() {
    let fleet = Fleet::new(&FLEET);
    fleet.write("config/logs.yml", "when: host == 'db1'\nsources: {}\n");
    fleet.write(
        "config/topology.yml",
        "sources: {a: {type: file, include: [/a]}}\n\
         sinks: {b: {type: http, inputs: [a], url: 'http://localhost/', auth: {bearer: '{{ secrets.TOKEN }}'}}}\n",
    );
    fleet.write("facts.json", r#"{"os": {"family": "redhat"}}"#);
    let (said, code) = fleet.said(&["validate", ".", "--host", "web1", "--facts", "../facts.json"]);
    assert_eq!(code, Some(0), "{said}");
    for line in [
        "`web1` belongs to web",
        "these files count: `fleet.yml`, `vars.yml`, `vars/all/ports.yml`, `vars/groups/web.yml`, `apply.yml`, `topology.yml`",
        "their `when` leaves these out: `logs.yml`",
        "its secrets are not known here: each is `stand-in-NAME`",
        "valid: 5 components, 1 tasks",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(!said.contains("of this machine"), "{said}");
    let (said, _) = fleet.said(&["validate", ".", "--host", "web1"]);
    assert!(said.contains("`os` are those of this machine, not of `web1`"), "{said}");
    let (said, _) = fleet.said(&["validate", ".", "--host", "db7", "--groups", "db,cold"]);
    assert!(said.contains("`db7` belongs to db, cold"), "{said}");
    let (said, _) = fleet.said(&["validate", ".", "--host", "db7", "--output", "json"]);
    assert!(said.trim_start().starts_with(['[', '{']), "{said}");
}

#[test]
fn a_dry_run_for_another_host_says_that_it_is_none_on_that_host() {
    let fleet = Fleet::new(&FLEET);
    let (said, _) = fleet.said(&["apply", ".", "--dry-run", "--as", "web1"]);
    assert!(said.contains("this is what `web1` would get if its files, packages"), "{said}");
    let (said, code) = fleet.said(&["apply", ".", "--as", "web1", "--yes"]);
    assert_eq!(code, Some(64), "{said}");
    assert_eq!(fleet.told("told"), "", "nothing was done");
    let (said, code) = fleet.said(&["apply", ".", "--dry-run", "--facts", "x.json"]);
    assert!(said.contains("--facts and --groups are of another host, which --as names"), "{said}");
    assert_eq!(code, Some(1));
}

/// The message, and the place of each complaint of `validate`.
fn complaint(files: &[(&str, &str)]) -> String {
    let (said, code) = Fleet::new(files).said(&["validate", "."]);
    assert_eq!(code, Some(1), "{said}");
    said
}

#[test]
fn what_is_wrong_with_groups_is_told_with_its_place() {
    for (text, says) in [
        ("groups: {all: {hosts: [a]}}", "fleet.yml:1:10: `all` stands for something else"),
        ("groups: {a/b: {hosts: [a]}}", "fleet.yml:1:10: `a/b` is not the name of a group"),
        ("groups: {web: {}}", "fleet.yml:1:15: `web` takes no host"),
        ("groups: {web: {host: [a]}}", "did you mean `hosts`?"),
        ("groups: {web: {hosts: ['a[']}}", "fleet.yml:1:24: `hosts`: `a[`"),
        ("groups: {web: {when: nothing.x}}", "fleet.yml:1:22: "),
        ("groups: [web]", "fleet.yml:1:9: `groups`: found a list"),
        ("group: {}", "did you mean `groups`?"),
        ("rollout: {percent: 200}", "fleet.yml:1:20: `percent`: found `200`"),
        ("rollout: {stages: [{after: soon}]}", "fleet.yml:1:28: "),
        ("rollout: {percen: 5}", "did you mean `percent`?"),
    ] {
        let said = complaint(&[("fleet.yml", text)]);
        assert!(said.contains(says), "{text}: {said}");
    }
}

#[test]
fn what_is_wrong_with_the_variables_of_any_host_is_told_on_every_host() {
    let said = complaint(&[
        ("vars.yml", "a: 1\n"),
        ("vars/hosts/other.yml", "a: [1\n"),
        ("vars/groups/other.yml", "host: 1\n"),
        ("vars/groups/list.yml", "[1]\n"),
    ]);
    for place in [
        "vars/hosts/other.yml:",
        "vars/groups/other.yml:1:1: `host` is a name that no variable can have",
        "vars/groups/list.yml:1:1: found a list",
    ] {
        assert!(said.contains(place), "{said}");
    }
    let said = complaint(&[("vars.yml", "a: 1\n"), ("vars/host/web1.yml", "a: 2\n")]);
    assert!(said.contains("did you mean `hosts`?"), "{said}");
    let said = complaint(&[("vars.yml", "a: 1\n"), ("vars/all/x.yml", "a: 2\n")]);
    assert!(said.contains("`a` is defined twice"), "{said}");
}

#[test]
fn a_group_that_nobody_declares_is_remarked_on() {
    let fleet = Fleet::new(&[
        (
            "fleet.yml",
            "groups: {web: {hosts: [a]}}\nrollout: {stages: [{groups: [canry]}, {groups: [web]}]}\n",
        ),
        ("vars/groups/wbe.yml", "a: 1\n"),
        ("vars/groups/web.yml", "a: 1\n"),
    ]);
    let (said, code) = fleet.said(&["validate", "."]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("`vars/groups/wbe.yml` is for the group `wbe`"), "{said}");
    assert!(said.contains("did you mean `web`?"), "{said}");
    assert!(said.contains("a stage of the rollout is for the group `canry`"), "{said}");
    assert!(!said.contains("`vars/groups/web.yml`"), "{said}");
}

#[test]
fn facts_that_are_none_are_refused() {
    let fleet = Fleet::new(&[("vars.yml", "a: 1\n")]);
    fleet.write("list.json", "[]");
    fleet.write("odd.json", r#"{"oss": 1}"#);
    for (file, says) in [
        ("../gone.json", "cannot be read"),
        ("../list.json", "holds no facts by their names"),
        ("../odd.json", "there is no fact `oss`"),
        ("vars.yml", "holds no facts in JSON"),
    ] {
        let (said, code) = fleet.said(&["validate", ".", "--host", "a", "--facts", file]);
        assert!(said.contains(says), "{said}");
        assert_eq!(code, Some(1));
    }
    let facts = fleet.run(&["facts", "--format", "json"]);
    fs::write(fleet.path("whole.json"), facts.stdout).unwrap();
    let (said, code) = fleet.said(&["validate", ".", "--host", "a", "--facts", "../whole.json"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn validate_says_when_a_hosts_turn_comes() {
    let fleet = Fleet::new(&[(
        "fleet.yml",
        "groups: {canary: {hosts: [web1]}}\n\
         rollout: {stages: [{groups: [canary]}, {percent: 50, after: 30m}, {hosts: ['db*'], after: 1h30m}]}\n",
    )]);
    let turn = |host: &str| fleet.said(&["validate", ".", "--host", host]).0;
    assert!(turn("web1").contains("takes this revision at once"), "{}", turn("web1"));
    // By SHA-256 over a zero byte and the name.
    let place = "`web1.example.com` (place 41.82 of 100)";
    let said = turn("web1.example.com");
    assert!(said.contains(place) && said.contains("30m after it has first seen it"), "{said}");
    let hosts: Vec<_> = (0..20).map(|at| turn(&format!("mail{at}"))).collect();
    assert!(hosts.iter().any(|said| said.contains("keeps the revision that it has")));
    assert!(hosts.iter().any(|said| said.contains("30m after")));
}

#[test]
fn the_example_gives_each_host_what_is_meant_for_it() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config-examples/fleet");
    let fleet = Fleet::new(&[]);
    let text = fs::read_to_string(format!("{example}/vars.yml")).unwrap();
    let data = fleet.path("data").display().to_string();
    fleet.write("config/agent.yml", &format!("data_dir: {data}\nhost: web2.example.com\n"));
    fleet.write("config/vars.yml", &text.replace("/tmp/driftless-fleet", "ROOT"));
    for name in [
        "fleet.yml",
        "apply.yml",
        "logs.yml",
        "vars/groups/web.yml",
        "vars/groups/db.yml",
        "vars/groups/small.yml",
        "vars/hosts/web2.example.com.yml",
    ] {
        let text = fs::read_to_string(format!("{example}/{name}")).unwrap();
        fleet.write(&format!("config/{name}"), &text);
    }
    fleet.write("big.json", r#"{"memory": {"total_bytes": 8000000000}}"#);
    fleet.write("small.json", r#"{"memory": {"total_bytes": 1000000000}}"#);
    for (host, facts, says) in [
        ("web1.example.com", "../big.json", ["+role = web", "+port = 8080", "+workers = 4"]),
        ("web2.example.com", "../small.json", ["+role = web", "+port = 8081", "+workers = 1"]),
        ("db1.example.com", "../big.json", ["+role = db", "+port = 5432", "+workers = 4"]),
        ("mail", "../big.json", ["+role = none", "+port = 0", "+workers = 4"]),
    ] {
        let (said, _) = fleet.said(&["apply", ".", "--dry-run", "--as", host, "--facts", facts]);
        for line in says {
            assert!(said.contains(line), "{host}: {said}");
        }
    }
    let (said, code) = fleet.said(&["apply", ".", "--yes", "--tags", "all"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(fleet.told("app.conf").starts_with("role = web\nport = 8081\n"), "{said}");
}
