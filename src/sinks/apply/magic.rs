//! The names that Ansible itself gives to every task: the host, its groups, what the host is like.

use super::ansible_facts;
use super::executor::{Inputs, Selection};
use crate::event::task::{Play, TaskSet};
use crate::expr::scope::Scope;
use minijinja::Value;

/// The version of Ansible whose language this is.
const VERSION: (i64, i64, i64) = (2, 17, 0);

/// What Ansible calls the play and its roles.
pub(super) fn of_play(play: &Play) -> Vec<(&'static str, Value)> {
    let names = |names: &[String]| names.iter().map(Value::from).collect::<Value>();
    let mut all = play.role_names.clone();
    all.extend(play.dependency_names.clone());
    all.sort();
    all.dedup();
    vec![
        ("ansible_play_name", play.name.as_str().into()),
        ("role_names", names(&play.role_names)),
        ("ansible_play_role_names", names(&play.role_names)),
        ("ansible_dependent_role_names", names(&play.dependency_names)),
        ("ansible_role_names", names(&all)),
    ]
}

/// The scope with Ansible's own names.
pub(super) fn with_names(
    scope: Scope,
    set: &TaskSet,
    inputs: &Inputs,
    selection: &Selection,
) -> Scope {
    let host = inputs.host.as_str();
    let hosts = || Value::from(vec![Value::from(host)]);
    let short = host.split('.').next().unwrap_or(host);
    let directory = std::path::absolute(&set.base).unwrap_or_else(|_| set.base.clone());
    let directory = directory.display().to_string();
    let names = |names: &[String]| names.iter().map(Value::from).collect::<Value>();
    let all = ["all".to_owned()];
    let groups = set.groups.iter().chain(&all).map(|group| (group.as_str(), hosts()));
    let (major, minor, revision) = VERSION;
    let version = Value::from_pairs([
        ("full", Value::from(format!("{major}.{minor}.{revision}"))),
        ("major", major.into()),
        ("minor", minor.into()),
        ("revision", revision.into()),
        ("string", format!("{major}.{minor}.{revision}").into()),
    ]);
    let tags = if selection.tags.is_empty() { names(&all) } else { names(&selection.tags) };
    [
        ("inventory_hostname_short", Value::from(short)),
        ("group_names", names(&set.groups)),
        ("groups", Value::from_pairs(groups)),
        ("play_hosts", hosts()),
        ("ansible_play_hosts", hosts()),
        ("ansible_play_hosts_all", hosts()),
        ("ansible_play_batch", hosts()),
        ("ansible_connection", "local".into()),
        ("playbook_dir", directory.as_str().into()),
        ("inventory_dir", directory.as_str().into()),
        ("ansible_version", version),
        ("ansible_verbosity", 0.into()),
        ("ansible_diff_mode", inputs.diffs.into()),
        (ansible_facts::NAME, ansible_facts::value(&inputs.facts)),
        ("ansible_run_tags", tags),
        ("ansible_skip_tags", names(&selection.skip_tags)),
    ]
    .into_iter()
    .fold(scope, |scope, (name, value)| scope.with_fixed(name, value))
}
