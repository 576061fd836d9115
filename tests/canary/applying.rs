//! Secrets in tasks: they get where a task puts them, and nowhere else.

use super::server::Echo;
use super::spelling::Canary;
use super::{FROM_ENVIRONMENT, FROM_FILE, Scene, argument_lists, wait_until, writes_no_core};
use std::fs;
use std::path::PathBuf;

const AGENT: &str = "data_dir: state\n";

/// Tasks that use secrets wherever they may; what they write goes to DIR.
const TASKS: &str = r#"
vars:
  password: "{{ secrets.GIVEN }}"
  line: "key={{ secrets.FILED | b64encode }}"
tasks:
  - name: "a name with {{ password }}"
    debug: {msg: "the password is {{ password }}"}
  - name: "a name that is hidden, {{ secrets.FILED }}"
    debug: {msg: {key: "{{ password }}", list: ["{{ secrets.FILED }}"]}}
  - name: content
    copy: {dest: DIR/content, content: "{{ password }}\nand {{ line }}\n", mode: "0600"}
    register: copied
    notify: [tell]
  - name: a template
    template: {src: secret.j2, dest: DIR/template, mode: "0600"}
    notify: [tell]
  - name: what is in the way is shown as a diff
    copy: {dest: DIR/template.old, content: "{{ secrets.FILED }}"}
    diff: true
  - name: what was registered
    debug: {var: copied}
  - name: an environment
    command: {cmd: 'sh -c "printenv KEY; printenv KEY >&2; exit 3"'}
    environment: {KEY: "{{ password }}"}
    register: said
    ignore_errors: true
  - name: standard input
    command: {argv: [cat], stdin: "{{ {'key': password, 'file': secrets.FILED} | to_json }}"}
    register: read
  - name: what commands said
    debug: {msg: "{{ said.stdout | default('') }} {{ read.stdout | default('') }}"}
  - name: all of it
    debug: {var: read}
  - name: a fact
    set_fact: {derived: "u:{{ password }}"}
  - name: the fact
    debug: {msg: "{{ ('me:' ~ derived) | b64encode }}"}
  - name: other letters
    debug: {msg: "{{ password | upper }} {{ secrets.FILED | lower }} {{ secrets.FILED | quote }}"}
  - name: a loop
    debug: {msg: "{{ item }}"}
    loop: ["{{ password }}", "{{ secrets.FILED }}"]
  - name: a claim
    assert: {that: ["password == 'x'"], fail_msg: "no, {{ password }}"}
    ignore_errors: true
  - name: a condition
    debug: {msg: hi}
    when: password == 'x'
  - name: another condition
    debug: {msg: hi}
    failed_when: "secrets.FILED in '{{ secrets.FILED }}'"
    ignore_errors: true
LAST
handlers:
  - name: tell
    debug: {msg: "told {{ password }}"}
audit:
  - file: {path: DIR/../audit.jsonl}
"#;

const TEMPLATE: &str = "{{ secrets.FILED }}\n{{ password | to_json }}\n";

/// A scene with these tasks; `last` is one more. What tasks write lies outside of what is searched.
fn scene(last: &str) -> Scene {
    let scene = Scene::new(&[("agent.yml", AGENT), ("templates/secret.j2", TEMPLATE)]);
    let written = scene.path("written");
    fs::create_dir(&written).unwrap();
    fs::write(written.join("template.old"), format!("was {FROM_ENVIRONMENT}\n")).unwrap();
    let tasks = TASKS
        .replace("LAST", last)
        .replace("DIR/../audit", &scene.path("work/audit").display().to_string())
        .replace("DIR", &written.display().to_string());
    fs::write(scene.path("work/config/apply.yml"), tasks).unwrap();
    scene
}

fn assert_written(scene: &Scene) {
    for (name, secret) in
        [("content", FROM_ENVIRONMENT), ("content", FROM_FILE), ("template", FROM_FILE)]
    {
        let path: PathBuf = scene.path("written").join(name);
        Canary::new(secret).is_in(&fs::read(path).unwrap());
    }
}

#[test]
fn tasks_that_use_secrets_show_none() {
    let scene = scene("");
    for (arguments, code) in [
        (&["validate", "config"][..], 0),
        (&["graph", "config"], 0),
        (&["apply", "config", "--dry-run"], 2),
        (&["apply", "config", "--dry-run", "--diff", "--output", "json"], 2),
        (&["apply", "config", "--diff"], 0),
        (&["apply", "config", "--diff", "--output", "json"], 0),
    ] {
        assert_eq!(scene.run(arguments), Some(code), "{arguments:?}: {}", scene.said());
    }
    assert_written(&scene);
    assert!(scene.said().contains("the password is ***"), "{}", scene.said());
    scene.search("apply");
}

#[test]
fn an_agent_that_applies_secrets_puts_none_on_record() {
    let scene = scene("");
    let agent = ["agent", "--config", "config", "--once", "--log-level", "trace"];
    assert_eq!(scene.run(&agent), Some(0), "{}", scene.said());
    assert_written(&scene);
    let audit = fs::read_to_string(scene.path("work/audit.jsonl")).unwrap();
    assert!(audit.contains("the password is ***"), "{audit}");
    assert!(scene.path("work/state/apply/ran.json").exists());
    scene.search("an agent");
    // Again, from what it remembers.
    assert_eq!(scene.run(&agent), Some(0), "{}", scene.said());
    scene.search("an agent's second run");
}

#[test]
fn a_command_that_runs_shows_no_secret_to_other_users() {
    let scene = scene(
        "  - name: a while\n    command: {argv: [sh, -c, 'read x; until test -e go; do sleep 0.01; done'], stdin: \"{{ password }}\"}\n    environment: {KEY: \"{{ password }}\"}\n",
    );
    let mut apply = scene.start(&["apply", "config"]);
    let is_there = || {
        let lists = argument_lists(apply.id());
        memchr::memmem::find(&lists, b"until test").is_some()
    };
    wait_until("the command runs", is_there);
    assert!(writes_no_core(apply.id()));
    for canary in [Canary::new(FROM_ENVIRONMENT), Canary::new(FROM_FILE)] {
        canary.search("the argument list", &argument_lists(apply.id()));
    }
    // Commands run in the config directory.
    fs::write(scene.path("work/config/go"), "").unwrap();
    wait_until("the run ends", || apply.try_wait().unwrap().is_some());
    scene.search("a command that takes a while");
}

#[test]
fn a_secret_in_a_wrong_parameter_fails_and_is_not_shown() {
    let given = "{{ password }}";
    for (what, task) in [
        ("an argument", format!("command: {{argv: [echo, \"{given}\"]}}")),
        ("a part of an argument", format!("command: {{argv: [echo, \"--key={given}\"]}}")),
        ("a command line", "command: {cmd: \"echo {{ secrets.FILED }}\"}".to_owned()),
        ("words of a command line", "command: {cmd: \"echo {{ words }}\"}\n    vars: {words: \"{{ secrets.GIVEN | replace('\\\"', '') }} {{ secrets.GIVEN }}\"}".to_owned()),
        ("a free command line", format!("command: \"echo {given}\"")),
        ("a program", format!("command: {{argv: [\"{given}\"]}}")),
        ("a directory", format!("command: {{cmd: pwd, chdir: \"/{given}\"}}")),
        ("a check", format!("copy: {{dest: DIR/x, content: a, validate: \"cat {given} %s\"}}")),
        ("a path", format!("copy: {{dest: \"DIR/{given}\", content: a}}")),
        ("a directory's path", "file: {path: \"DIR/{{ secrets.FILED }}\", state: directory}".to_owned()),
        ("a link's end", format!("file: {{path: DIR/l, src: \"{given}\", state: link, force: true}}")),
        ("a source", format!("copy: {{src: \"{given}\", dest: DIR/x}}")),
        ("a template's source", format!("template: {{src: \"{given}\", dest: DIR/x}}")),
        ("a mode", format!("file: {{path: DIR/x, mode: \"{given}\", state: touch}}")),
        ("an owner", format!("file: {{path: DIR/x, owner: \"{given}\", state: touch}}")),
        ("a state", format!("file: {{path: DIR/x, state: \"{given}\"}}")),
        ("a truth", format!("copy: {{dest: DIR/x, content: a, backup: \"{given}\"}}")),
        ("a time", format!("file: {{path: DIR/x, state: touch, modification_time: \"{given}\"}}")),
        ("a sum", "debug: {msg: \"{{ secrets.GIVEN + 1 }}\"}".to_owned()),
        ("a conversion", "debug: {msg: \"{{ secrets.GIVEN | from_json }}\"}".to_owned()),
        ("a list", format!("debug: {{msg: a}}\n    loop: \"{given}\"")),
        ("a claim", format!("assert: {{that: [\"false\"], fail_msg: \"{given}\"}}")),
        ("a handler", format!("copy: {{dest: DIR/x, content: b}}\n    notify: \"{given}\"")),
        ("an error of a program", format!("command: {{argv: [sh, -c, 'cat >&2; exit 1'], stdin: \"{given}\"}}")),
    ] {
        let scene = scene("");
        let task = task.replace("DIR", &scene.path("written").display().to_string());
        let tasks = format!("vars: {{password: \"{{{{ secrets.GIVEN }}}}\"}}\ntasks:\n  - name: it\n    {task}\n");
        fs::write(scene.path("work/config/apply.yml"), tasks).unwrap();
        scene.run(&["apply", "config", "--dry-run"]);
        assert_eq!(scene.run(&["apply", "config"]), Some(1), "{what}: {}", scene.said());
        scene.run(&["apply", "config", "--diff", "--output", "json"]);
        scene.run(&["agent", "--config", "config", "--once", "--log-level", "trace"]);
        scene.search(what);
        let names = super::files(&scene.path("written"));
        Canary::new(FROM_FILE).search(what, format!("{names:?}").as_bytes());
        Canary::new(FROM_ENVIRONMENT).search(what, format!("{names:?}").as_bytes());
    }
}

#[test]
fn other_commands_beside_a_config_with_secrets_show_none() {
    let scene = scene("");
    scene.run(&["facts"]);
    scene.run(&["facts", "--format", "json"]);
    scene.run(&["schema"]);
    scene.run(&["logs", "in.log", "--set", "a=secrets.GIVEN"]);
    scene.run(&["logs", "in.log", "--keep", "message == secrets.GIVEN"]);
    let server = Echo::start("400 Bad Request");
    let url = format!("http://127.0.0.1:{}/{{{{ secrets.GIVEN }}}}", server.port());
    scene.run(&["logs", "in.log", "--to", &url]);
    scene.search("other commands");
}
