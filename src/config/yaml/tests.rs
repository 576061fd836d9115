//! What YAML files may say, and what they hear when they may not.

use super::*;
use std::path::Path;

fn tree_in(dialect: Dialect, text: &str) -> Result<Node, Vec<Diagnostic>> {
    let file = SourceFile::new(Path::new("a.yml").into(), text.to_owned());
    read(&Arc::new(file), dialect)
}

fn tree(text: &str) -> Node {
    tree_in(Dialect::Yaml11, text).unwrap()
}

fn complaints(text: &str) -> String {
    let faults = tree_in(Dialect::Yaml11, text).unwrap_err();
    let lines = faults.iter().map(|fault| {
        let related = fault.related.iter().map(|(at, what)| format!(" ({at}: {what})"));
        let hint = fault.hint.iter().map(|hint| format!(" | {hint}"));
        [fault.to_string()].into_iter().chain(related).chain(hint).collect::<String>()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn at<'a>(node: &'a Node, path: &str) -> &'a Node {
    path.split('.').fold(node, |node, step| match step.parse::<usize>() {
        Ok(index) => &node.as_list().unwrap()[index],
        Err(_) => node.get(step).unwrap(),
    })
}

#[test]
fn every_value_keeps_its_place_and_its_source_text() {
    let tree =
        tree("# über\r\ntasks:\r\n  - name: ä\r\n    mode: 0644\r\n    on: [yes, \"yes\"]\r\n");
    let place = |path| at(&tree, path).span.as_ref().unwrap().to_string();
    assert_eq!(place("tasks.0.mode"), "a.yml:4:11");
    assert_eq!(place("tasks.0"), "a.yml:3:5");
    assert_eq!(place("tasks.0.on.1"), "a.yml:5:15");
    assert_eq!(at(&tree, "tasks.0.mode").value, Value::Int { value: 420, text: "0644".into() });
    assert_eq!(at(&tree, "tasks.0.on.0").value, Value::Bool { value: true, text: "yes".into() });
    assert_eq!(at(&tree, "tasks.0.on.1").as_str(), Some("yes"));
    let span = at(&tree, "tasks").span.as_ref().unwrap();
    assert!(span.file.text[span.start..span.end].ends_with("\"yes\"]"));
}

#[test]
fn the_dialect_decides_what_plain_words_mean() {
    let on = |dialect| at(&tree_in(dialect, "a: on\n").unwrap(), "a").kind();
    assert_eq!(on(Dialect::Yaml11), "a truth value");
    assert_eq!(on(Dialect::Yaml12), "text");
}

#[test]
fn aliases_and_merge_keys_are_resolved_and_own_keys_win() {
    let tree = tree("a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  y: 3\n  <<: [*a, *b]\nd: *a\n");
    assert_eq!(at(&tree, "d"), at(&tree, "a"));
    let c: Vec<_> = at(&tree, "c")
        .as_map()
        .unwrap()
        .iter()
        .map(|(key, node)| format!("{}={}", key.name, node.scalar_text().unwrap()))
        .collect();
    assert_eq!(c, ["x=1", "z=2", "y=3"]);
    insta::assert_snapshot!(complaints("a: {<<: 5}\n"), @"a.yml:1:9: `<<` takes a mapping or a list of them; found a number");
}

#[test]
fn a_few_lines_of_aliases_cannot_eat_the_memory() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let item = format!("*a{}, ", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", item.repeat(10)));
    }
    insta::assert_snapshot!(complaints(&bomb), @"a.yml:6:10: aliases that stand for more than 250000 values");
    insta::assert_snapshot!(complaints("a: &a [*a]\n"), @"a.yml:1:8: this alias stands inside the very value that it stands for");
}

#[test]
fn deep_nesting_is_refused_however_it_is_written() {
    insta::assert_snapshot!(complaints(&"- ".repeat(10_000)), @"a.yml:1:129: more than 64 lists and mappings inside each other");
    insta::assert_snapshot!(complaints(&"[".repeat(10_000)), @"a.yml:1:256: not valid YAML: recursion limit exceeded");
    insta::assert_snapshot!(complaints(&"{a: ".repeat(10_000)), @"a.yml:1:1021: not valid YAML: recursion limit exceeded");
    let mut chain = "a0: &a0 [x]\n".to_owned();
    for level in 1..100 {
        chain.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert!(complaints(&chain).contains("more than 64"));
}

#[test]
fn a_key_that_is_there_twice_is_an_error_with_both_places() {
    insta::assert_snapshot!(complaints("a: 1\nb: {c: 1, c: 2}\na: 2\n"), @r"
    a.yml:2:11: the key `c` is here twice (a.yml:2:5: the first one)
    a.yml:3:1: the key `a` is here twice (a.yml:1:1: the first one)
    ");
}

#[test]
fn tags_other_than_ansibles_and_yamls_own_are_refused() {
    let tree = tree("a: !unsafe '{{ x }}'\nb: !!str 5\nc: !unsafe [\"{{ y }}\"]\nd: !!int 5\n");
    assert_eq!(at(&tree, "a").value, Value::Unsafe("{{ x }}".into()));
    assert_eq!(at(&tree, "b").as_str(), Some("5"));
    assert_eq!(at(&tree, "c.0").value, Value::Unsafe("{{ y }}".into()));
    insta::assert_snapshot!(
        complaints("a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\nb: !!python/object x\nc: !foo {}\nd: !!int x\n"),
        @r#"
    a.yml:1:4: Ansible's vault cannot be opened here | put the value in a secrets file and write "{{ secrets.NAME }}"
    a.yml:4:4: the tag `!!python/object` does not fit this value | leave the tag out
    a.yml:5:4: unknown tag `!foo` | leave it out; the tags there are: `!unsafe`, `!!str`
    a.yml:6:4: the tag `!!int` does not fit this value | leave the tag out
    "#
    );
}

#[test]
fn usual_mistakes_get_a_hint() {
    insta::assert_snapshot!(complaints("a:\n\tb: 1\n"), @"a.yml:2:1: a tab in the indentation, which YAML wants to be of spaces | replace the tab by spaces");
    insta::assert_snapshot!(complaints("a:\n  b: 1\n\tc: 1\n"), @"a.yml:3:1: a tab in the indentation, which YAML wants to be of spaces | replace the tab by spaces");
    insta::assert_snapshot!(complaints("a: {{ b }}\n"), @r#"a.yml:1:4: an expression without quotes around it | put the whole value in quotes: "{{ ... }}""#);
    insta::assert_snapshot!(complaints("a: {% if b %}c{% endif %}\n"), @"a.yml:1:5: not valid YAML: unexpected character: `%' | put a value that begins with `{{` or `{%` in quotes");
    insta::assert_snapshot!(complaints("a: b: c\n"), @"a.yml:1:5: not valid YAML: mapping values are not allowed in this context | put text with `: ` in it in quotes, or mend the indentation");
    insta::assert_snapshot!(complaints("a: [*.log]\n"), @"a.yml:1:5: not valid YAML: found unknown anchor while parsing node | put text that begins with `*` or `&` in quotes");
    insta::assert_snapshot!(complaints("a: @x\n"), @"a.yml:1:4: not valid YAML: unexpected character: `@' | put text that begins with `@`, `%` or a backtick in quotes");
    insta::assert_snapshot!(complaints("a: \"x\nb: 1\n"), @"a.yml:1:4: not valid YAML: invalid indentation in quoted scalar | the closing quote is missing or not where it should be");
    insta::assert_snapshot!(complaints("a: [1, 2\nb: 1\n"), @"a.yml:2:2: not valid YAML: illegal placement of ':' indicator | a bracket or a comma is missing before this place");
    insta::assert_snapshot!(complaints("a: 1\n b: 2\n"), @"a.yml:2:3: not valid YAML: mapping values are not allowed in this context | put text with `: ` in it in quotes, or mend the indentation");
    insta::assert_snapshot!(complaints("a: 1\n- b\n"), @"a.yml:2:3: not valid YAML: did not find expected key while parsing a block mapping | the indentation is not that of the lines above");
    insta::assert_snapshot!(complaints("[a]: 1\n"), @"a.yml:1:1: a list or mapping as a key; keys are text");
    insta::assert_snapshot!(complaints("a: 1\n---\nb: 2\n"), @"a.yml:2:1: a second document begins here; a config file has one | put it in a file of its own: a folder of files counts as one");
    insta::assert_snapshot!(complaints("a: 1\nb\n"), @"a.yml:3:1: not valid YAML: simple key expect ':' | this line lacks its `: `");
}

#[test]
fn the_indentation_in_brackets_does_not_count_in_yaml_1_1() {
    let text =
        "a: {\n  b: [\n1,\n'} é'\n]\n}\nc:\n  - d: {\n    e: 1\n  }\n    f: |\n      {\n      }\n";
    let tree = tree(text);
    assert_eq!(tree.get("a").unwrap().get("b").unwrap().as_list().unwrap().len(), 2);
    let of_list = &tree.get("c").unwrap().as_list().unwrap()[0];
    assert_eq!(of_list.get("f").unwrap().as_str(), Some("{\n}\n"));
    let place = of_list.get("f").unwrap().span.as_ref().unwrap().to_string();
    assert!(place.contains(":12:"), "{place}");
    assert!(tree_in(Dialect::Yaml12, "a: {\n}\n").is_err());
}
