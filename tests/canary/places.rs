//! The places where a user could put a secret and should not.

type Files = Vec<(&'static str, String)>;

const GIVEN: &str = "{{ secrets.GIVEN }}";
const FILED: &str = "{{ secrets.FILED }}";

/// Each wrong place and the config that has a secret there.
pub(crate) fn wrong() -> Vec<(&'static str, Files)> {
    let mut all = Vec::new();
    all.extend(settings());
    all.extend(names());
    all.extend(files());
    all.extend(tasks());
    all
}

fn topology(text: &str) -> Files {
    let text = text.replace("GIVEN", GIVEN).replace("FILED", FILED);
    vec![("topology.yml", text)]
}

fn sink(settings: &str) -> Files {
    topology(&format!(
        "sources:\n  app: {{type: file, include: [in.log]}}\n\
         sinks:\n  out: {{type: http, inputs: [app], {settings}}}\n"
    ))
}

fn step(step: &str) -> Files {
    topology(&format!(
        "sources:\n  app: {{type: file, include: [in.log]}}\n\
         transforms:\n  step: {{inputs: [app], {step}}}\n\
         sinks:\n  out: {{type: console, inputs: [step]}}\n"
    ))
}

/// Values of settings.
fn settings() -> Vec<(&'static str, Files)> {
    let url = "url: 'http://127.0.0.1:1/'";
    vec![
        ("an unknown key's value", sink(&format!("{url}, zzz: 'GIVEN'"))),
        ("a number", sink(&format!("{url}, batch: {{records: 'GIVEN'}}"))),
        ("a size", sink(&format!("{url}, batch: {{bytes: 'xx FILED'}}"))),
        ("a duration", sink(&format!("{url}, timeout: 'GIVEN'"))),
        ("a word of a set", sink(&format!("{url}, method: 'FILED'"))),
        ("a mapping", sink(&format!("{url}, headers: 'GIVEN'"))),
        (
            "a value cut from a secret",
            sink(&format!("{url}, timeout: '{{{{ secrets.GIVEN[:20] }}}}'")),
        ),
        ("a value made of a secret", sink("url: '{{ secrets.GIVEN | upper }}'")),
        ("a calculation", sink("url: '{{ secrets.GIVEN + 1 }}'")),
        ("a conversion", sink("url: '{{ secrets.FILED | from_json }}'")),
        ("a file name", sink(&format!("{url}, tls: {{ca_file: 'GIVEN'}}"))),
        ("a URL that is none", sink("url: 'GIVEN'")),
        ("a URL's scheme", sink("url: 'FILED://x'")),
        ("a URL's password", sink("url: 'http://me:FILED@127.0.0.1/'")),
        ("a header that is no header", sink(&format!("{url}, headers: {{x: \"a\\nGIVEN\"}}"))),
        (
            "a field beside a secret",
            sink(&format!("{url}, headers: {{x: 'GIVEN {{{{ source }}}}'}}")),
        ),
        ("a condition that fails", sink(&format!("{url}, when: 'secrets.GIVEN + 1'"))),
        ("what is set in records", step("type: set, fields: {a: 'GIVEN'}")),
        ("a condition on records", step("type: filter, keep: 'message == secrets.FILED'")),
        ("a pattern", step("type: parse, format: regex, pattern: '(GIVEN'")),
        ("a transform's unknown key", step("type: filter, keep: message, zzz: 'FILED'")),
        (
            "an output's path",
            topology(
                "sources:\n  app: {type: file, include: [in.log]}\n\
                 sinks:\n  out: {type: file, inputs: [app], path: 'out/GIVEN.log'}\n",
            ),
        ),
        (
            "an input's path",
            topology(
                "sources:\n  app: {type: file, include: ['FILED.log']}\n\
                 sinks:\n  out: {type: console, inputs: [app]}\n",
            ),
        ),
    ]
}

/// Names of things.
fn names() -> Vec<(&'static str, Files)> {
    let url = "url: 'http://127.0.0.1:1/'";
    vec![
        ("a key", sink(&format!("{url}, 'GIVEN': 1"))),
        ("a header's name", sink(&format!("{url}, headers: {{'GIVEN': x}}"))),
        ("a type", step("type: 'FILED'")),
        (
            "a component's name",
            topology(
                "sources:\n  'GIVEN': {type: file, include: [in.log]}\n\
                 sinks:\n  out: {type: console, inputs: ['GIVEN']}\n",
            ),
        ),
        (
            "an input",
            topology(
                "sources:\n  app: {type: file, include: [in.log]}\n\
                 sinks:\n  out: {type: console, inputs: ['FILED']}\n",
            ),
        ),
    ]
}

/// Other kinds of files.
fn files() -> Vec<(&'static str, Files)> {
    let logs = "sources: {app: {paths: [in.log]}}\noutputs: {out: {file: {path: '{{ place }}'}}}\n";
    vec![
        ("the host's name", vec![("agent.yml", format!("host: '{GIVEN}'\n"))]),
        ("the data directory", vec![("agent.yml", format!("data_dir: 'state/{FILED}'\n"))]),
        ("a file's condition", vec![("logs.yml", format!("when: secrets.GIVEN == 1\n{logs}"))]),
        (
            "a variable in a path",
            vec![("vars.yml", format!("place: 'out/{GIVEN}'\n")), ("logs.yml", logs.to_owned())],
        ),
        (
            "a variable of a variable in a path",
            vec![
                ("vars.yml", format!("a: '{GIVEN}'\nplace: 'out/{{{{ a | upper }}}}'\n")),
                ("logs.yml", logs.to_owned()),
            ],
        ),
        (
            "a variable of a group in a path",
            vec![
                ("fleet.yml", "groups: {all_of_them: {hosts: ['*']}}\n".to_owned()),
                ("vars/groups/all_of_them.yml", format!("place: 'out/{FILED}'\n")),
                ("logs.yml", logs.to_owned()),
            ],
        ),
        (
            "a group's hosts",
            vec![("fleet.yml", format!("groups: {{a: {{hosts: ['{GIVEN}']}}}}\n"))],
        ),
        (
            "a group's condition",
            vec![("fleet.yml", "groups: {a: {when: secrets.GIVEN == 1}}\n".to_owned())],
        ),
        ("a wave", vec![("fleet.yml", format!("rollout: {{percent: '{FILED}'}}\n"))]),
        (
            "a place of secrets",
            vec![(
                "agent.yml",
                format!("data_dir: state\nsecrets: [{{exec: ['/bin/{GIVEN}']}}]\n"),
            )],
        ),
        ("a collector", vec![("facts.yml", format!("collect: ['{FILED}']\nexport: []\n"))]),
        ("an export", vec![("facts.yml", format!("export: ['{FILED}']\n"))]),
    ]
}

/// Task files: what their check says.
fn tasks() -> Vec<(&'static str, Files)> {
    let apply = |task: &str| {
        let task = task.replace("GIVEN", GIVEN).replace("FILED", FILED);
        vec![("apply.yml", format!("tasks:\n  - {task}\n"))]
    };
    vec![
        ("a task's name", apply("{name: 'GIVEN', debug: {msg: 'FILED'}}")),
        ("a module's name", apply("{'GIVEN': {msg: hi}}")),
        ("a parameter that is unknown", apply("{debug: {zzz: 'GIVEN'}}")),
        ("a mode", apply("{file: {path: /tmp/x, mode: 'GIVEN'}}")),
        ("a state", apply("{file: {path: /tmp/x, state: 'FILED'}}")),
        ("a handler", apply("{debug: {msg: hi}, notify: 'FILED'}")),
    ]
}
