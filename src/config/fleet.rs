//! What a `fleet` file says: which groups a host belongs to, and when its turn comes to take a new
//! revision.

use super::rollout::Rollout;
use crate::event::de::from_node;
use crate::event::fault::{Diagnostic, nearest};
use crate::event::tree::{Key, Node};
use crate::expr::jinja::Engine;
use crate::expr::scope::Scope;
use crate::sinks::apply::hosts::Host;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

/// Names that stand for other things where groups are named.
const TAKEN: [&str; 3] = ["all", "ungrouped", "localhost"];

/// The hosts that share this config (`fleet.yml`): which groups there are, who belongs to them, and
/// in which order hosts take a new revision of the repository.
///
/// ```yaml
/// groups:
///   web: {hosts: ["web*.example.com"]}
///   debian: {when: facts.os.family == 'debian'}
///   canary: {hosts: [web1.example.com, db1.example.com]}
/// rollout:
///   stages:
///     - {groups: [canary]}
///     - {percent: 25, after: 30m}
///     - {percent: 100, after: 2h}
/// ```
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FleetFile {
    /// Groups by their names. A host belongs to those of them that take it, in this order, and to
    /// those that its own `agent.yml` names, which come first. `group_names` in conditions of files
    /// and components, `hosts` of plays, `--limit`, and `vars/groups/NAME` mean them all.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, Group>")]
    pub groups: Option<Node>,
    /// Which hosts take a new revision when. Default: all at once.
    pub rollout: Option<Rollout>,
}

/// Who belongs to a group: where both `hosts` and `when` are given, whom both take.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Names of hosts, in which `*` and `?` stand for any letters; or patterns as in `hosts` of
    /// plays. Those of groups mean the groups that come before this one.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub hosts: Option<Node>,
    /// A condition on `facts`, `host` and `group_names`, which holds the groups that come before
    /// this one.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub when: Option<Node>,
}

/// The groups that a host belongs to, and all that there are.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Those of the host.
    pub(super) of_host: Vec<String>,
    /// Those that the fleet's file declares, whether the host belongs to them or not.
    pub(super) declared: Vec<String>,
}

impl Groups {
    /// The scope in which `group_names` are those of the host.
    pub(super) fn in_scope(&self, scope: &Scope) -> Scope {
        let names = self.of_host.iter().map(String::as_str).collect::<minijinja::Value>();
        scope.with_fixed("group_names", names)
    }
}

/// Finds out which of the groups that the file declares take `host`. It belongs to `own` in any
/// case.
pub(super) fn groups(
    file: &FleetFile,
    own: &[String],
    host: &str,
    engine: &Engine,
    scope: &Scope,
    complaints: &mut Vec<Diagnostic>,
) -> Groups {
    let mut groups = Groups { of_host: own.to_vec(), declared: Vec::new() };
    let Some(node) = &file.groups else { return groups };
    let Some(entries) = node.as_map() else {
        let message = format!("`groups`: found {}, expected names with their hosts", node.kind());
        complaints.push(Diagnostic::new(message, node.span.clone()));
        return groups;
    };
    for (key, node) in entries {
        let name = key.name.to_string();
        if let Some(complaint) = misnamed(key) {
            complaints.push(complaint);
            continue;
        }
        let group: Group = match from_node(node, &format!("`{name}`")) {
            Ok(group) => group,
            Err(more) => {
                complaints.extend(more);
                continue;
            }
        };
        if group.hosts.is_none() && group.when.is_none() {
            let complaint = Diagnostic::new(format!("`{name}` takes no host"), node.span.clone());
            complaints.push(complaint.hint("say which by `hosts: [NAMES]` or `when: CONDITION`"));
        }
        let so_far = groups.in_scope(scope);
        let is_named = group.hosts.as_ref().is_none_or(|hosts| {
            fits(hosts, Host { name: host, groups: &groups.of_host }, complaints)
        });
        let holds = group.when.as_ref().is_none_or(|condition| {
            engine.holds(condition, &so_far).unwrap_or_else(|problem| {
                complaints.push(problem.diagnostic());
                false
            })
        });
        if is_named && holds && !groups.of_host.contains(&name) {
            groups.of_host.push(name.clone());
        }
        groups.declared.push(name);
    }
    groups
}

fn misnamed(key: &Key) -> Option<Diagnostic> {
    let name = &*key.name;
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let why = if TAKEN.contains(&name) {
        "stands for something else where groups are named"
    } else if name.is_empty() || name.starts_with('.') || !name.chars().all(is_word) {
        "is not the name of a group"
    } else {
        return None;
    };
    let complaint = Diagnostic::new(format!("`{name}` {why}"), key.span.clone());
    Some(complaint.hint("letters, digits, `_`, `-` and `.` make a name"))
}

/// Whether one of these patterns means the host.
fn fits(patterns: &Node, host: Host<'_>, complaints: &mut Vec<Diagnostic>) -> bool {
    let mut fits = false;
    for pattern in patterns.as_list().unwrap_or(std::slice::from_ref(patterns)) {
        let Some(text) = pattern.scalar_text() else {
            let message = format!("`hosts`: found {}, expected names of hosts", pattern.kind());
            complaints.push(Diagnostic::new(message, pattern.span.clone()));
            continue;
        };
        match host.is_meant(text) {
            Ok(is_meant) => fits |= is_meant,
            Err(why) => {
                complaints.push(Diagnostic::new(format!("`hosts`: {why}"), pattern.span.clone()));
            }
        }
    }
    fits
}

/// The groups that the agent's own file names, as far as they can be told before the rest of it is
/// read. What is wrong with them is told when it is.
pub(super) fn own_groups(agent: &Node, engine: &Engine, scope: &Scope) -> Vec<String> {
    let rendered = agent.get("groups").and_then(|node| engine.render_node(node, scope).ok());
    let items = rendered.as_ref().and_then(Node::as_list).unwrap_or_default();
    items.iter().filter_map(Node::scalar_text).map(str::to_owned).collect()
}

/// The complaint that the agent's file names its groups by what is not known that early.
pub(super) fn unread_groups(groups: &[String], agent: Option<&Node>) -> Diagnostic {
    let span = agent.and_then(|node| node.get("groups")?.span.clone());
    let message = format!("the groups {} depend on variables", groups.join(", "));
    Diagnostic::new(message, span).hint("variables depend on the groups: name them as they are")
}

/// Remarks on stages of a rollout that are for groups which nobody declares.
pub(super) fn remarks(file: &FleetFile, groups: &Groups) -> Vec<Diagnostic> {
    let stages = file.rollout.iter().flat_map(|rollout| &rollout.stages);
    let named = stages.flat_map(|stage| &stage.groups);
    let is_known = |name: &String| groups.declared.contains(name) || groups.of_host.contains(name);
    let remark = |name: &String| {
        let message =
            format!("a stage of the rollout is for the group `{name}`, which is not declared");
        let mut remark = Diagnostic::new(message, None);
        let near = nearest(name, groups.declared.iter().map(String::as_str));
        remark.hint = near.map(|near| format!("did you mean `{near}`?"));
        remark
    };
    named.filter(|name| !is_known(name)).map(remark).collect()
}
