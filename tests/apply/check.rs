//! Everything that is wrong with a task file is said before anything runs, with its place.

use super::bench::{Bench, last_message, letters};

/// Each complaint as `line:column message (hint)`.
fn complaints(text: &str) -> Vec<String> {
    let (_, complaints) = Bench::new().parse(text);
    let line = |complaint: driftless::event::fault::Diagnostic| {
        let place = complaint.span.map_or("-".into(), |span| {
            let (line, column) = span.line_column();
            format!("{line}:{column}")
        });
        let hint = complaint.hint.map_or(String::new(), |hint| format!(" ({hint})"));
        format!("{place} {}{hint}", complaint.message)
    };
    complaints.into_iter().map(line).collect()
}

#[test]
fn every_mistake_is_reported_at_once_where_it_stands() {
    let found = complaints(
        "tasks:
  - flie: {path: /a}
  - copy: {content: x, dest: /a, mdoe: '0644'}
  - copy: {content: x, dest: /a, mode: 644}
  - file: {path: /a, state: presnt}
  - copy: {content: yes, dest: /a}
  - copy: {dest: /a}
  - copy: {src: a, content: b, dest: /a}
  - file: {path: /a, recurse: maybe}
  - copy: {content: x, dest: /a}
    debug: {msg: x}
  - retry: 3
    block: [{debug: {msg: x}}]
  - debug: {msg: '{{ x'}
    when: a ==
    notify: reload ngnix
  - expect: {command: passwd}
  - name: nothing to do
handlers:
  - name: reload nginx
    debug: {msg: x}
",
    );
    let expected = [
        "2:5 there is no module or keyword `flie` (did you mean `file`?)",
        "11:5 a task does one thing, and this does `copy` and `debug` (make two tasks of it)",
        "12:5 a block has no keyword `retry` (it has `block`, `rescue`, `always`, `rollback`, `when`, `tags`, `vars`)",
        "17:5 the module `expect` is not supported yet",
        "18:5 this task has no module (add what it should do, such as `file:` or `copy:`)",
        "3:34 `copy` has no parameter `mdoe` (did you mean `mode`?)",
        "4:40 the mode 644 is a decimal number, which is rarely meant (write it as text with a leading zero: \"0644\")",
        "5:29 `state` takes one of `absent`, `directory`, `file`, `hard`, `link`, `touch`, and this is text (`presnt`)",
        "6:21 `content` takes text, and this is a truth value (`yes`) (put it in quotes)",
        "7:11 `copy` needs one of `content`, `src`",
        "8:11 `copy` takes `content` or `src`, not both",
        "9:31 `recurse` takes true or false, and this is text (`maybe`)",
        "15:11 this is not valid Jinja: unexpected end of input, expected expression",
        "14:18 this is not valid Jinja: unexpected end of input, expected end of variable block",
        "16:13 there is no handler `reload ngnix` (did you mean `reload nginx`?)",
    ];
    let mut found = found;
    let mut expected: Vec<_> = expected.map(str::to_owned).into();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn what_an_expression_will_yield_is_judged_when_it_is_known() {
    let text = "tasks:
  - {copy: {content: '{{ port }}', dest: '{{ root }}/x', mode: '{{ mode | default(omit) }}'}}
  - {file: {path: '{{ root }}/x', state: '{{ state }}'}, vars: {state: gone}}
";
    assert!(complaints(text).is_empty());
    let report = Bench::new().run(text);
    assert_eq!(letters(&report), "cf");
    let message = last_message(&report);
    assert!(message.starts_with("apply.yml:3:42: `state` takes one of"), "{message}");
}

#[test]
fn a_mode_is_octal_however_it_is_written() {
    for mode in ["'0644'", "0644", "'644'", "\"0o644\"", "'u=rw,go=r'"] {
        let text = format!("tasks: [{{copy: {{content: x, dest: /a, mode: {mode}}}}}]");
        assert!(complaints(&text).is_empty(), "{mode}");
    }
    for mode in ["644", "1777", "99999", "'77777'", "''", "rw", "0o9", "[1]", "yes"] {
        let text = format!("tasks: [{{copy: {{content: x, dest: /a, mode: {mode}}}}}]");
        assert_eq!(complaints(&text).len(), 1, "{mode}: {:?}", complaints(&text));
    }
}

#[test]
fn names_that_cannot_be_variables_are_refused() {
    let found = complaints(
        "tasks:
  - {debug: {msg: x}, register: facts}
  - {debug: {msg: x}, vars: {no-dash: 1}}
  - {set_fact: {host: x}}
  - {debug: {msg: x}, loop: [1], loop_control: {loop_var: 1x, nope: 2}}
",
    );
    assert_eq!(found.len(), 5, "{found:#?}");
}
