//! Holds what expressions yield against what Ansible yields for them.

use super::jinja::Engine;
use super::scope::Scope;
use super::value::{from_json, pairs, to_json};
use std::sync::Arc;

/// Expressions and what Ansible makes of them, in Python's notation.
const TABLE: &str = include_str!("../../tests/fixtures/jinja/ansible.txt");

fn scope() -> Scope {
    let variables = serde_json::from_str(include_str!("../../tests/fixtures/jinja/vars.json"));
    let scope = Scope::new(Arc::new(Engine::new()));
    let variables = pairs(&from_json(&variables.unwrap()));
    variables.into_iter().fold(scope, |scope, (name, value)| scope.with_local(&name, value))
}

#[test]
fn every_expression_of_the_table_yields_what_ansible_yields() {
    let scope = scope();
    let mut odd = Vec::new();
    let rows = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut count = 0;
    for row in rows {
        let (expression, wanted) = row.split_once("  ->  ").unwrap();
        count += 1;
        // Both sides are read by Jinja, so that notations of the same value are the same.
        let plain = |value| format!("{:?}", from_json(&to_json(&value)));
        let found = scope.engine().render(&format!("{{{{ {expression} }}}}"), &scope);
        let found = found.map_or_else(|problem| format!("error: {problem}"), plain);
        let wanted = scope.engine().environment().compile_expression(wanted).unwrap();
        let wanted = plain(wanted.eval(()).unwrap());
        if found != wanted {
            odd.push(format!("{expression}\n  found  {found}\n  wanted {wanted}"));
        }
    }
    assert!(odd.is_empty(), "{} of {count} differ:\n{}", odd.len(), odd.join("\n"));
    assert!(count > 350, "the table is there");
}
