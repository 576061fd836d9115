//! Promises about all three formats.

use super::*;
use proptest::prelude::*;

fn steps(key: &str) -> Vec<String> {
    key.split('.').map(str::to_owned).collect()
}

fn set(format: &Format, text: &str, key: &str, value: impl Into<Json>) -> String {
    edit(format, text, &steps(key), Some(&value.into())).unwrap().text
}

fn gone(format: &Format, text: &str, key: &str) -> String {
    edit(format, text, &steps(key), None).unwrap().text
}

fn refused(format: &Format, text: &str, key: &str, value: impl Into<Json>) -> String {
    edit(format, text, &steps(key), Some(&value.into())).unwrap_err()
}

const YAML: &str = "\
# The server
server:   # here
  name: 'one'
  port:  80 # plain

  paths:
    - /a
    - /b # last
  tls: {on: yes, versions: [1.2, 1.3]}
  motd: |
    hello

    world
# What is left
plain: text
empty:
list:
- name: x
  size: 1
- name: y
";

#[test]
fn a_key_of_a_yaml_file_changes_alone() {
    let yaml = &yaml::FORMAT;
    let line = |old: &str, new: &str| YAML.replacen(old, new, 1);
    for (key, value, old, new) in [
        ("server.port", Json::from(8080), "80 #", "8080 #"),
        ("server.name", "two".into(), "'one'", "'two'"),
        ("server.name", 7.into(), "'one'", "7"),
        ("plain", "no".into(), "plain: text", "plain: \"no\""),
        ("plain", "a: b".into(), "plain: text", "plain: \"a: b\""),
        ("empty", true.into(), "empty:\n", "empty: true\n"),
        ("empty.a.b", 1.into(), "empty:\n", "empty:\n  a:\n    b: 1\n"),
        ("server.paths.1", "/c".into(), "/b #", "/c #"),
        ("server.paths.2", "/c".into(), "/b # last\n", "/b # last\n    - /c\n"),
        ("server.tls.on", false.into(), "{on: yes", "{on: false"),
        ("server.tls.new", "x".into(), "1.3]}", "1.3], new: x}"),
        ("server.tls.versions.2", 2.into(), "1.3]", "1.3, 2]"),
        ("server.motd", "bye\n".into(), "|\n    hello\n\n    world", "\"bye\\n\""),
        (
            "server.new",
            serde_json::json!({"a": ["x", {"b": 1}]}),
            "    world\n",
            "    world\n  new:\n    a:\n      - x\n      - b: 1\n",
        ),
        ("list.0.size", 2.into(), "size: 1", "size: 2"),
        ("list.1.size", 3.into(), "- name: y\n", "- name: y\n  size: 3\n"),
        ("list.2", serde_json::json!({"name": "z"}), "- name: y\n", "- name: y\n- name: z\n"),
        ("new", serde_json::json!([1]), "- name: y\n", "- name: y\nnew:\n  - 1\n"),
        ("server.paths", serde_json::json!(["/a", "/z"]), "/b #", "/z #"),
        ("plain", serde_json::json!({"a": 1}), "plain: text\n", "plain:\n  a: 1\n"),
    ] {
        let edited = set(yaml, YAML, key, value.clone());
        assert_eq!(edited, line(old, new), "{key}: {value}");
        assert_eq!(set(yaml, &edited, key, value), edited, "{key}: a second time");
    }
    for (key, old, new) in [
        ("server.port", "  port:  80 # plain\n", ""),
        ("server.tls.versions", ", versions: [1.2, 1.3]", ""),
        ("server.motd", "  motd: |\n    hello\n\n    world\n", ""),
        ("list.0.name", "- name: x\n  size: 1", "- size: 1"),
        ("list.1.name", "- name: y", "- {}"),
        ("none.at.all", "", ""),
    ] {
        assert_eq!(gone(yaml, YAML, key), line(old, new), "{key}");
    }
    assert_eq!(set(yaml, "", "a.b", 1), "a:\n  b: 1\n");
    assert_eq!(set(yaml, "# only\r\n", "a", "x y"), "# only\r\na: x y\r\n");
    assert_eq!(gone(yaml, "a:\n  b: 1\nc: 2\n", "a.b"), "a: {}\nc: 2\n");
}

#[test]
fn what_cannot_be_edited_safely_is_refused_with_the_reason() {
    let yaml = &yaml::FORMAT;
    for (text, key, expected) in [
        ("a: &x {b: 1}\nc: *x\n", "a.b", "anchor"),
        ("a: &x {b: 1}\nc: *x\n", "c", "anchor"),
        ("a: !t {b: 1}\n", "a.b", "tag"),
        ("x: &x {b: 1}\na:\n  <<: *x\n", "a.b", "`<<`"),
        ("a: {b: 1,\n  c: 2}\n", "a.b.c", "`a.b` is a number"),
        ("a: {b: 1,\n  c: 2}\n", "a.d", "several lines"),
        ("a: 1\n---\nb: 2\n", "a", "several documents"),
        ("a: 1\na: 2\n", "a", "twice"),
        ("a: [1\n", "a", "no YAML, line"),
        ("a: [1, 2]\n", "a.5", "has no item 5"),
        ("a: [1, 2]\n", "a.b", "not the number of an item"),
        ("a:\n  # why\n  b: 1\n", "a", "comment"),
    ] {
        let why = refused(yaml, text, key, 9);
        assert!(why.contains(expected), "{text:?} {key}: {why}");
    }
    let flow = "a: {b: 1,\n  c: 2}\n";
    assert_eq!(set(yaml, flow, "a.c", 3), "a: {b: 1,\n  c: 3}\n", "what is on one line is edited");
    assert!(refused(&json::FORMAT, "{\"a\": 1,}", "a", 2).contains("line 1 column 9"));
    assert!(refused(&toml::FORMAT, "a = \n", "a", 2).contains("no TOML"));
    assert!(refused(&toml::FORMAT, "a = 1\n", "a", Json::Null).contains("no null"));
}

#[test]
fn a_key_of_a_json_file_changes_alone() {
    let json = &json::FORMAT;
    let text = "{\n\t\"b\": {\"x\": 1, \"y\": [1,2]},\n\t\"a\" : \"t\",\n\t\"e\": {},\n\t\"l\": [\n\t\t1\n\t]\n}\n";
    let line = |old: &str, new: &str| text.replacen(old, new, 1);
    for (key, value, old, new) in [
        ("a", Json::from("u"), "\"t\"", "\"u\""),
        ("b.x", 2.into(), "\"x\": 1", "\"x\": 2"),
        ("b.z", true.into(), "[1,2]}", "[1,2], \"z\": true}"),
        ("e.k", 1.into(), "{}", "{\n\t\t\"k\": 1\n\t}"),
        ("l.1", 2.into(), "\t\t1\n", "\t\t1,\n\t\t2\n"),
        ("n.m", 3.into(), "\t]\n", "\t],\n\t\"n\": {\n\t\t\"m\": 3\n\t}\n"),
    ] {
        assert_eq!(set(json, text, key, value), line(old, new), "{key}");
    }
    assert_eq!(gone(json, text, "b"), line("\"b\": {\"x\": 1, \"y\": [1,2]},\n\t", ""));
    assert_eq!(gone(json, text, "l"), line(",\n\t\"l\": [\n\t\t1\n\t]", ""));
    assert_eq!(
        set(json, "{\"a\":1}", "b", serde_json::json!({"c": [1, 2]})),
        "{\"a\":1,\"b\":{\"c\":[1,2]}}"
    );
    assert_eq!(set(json, "", "a", 1), "{\n  \"a\": 1\n}\n");
}

#[test]
fn a_key_of_a_toml_file_changes_alone() {
    let toml = &toml::FORMAT;
    let text = "# top\nname = 'x' # name\nnums = [1, 2]\n\n# about\n[server]\nport = 80 # p\ntls = { on = true }\n# why\nwhen = 1979-05-27\n\n[[user]]\nid = 1\n# end\n";
    let line = |old: &str, new: &str| text.replacen(old, new, 1);
    for (key, value, old, new) in [
        ("server.port", Json::from(81), "80", "81"),
        ("name", "y".into(), "'x'", "\"y\""),
        ("nums.2", 3.into(), "2]", "2, 3]"),
        ("server.tls.on", false.into(), "true", "false"),
        ("server.when", "1980-01-01".into(), "1979-05-27", "1980-01-01"),
        ("server.new", 1.5.into(), "27\n", "27\nnew = 1.5\n"),
        ("user.0.id", 2.into(), "id = 1", "id = 2"),
    ] {
        let edited = set(toml, text, key, value.clone());
        assert_eq!(edited, line(old, new), "{key}");
        assert_eq!(set(toml, &edited, key, value), edited, "{key}");
    }
    assert_eq!(
        gone(toml, text, "server.when"),
        line("when = 1979-05-27\n", ""),
        "the comment stays"
    );
    assert_eq!(set(toml, text, "server.when", "1979-05-27"), text);
    let new = set(toml, "a = 1\r\n", "b.c.d", 1);
    assert_eq!(new, "a = 1\r\n\r\n[b.c]\r\nd = 1\r\n");
}

/// A tree as config files have them.
fn tree() -> impl Strategy<Value = Json> {
    let scalar = prop_oneof![
        any::<bool>().prop_map(Json::from),
        (-9_i64..2000).prop_map(Json::from),
        prop::sample::select(vec![
            "", "x", "no", "1.5", "a b", "é: #", "it's", "l1\nl2", "- x", "~", "0x1f", "12:30",
            " pad", "[x]"
        ])
        .prop_map(Json::from),
    ];
    let name = prop::sample::select(vec!["a", "b", "c d", "on", "7"]);
    let inner = scalar.prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::Array),
            prop::collection::vec((name.clone(), inner), 0..4).prop_map(|entries| {
                Json::Object(
                    entries.into_iter().map(|(name, value)| (name.into(), value)).collect(),
                )
            }),
        ]
    });
    prop::collection::vec((prop::sample::select(vec!["a", "b", "k", "z"]), inner), 1..5).prop_map(
        |entries| {
            Json::Object(
                entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            )
        },
    )
}

/// All keys of a tree.
fn keys(tree: &Json, way: &[String], into: &mut Vec<Vec<String>>) {
    let below: Vec<(String, &Json)> = match tree {
        Json::Object(map) => map.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Json::Array(items) => {
            items.iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect()
        }
        _ => Vec::new(),
    };
    for (name, value) in below {
        let way = [way, &[name]].concat();
        keys(value, &way, into);
        into.push(way);
    }
}

/// The tree as a file with a comment at the end of every line that can bear one.
fn with_comments(text: &str, is_yaml: bool) -> String {
    let mut out = "# first\n".to_owned();
    for (at, line) in text.lines().enumerate() {
        out.push_str(line);
        let is_open = line.contains('|') || line.contains('>');
        if is_yaml
            && !is_open
            && !line.trim_start().starts_with('l')
            && !line.is_empty()
            && !line.contains('"')
            && !line.contains('\'')
        {
            out.push_str(&format!(" # note {at}"));
        }
        out.push('\n');
    }
    out + "# last\n"
}

fn comments(text: &str) -> Vec<String> {
    let notes = text
        .split('#')
        .skip(1)
        .filter_map(|rest| rest.lines().next())
        .map(|note| note.trim().to_owned());
    let mut notes: Vec<String> = notes
        .filter(|note| note.starts_with("note") || note == "first" || note == "last")
        .collect();
    notes.sort();
    notes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_edit_gives_the_tree_with_that_key_changed_and_keeps_all_comments_or_is_refused(
        tree in tree(),
        at in any::<prop::sample::Index>(),
        more in prop::option::of(prop::sample::select(vec!["new", "k", "on"])),
        value in prop_oneof![Just(Json::from(5)), Just(Json::from("no")), Just(serde_json::json!({"m": [1, {"n": "x"}]})), Just(serde_json::json!([]))],
        removes in any::<bool>(),
    ) {
        let mut all = Vec::new();
        keys(&tree, &[], &mut all);
        let mut key = all[at.index(all.len())].clone();
        key.extend(more.map(str::to_owned));
        let yaml_text = with_comments(&serde_yaml::to_string(&tree).unwrap(), true);
        let json_text = serde_json::to_string_pretty(&tree).unwrap();
        let mut files = vec![(&yaml::FORMAT, yaml_text), (&json::FORMAT, json_text), (&json::FORMAT, tree.to_string())];
        if let Ok(text) = ::toml::to_string(&tree) {
            files.push((&toml::FORMAT, with_comments(&text, false)));
        }
        for (format, text) in files {
            let plain = |text: &str| -> Json {
                match format.name {
                    "YAML" => serde_yaml::from_str(text).unwrap(),
                    "TOML" => ::toml::from_str(text).unwrap(),
                    _ => serde_json::from_str(text).unwrap(),
                }
            };
            let before = plain(&text);
            prop_assert_eq!(&before, &tree, "{}", text);
            let Ok(found) = get(&before, &key) else { continue };
            let wanted = (!removes).then_some(&value);
            let mut expected = before.clone();
            match wanted {
                Some(wanted) => put(&mut expected, &key, wanted),
                None => take(&mut expected, &key),
            }
            let edited = match edit(format, &text, &key, wanted) {
                Ok(edited) => edited.text,
                // Comments inside of what is replaced may be in the way, YAML has forms that are
                // left alone, a list of tables in TOML holds nothing else; and what does not read
                // as it should is never written.
                Err(why) => {
                    let left_alone = match format.name {
                        "YAML" => why.contains("not edited"),
                        "TOML" => why.contains("not replaced"),
                        _ => false,
                    };
                    let known = why.contains("edited safely") || why.contains("comment") || why.contains("the list as a whole");
                    prop_assert!(known || left_alone, "{}: {:?}\n{}", why, key, text);
                    continue;
                }
            };
            prop_assert_eq!(&plain(&edited), &expected, "{:?}\n{}\n{}", key, text, edited);
            if found == wanted {
                prop_assert_eq!(&edited, &text);
            }
            // The keys of a mapping that another one does not have go with their comments.
            let merges = found.is_some_and(Json::is_object) && wanted.is_some_and(Json::is_object);
            if !removes && !merges {
                prop_assert_eq!(comments(&edited), comments(&text), "{:?}\n{}\n{}", key, text, edited);
            }
            prop_assert_eq!(&edit(format, &edited, &key, wanted).unwrap().text, &edited);
        }
    }
}
