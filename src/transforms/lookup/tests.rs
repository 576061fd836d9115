//! A row is found, and what it says is added.

use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

/// What becomes of a record whose line is its only field `k`.
fn looked_up(yaml: &str, table: &str, line: &str) -> Json {
    let config: Config = serde_yaml::from_str(&format!("file: t\n{yaml}")).unwrap();
    let mut lookup = Lookup::new(&config, table.as_bytes()).unwrap();
    let chunk = Bytes::from(format!("{line}\n"));
    let mut batch = LogBatch::from_lines(&chunk, Arc::default(), 0, 0);
    batch.rewrite(|record, writer| {
        writer.push("k", record.text_at(record.raw()));
        Verdict::Parsed
    });
    lookup.all(&mut batch);
    let record = batch.records().next().unwrap();
    Json::Object(record.fields().map(|(name, value)| (name.into(), value.to_json())).collect())
}

const HOSTS: &str = "name,team,tier\nweb1,\"Web, front\",1\r\nDB1,data,\n\nweb1,other,2\n";

#[test]
fn a_row_adds_its_cells() {
    let all = json!({"k": "web1", "team": "Web, front", "tier": "1"});
    assert_eq!(looked_up("key: {k: name}", HOSTS, "web1"), all);
    let one = json!({"k": "web1", "owner.team": "Web, front"});
    assert_eq!(looked_up("key: {k: name}\nadd: {team: owner.team}", HOSTS, "web1"), one);
    let empty = json!({"k": "db1", "team": "data"});
    assert_eq!(looked_up("key: {k: name}\nignore_case: true", HOSTS, "db1"), empty);
    assert_eq!(looked_up("key: {k: name}", HOSTS, "db1"), json!({"k": "db1"}));
}

#[test]
fn what_no_row_fits_gets_the_default() {
    let yaml = "key: {k: name}\ndefault: {team: nobody, n: 3}";
    let expected = json!({"k": "x", "team": "nobody", "n": 3});
    assert_eq!(looked_up(yaml, HOSTS, "x"), expected);
    let two = "key: {k: name, missing: tier}\ndefault: {team: nobody}";
    assert_eq!(looked_up(two, HOSTS, "web1"), json!({"k": "web1", "team": "nobody"}));
}

#[test]
fn the_narrowest_network_counts() {
    let table = r#"[{"net": "10.0.0.0/8", "c": "wide", "n": 1}, {"net": "10.1.0.0/16", "c": "narrow"},
        {"net": "2001:db8::/32", "c": "six"}, {"net": "192.0.2.7", "c": "one"}]"#;
    let yaml = "key: {k: net}\nmatch: network\nadd: {c: c}";
    for (address, country) in [
        ("10.2.3.4", json!("wide")),
        ("10.1.3.4", json!("narrow")),
        ("2001:db8:1::", json!("six")),
        ("192.0.2.7", json!("one")),
        ("::ffff:192.0.2.7", json!("one")),
        ("192.0.2.8", Json::Null),
        ("no address", Json::Null),
    ] {
        assert_eq!(looked_up(yaml, table, address)["c"], country, "{address}");
    }
}

#[test]
fn a_table_that_cannot_be_read_says_where() {
    let wrong = |yaml: &str, table: &str| {
        let config: Config = serde_yaml::from_str(&format!("file: t\n{yaml}")).unwrap();
        Lookup::new(&config, table.as_bytes()).map(drop).unwrap_err()
    };
    assert!(
        wrong("key: {k: nam}", HOSTS).contains("no column `nam`; the table has name, team, tier")
    );
    assert!(wrong("key: {k: a}", "a,b\n1\n").starts_with("line 2: found 1 cells, expected 2"));
    assert!(wrong("key: {k: a}", "a\n\"x\n").starts_with("line 2: a quote"));
    assert!(wrong("key: {k: a}", "").contains("empty"));
    assert!(wrong("key: {k: a}", "[1]").contains("list of objects"));
    assert!(wrong("key: {k: a}\nmatch: network", "a,b\nx,1\n").contains("found `x`"));
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(
        prop_oneof![any::<u8>(), Just(b'"'), Just(b','), Just(b'\n'), Just(b'[')], 0..60,
    )) {
        Rows::read(&bytes).ok();
    }
}
