//! Tasks that edit text files, held against what Ansible 2.19 makes of the same.

use super::bench::{Bench, last_message, letters};
use std::fs;

/// Each case of `edits.json`: a task, the file `x` before it, and what Ansible left: the file, how
/// the task ended, and its `msg`.
#[test]
fn text_is_edited_as_ansible_edits_it() {
    let cases = include_str!("../fixtures/apply/edits.json");
    let cases: Vec<serde_json::Value> = serde_json::from_str(cases).unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        let bench = Bench::new();
        if let Some(before) = case["before"].as_str() {
            fs::write(bench.path("x"), before).unwrap();
        }
        let task = case["task"].as_str().unwrap();
        let text = format!(
            "tasks:\n  - {{{task}, register: out, ignore_errors: yes}}\n  - debug: {{msg: '{{{{ out.msg }}}}'}}\n"
        );
        let report = bench.run(&text);
        let state = match letters(&report).chars().next().unwrap() {
            'c' => "changed",
            'o' => "ok",
            _ => "failed",
        };
        let after = fs::read_to_string(bench.path("x")).ok();
        let mut found = (state, after.as_deref(), Some(last_message(&report)));
        let expected =
            (case["state"].as_str().unwrap(), case["after"].as_str(), case["msg"].as_str());
        // A failure is told in our own words.
        if expected.2.is_none() {
            found.2 = None;
        }
        if found != expected {
            let before = &case["before"];
            wrong.push(format!("{task} on {before}\n   found {found:?}\nexpected {expected:?}\n"));
        }
        if state == "changed" {
            // Where several lines match, each of `runs` runs changes one.
            for _ in 1..case["runs"].as_u64().unwrap_or(1) {
                assert_eq!(letters(&bench.run(&text)), "co", "another run of {task}");
            }
            assert_eq!(letters(&bench.run(&text)), "oo", "a last run of {task}");
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Ansible makes one line of both.
#[test]
fn a_line_is_not_put_behind_one_that_has_no_end() {
    let task = "lineinfile: {path: '{{ root }}/x', regexp: '^x', line: new, insertafter: '^one'}";
    assert_eq!(edit(task, "one").1, "one\nnew\n");
}

#[test]
fn of_several_lines_that_match_each_run_changes_the_last() {
    let bench = Bench::new();
    fs::write(bench.path("x"), "one\ntwo\nthree\n").unwrap();
    let text = "tasks: [{lineinfile: {path: '{{ root }}/x', regexp: 'e$', line: E}}]";
    for (state, after) in [("c", "one\ntwo\nE\n"), ("c", "E\ntwo\nE\n"), ("o", "E\ntwo\nE\n")] {
        assert_eq!(letters(&bench.run(text)), state);
        assert_eq!(bench.read("x"), after);
    }
}

/// The state of a task on a file, the file then, and what the task said.
fn edit(task: &str, before: &str) -> (String, String, String) {
    let bench = Bench::new();
    fs::write(bench.path("x"), before).unwrap();
    let report = bench.run(&format!("tasks:\n  - {task}\n"));
    let message = last_message(&report).replace(&bench.root.path().display().to_string(), "ROOT");
    (letters(&report), bench.read("x"), message)
}

#[test]
fn what_would_change_again_at_every_run_is_refused() {
    for task in [
        "replace: {path: '{{ root }}/x', regexp: a, replace: aa}",
        "lineinfile: {path: '{{ root }}/x', line: \"b\\nc\"}",
        "lineinfile: {path: '{{ root }}/x', regexp: '^(.*)$', line: '\\1!', backrefs: yes}",
        "blockinfile: {path: '{{ root }}/x', block: \"b\\n# END ANSIBLE MANAGED BLOCK\"}",
    ] {
        let (state, after, message) = edit(task, "a\n");
        assert_eq!((state.as_str(), after.as_str()), ("f", "a\n"), "{task}");
        let refused = message.ends_with("would be changed again at every run");
        assert!(refused || message.contains("is there a second time"), "{task}: {message}");
    }
}

#[test]
fn markers_that_do_not_belong_together_are_refused() {
    let task = "blockinfile: {path: '{{ root }}/x', block: new}";
    let (begin, end) = ("# BEGIN ANSIBLE MANAGED BLOCK\n", "# END ANSIBLE MANAGED BLOCK\n");
    for (before, why) in [
        (format!("a\n{begin}b\n"), "in line 2 has no"),
        (format!("a\n{end}b\n"), "in line 2 has no"),
        (format!("{end}a\n{begin}b\n"), "is in line 1, before"),
        (format!("{begin}a\n{end}{begin}b\n{end}"), "is there a second time, in line 4"),
    ] {
        let (state, after, message) = edit(task, &before);
        assert_eq!((state.as_str(), after), ("f", before));
        assert!(message.contains(why), "{message}");
    }
}

#[test]
fn a_file_keeps_its_line_ends() {
    for (task, before, after) in [
        ("lineinfile: {path: '{{ root }}/x', line: b}", "a\r\n", "a\r\nb\r\n"),
        ("lineinfile: {path: '{{ root }}/x', regexp: '^a$', line: b}", "a\r\nc\r\n", "b\r\nc\r\n"),
        ("lineinfile: {path: '{{ root }}/x', line: a}", "a\r\n", "a\r\n"),
        (
            "blockinfile: {path: '{{ root }}/x', block: b}",
            "a\r\n",
            "a\r\n# BEGIN ANSIBLE MANAGED BLOCK\r\nb\r\n# END ANSIBLE MANAGED BLOCK\r\n",
        ),
        ("replace: {path: '{{ root }}/x', regexp: 'a', replace: b}", "a\r\nc\r\n", "b\r\nc\r\n"),
        (
            "ini_file: {path: '{{ root }}/x', section: s, option: o, value: 2}",
            "[s]\r\no = 1\r\n",
            "[s]\r\no = 2\r\n",
        ),
    ] {
        assert_eq!(edit(task, before).1, after, "{task}");
    }
}

#[test]
fn bytes_that_are_no_text_stay_as_they_are() {
    for (task, after) in [
        (
            "lineinfile: {path: '{{ root }}/x', regexp: '^b', line: 'é'}",
            b"\xff\x00\n\xc3\xa9\n".as_slice(),
        ),
        ("replace: {path: '{{ root }}/x', regexp: 'b', replace: 'ü'}", b"\xff\x00\n\xc3\xbc\n"),
        ("lineinfile: {path: '{{ root }}/x', line: 'b'}", b"\xff\x00\nb\n"),
    ] {
        let bench = Bench::new();
        fs::write(bench.path("x"), b"\xff\x00\nb\n").unwrap();
        bench.run(&format!("tasks:\n  - {task}\n"));
        assert_eq!(fs::read(bench.path("x")).unwrap(), after, "{task}");
    }
}

#[test]
fn options_of_an_ini_file_are_set_where_they_belong() {
    let file = "; top\n[a]\n# note\nx = 1\n;y = 2\n\n[b]\nx = 3\n";
    for (task, before, state, after) in [
        ("section: a, option: x, value: 1", file, "o", file.to_owned()),
        ("section: a, option: x, value: '9'", file, "c", file.replace("x = 1", "x = 9")),
        ("section: b, option: x, value: '9'", file, "c", file.replace("x = 3", "x = 9")),
        ("section: a, option: y, value: '9'", file, "c", file.replace(";y = 2", "y = 9")),
        (
            "section: a, option: y, value: '9', modify_inactive_option: no",
            file,
            "c",
            file.replace("x = 1\n", "x = 1\ny = 9\n"),
        ),
        ("section: a, option: z, value: q", file, "c", file.replace("x = 1\n", "x = 1\nz = q\n")),
        ("section: c, option: z, value: q", file, "c", format!("{file}[c]\nz = q\n")),
        ("section: c", file, "c", format!("{file}[c]\n")),
        (
            "section: a, option: x, value: 1, no_extra_spaces: yes",
            file,
            "c",
            file.replace("x = 1", "x=1"),
        ),
        (
            "section: a, option: x, value: 1, no_extra_spaces: yes, ignore_spaces: yes",
            file,
            "o",
            file.to_owned(),
        ),
        ("section: a, option: x, state: absent", file, "c", file.replace("x = 1\n", "")),
        ("section: b, state: absent", file, "c", "; top\n[a]\n# note\nx = 1\n;y = 2\n\n".into()),
        ("section: c, state: absent", file, "o", file.to_owned()),
        ("option: g, value: 1", "[a]\nx = 1\n", "c", "g = 1\n[a]\nx = 1\n".into()),
        ("section: a, option: flag, allow_no_value: yes", "[a]\n", "c", "[a]\nflag\n".into()),
        ("section: a, option: flag, allow_no_value: yes", "[a]\nflag\n", "o", "[a]\nflag\n".into()),
        (
            "section: a, option: x, values: [1, 2]",
            "[a]\nx = 2\nx = 3\n",
            "c",
            "[a]\nx = 2\nx = 1\n".into(),
        ),
        (
            "section: a, option: x, values: [4], exclusive: no",
            "[a]\nx = 2\n",
            "c",
            "[a]\nx = 2\nx = 4\n".into(),
        ),
        (
            "section: a, option: x, value: 2, state: absent, exclusive: no",
            "[a]\nx = 2\nx = 3\n",
            "c",
            "[a]\nx = 3\n".into(),
        ),
        ("section: a, option: x, value: 1", "", "c", "[a]\nx = 1\n".into()),
    ] {
        let task = format!("ini_file: {{path: '{{{{ root }}}}/x', {task}}}");
        let (found, text, message) = edit(&task, before);
        assert_eq!((found.as_str(), text), (state, after), "{task}: {message}");
    }
}

#[test]
fn a_file_is_assembled_of_its_fragments() {
    let bench = Bench::new();
    fs::create_dir(bench.path("d")).unwrap();
    for (name, text) in [("10-b", "b"), ("05-a", "a\n"), ("20-c", "c\n"), (".hidden", "h\n")] {
        fs::write(bench.path("d").join(name), text).unwrap();
    }
    let run = |more: &str| {
        let text = format!(
            "tasks: [{{assemble: {{src: '{{{{ root }}}}/d', dest: '{{{{ root }}}}/x'{more}}}}}]"
        );
        let report = bench.run(&text);
        assert_eq!(letters(&bench.run(&text)), "o");
        (letters(&report), bench.read("x"))
    };
    assert_eq!(run(""), ("c".into(), "h\na\nb\nc\n".into()));
    assert_eq!(
        run(", ignore_hidden: yes, delimiter: '---'"),
        ("c".into(), "a\n---\nb\n---\nc\n".into())
    );
    assert_eq!(run(", regexp: '^[12]', delimiter: '#\\n'"), ("c".into(), "b\n#\nc\n".into()));
}

#[test]
fn the_example_of_files_does_what_it_says_and_then_nothing() {
    let mut bench = Bench::new();
    let example =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config-examples/apply-files");
    let demo = bench.path("demo").display().to_string();
    let text = fs::read_to_string(example.join("apply.yml")).unwrap().replace("/srv/demo", &demo);
    bench.stand_in(&example);
    let report = bench.run(&text);
    assert!(!letters(&report).contains('f'), "{:#?}", report.tasks.last());
    assert_eq!(
        bench.read("demo/etc/app.conf"),
        "# The application\nlisten = 8080\nuser = app\n# BEGIN limits\nmax_files = 1024\nmax_memory = 64M\n# END limits\n"
    );
    assert_eq!(bench.read("demo/copy/etc/app.ini"), "[server]\nport = 8080\n");
    let before = bench.snapshot();
    let again = letters(&bench.run(&text));
    assert!(!again.contains(['c', 'f']), "{again}");
    assert_eq!(before, bench.snapshot());
}
