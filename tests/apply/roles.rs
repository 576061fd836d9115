//! Includes, imports and roles: which files are read, and what their tasks see.

use super::bench::{Bench, last_message, letters, names};
use driftless::sinks::apply::report::Status;

/// A role `web` that depends on `base`.
fn with_roles() -> Bench {
    let bench = Bench::new();
    for (name, text) in [
        ("base/defaults/main.yml", "level: base\nbase_only: yes\n"),
        ("base/tasks/main.yml", "- {name: base, debug: {msg: '{{ level }}'}}\n"),
        ("web/meta/main.yml", "dependencies: [base]\n"),
        ("web/defaults/main.yml", "level: default\nsize: 1\n"),
        ("web/vars/main.yml", "fixed: role\n"),
        (
            "web/tasks/main.yml",
            "- {name: web, copy: {src: page, dest: '{{ root }}/page'}, notify: tell}\n\
             - {name: rendered, template: {src: conf.j2, dest: '{{ root }}/conf'}}\n\
             - import_tasks: more.yml\n",
        ),
        (
            "web/tasks/more.yml",
            "- {name: '{{ role_name }} {{ size }}', debug: {msg: '{{ fixed }}'}}\n",
        ),
        ("web/handlers/main.yml", "- {name: tell, debug: {msg: x}}\n"),
        ("web/files/page", "page\n"),
        ("web/templates/conf.j2", "{{ fixed }} {{ level }} {{ port }}\n"),
        ("web/tasks/other.yml", "- {name: other, debug: {msg: '{{ level }}'}}\n"),
    ] {
        bench.configure(&format!("roles/{name}"), text);
    }
    bench
}

#[test]
fn a_role_brings_its_variables_files_handlers_and_dependencies() {
    let bench = with_roles();
    let report = bench.run(
        "- hosts: all
  vars: {fixed: play}
  roles:
    - {role: web, size: 2, tags: [site]}
    - base
  tasks:
    - {name: sees, assert: {that: [fixed == 'role', base_only, level == 'base', size == 1]}}
",
    );
    assert_eq!(names(&report), "base web rendered web 2 base sees tell", "{report:#?}");
    assert_eq!(bench.read("conf"), "role default 8080\n");
    assert_eq!(bench.read("page"), "page\n");
}

#[test]
fn a_role_can_be_imported_and_included() {
    let bench = with_roles();
    let report = bench.run(
        "tasks:
  - {include_role: {name: web, tasks_from: other}, vars: {level: given}}
  - {name: unseen, assert: {that: fixed is not defined}}
  - {include_role: {name: '{{ item }}', tasks_from: other, public: yes}, loop: [web], when: item == 'web'}
  - {name: seen, assert: {that: fixed == 'role'}}
  - {import_role: {name: base}, when: false}
  - {name: notified, command: 'true', notify: 'web : tell'}
",
    );
    let expected = "include_role base other unseen include_role base other seen base notified tell";
    assert_eq!(names(&report), expected, "{report:#?}");
    assert_eq!(report.tasks[2].message.as_deref(), Some("given"));
    assert_eq!(report.tasks[6].message.as_deref(), Some("default"));
}

#[test]
fn included_tasks_see_the_loop_and_the_variables_of_the_include() {
    let bench = Bench::new();
    bench.configure(
        "tasks/one.yml",
        "- {name: '{{ item }}{{ extra }}', debug: {msg: x}}\n- import_tasks: two.yml\n",
    );
    bench.configure("tasks/two.yml", "- {name: 'two {{ item }}', debug: {msg: x}}\n");
    let report = bench.run(
        "tasks:
  - {include_tasks: 'one.yml', loop: [a, b], vars: {extra: '!'}, register: included}
  - {include_tasks: {file: 'tasks/{{ name }}.yml', apply: {tags: x, when: false}}, vars: {name: two, item: z}}
",
    );
    let expected = "include_tasks a! two a b! two b include_tasks two z";
    assert_eq!(names(&report), expected, "{report:#?}");
    assert_eq!(report.tasks.last().unwrap().status, Status::Skipped);
    let (_, complaints) = bench.parse("tasks: [{include_tasks: nope.yml}]");
    assert_eq!(complaints[0].message, "there is no file of tasks `nope.yml`");
}

#[test]
fn a_file_outside_the_config_is_not_read() {
    let bench = Bench::new();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("x.yml"), "- debug: {}\n").unwrap();
    std::os::unix::fs::symlink(outside.path(), bench.base.path().join("link")).unwrap();
    let report = bench.run("tasks: [{include_tasks: '{{ where }}/x.yml', vars: {where: link}}]");
    assert_eq!(letters(&report), "of");
    assert!(last_message(&report).contains("lies outside the config directory"), "{report:#?}");
    let (_, complaints) = bench.parse("tasks: [{import_tasks: link/x.yml}]");
    assert!(complaints[0].message.contains("lies outside the config directory"));
}

#[test]
fn all_mistakes_in_all_files_are_said_before_a_run() {
    let bench = with_roles();
    bench.configure(
        "roles/web/tasks/other.yml",
        "- {flie: {path: /x}}\n- {debug: {}, notify: tel}\n",
    );
    bench.configure("roles/base/tasks/main.yml", "- {copy: {dest: /x, content: x, mode: 644}}\n");
    bench.configure("a.yml", "- import_tasks: b.yml\n");
    bench.configure("b.yml", "- import_tasks: a.yml\n");
    let (_, complaints) = bench.parse(
        "roles: [web]
tasks:
  - include_role: {name: web, tasks_from: other}
  - import_tasks: a.yml
  - import_role: {name: nope}
  - import_tasks: '{{ item }}.yml'
  - include_role: {name: web, tasks_from: none}
",
    );
    let found: Vec<_> = complaints.iter().map(ToString::to_string).collect();
    let found = found.join("\n").replace(bench.base.path().to_str().unwrap(), "BASE");
    insta::assert_snapshot!(found);
}

#[test]
fn a_failure_in_an_included_file_is_rescued_by_the_block_around_the_include() {
    let bench = Bench::new();
    bench.configure("fails.yml", "- {name: fails, command: 'false'}\n- {name: never, debug: {}}\n");
    let report = bench.run(
        "tasks:
  - block: [{include_tasks: fails.yml}]
    rescue: [{name: rescued, debug: {}}]
",
    );
    assert_eq!(names(&report), "include_tasks fails rescued");
    assert!(!report.has_failed());
}

#[test]
fn a_role_is_given_what_its_argument_specs_say_or_it_does_not_run() {
    let bench = with_roles();
    bench.configure(
        "roles/web/meta/argument_specs.yml",
        "argument_specs:
  main:
    short_description: The site
    options:
      size: {type: int, required: true}
      kind: {choices: [blog, shop]}
",
    );
    let text = |kind: &str| format!("- hosts: all\n  roles: [{{role: web, kind: {kind}}}]\n");
    let report = bench.run(&text("shop"));
    let said = "base Validating arguments against arg spec 'main' - The site web rendered web 1";
    assert!(names(&report).starts_with(said), "{}", names(&report));
    assert!(!report.has_failed());
    let report = bench.run(&text("game"));
    assert!(report.has_failed());
    let message = last_message(&report);
    assert!(message.contains("value of kind must be one of: blog, shop, got: game"), "{message}");
    // Another file of tasks has nothing to say of its parameters.
    let report = bench.run("tasks: [{include_role: {name: web, tasks_from: other}}]");
    assert!(!report.has_failed(), "{report:#?}");
}

#[test]
fn look_ups_and_included_templates_of_a_role_are_looked_for_in_the_role_first() {
    let bench = Bench::new();
    bench.configure("roles/web/files/motd", "of the role\n");
    bench.configure("roles/web/templates/part.j2", "part of the role\n");
    bench.configure("roles/web/templates/whole.j2", "{% include 'part.j2' %}, whole\n");
    bench.configure("roles/web/tasks/debian.yml", "- {name: found, debug: {msg: x}}\n");
    bench.configure(
        "roles/web/tasks/main.yml",
        "- {name: file, copy: {dest: '{{ root }}/file', content: \"{{ lookup('file', 'motd') }}\"}}
- {name: glob, assert: {that: \"query('fileglob', 'mot*') == [role_path ~ '/files/motd']\"}}
- {name: whole, template: {src: whole.j2, dest: '{{ root }}/whole'}}
- {name: looked up, copy: {dest: '{{ root }}/up', content: \"{{ lookup('template', 'whole.j2') }}\"}}
- {name: chosen, include_tasks: \"{{ lookup('first_found', ['none.yml', 'debian.yml']) }}\"}
",
    );
    let report = bench.run(
        "- hosts: all
  roles: [web]
  tasks:
    - {name: base, copy: {dest: '{{ root }}/base', content: \"{{ lookup('file', 'motd') }}\"}}
",
    );
    assert!(!report.has_failed(), "{report:#?}");
    assert!(names(&report).contains("found"), "{report:#?}");
    assert_eq!(bench.read("file"), "of the role");
    assert_eq!(bench.read("whole"), "part of the role, whole\n");
    assert_eq!(bench.read("up"), "part of the role, whole\n");
    assert_eq!(bench.read("base"), "hello", "a task outside does not see the role's files");
}

#[test]
fn a_role_within_another_sees_its_variables_and_knows_its_names() {
    let bench = Bench::new();
    bench.configure("roles/outer/vars/main.yml", "from_outer: yes\n");
    bench.configure("roles/outer/defaults/main.yml", "weak: outer\n");
    bench.configure("roles/outer/tasks/main.yml", "- import_role: {name: inner}\n");
    bench.configure("roles/inner/defaults/main.yml", "weak: inner\n");
    bench.configure(
        "roles/inner/tasks/main.yml",
        "- debug: {msg: '{{ from_outer }} {{ weak }} {{ ansible_parent_role_names }} \
         {{ ansible_parent_role_paths | map(\"basename\") }}'}\n",
    );
    let report = bench.run(
        "- hosts: all
  name: the play
  roles: [outer]
  tasks:
    - include_role: {name: outer}
    - debug: {msg: '{{ ansible_play_name }} {{ role_names }} {{ ansible_parent_role_names is defined }}'}
",
    );
    let debugs = report.tasks.iter().filter(|task| task.module == "debug");
    let said: Vec<_> = debugs.filter_map(|task| task.message.as_deref()).collect();
    let inner = "True inner ['outer'] ['outer']";
    assert_eq!(said, [inner, inner, "the play ['outer'] False"], "{report:#?}");
}

#[test]
fn what_is_included_knows_the_loop_that_it_is_in() {
    let bench = Bench::new();
    bench.configure("in.yml", "- debug: {msg: '{{ ansible_loop_var }} {{ ansible_index_var }}'}\n");
    let report = bench.run(
        "tasks:
  - include_tasks: in.yml
    loop: [a]
    loop_control: {loop_var: x, index_var: y}
",
    );
    assert_eq!(last_message(&report), "x y", "{report:#?}");
}
