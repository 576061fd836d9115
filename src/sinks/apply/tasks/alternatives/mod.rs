//! `alternatives`: which of several programs stands behind a name such as `editor`.

mod group;

use super::{Failure, Module, Outcome, Task, TaskContext, system};
use crate::event::fault::Diagnostic;
use crate::event::tree::Node;
use crate::host::machine::Machine;
use crate::host::machine::meta::Kind as FileKind;
use crate::host::machine::path::Follow;
use crate::host::machine::state::Transition;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use group::{Choice, Group};
use std::path::Path;

pub(super) static MODULE: Module = Module {
    name: "alternatives",
    summary: "Makes sure that a program is one of those behind a name, and the one that counts.",
    acts_unless: None,
    spec: Spec {
        not_yet: &[&["family"]],
        ..Spec::new(&[
            Param::new("name", Kind::Text).required().says("The name, such as `editor`."),
            Param::new("path", Kind::Path).required().says("The program."),
            Param::new("link", Kind::Path)
                .says("The link that leads to it; needed where the name is new."),
            Param::new("priority", Kind::Int).says(
                "The greater, the better; where not given it stays, and is 50 of a new program.",
            ),
            Param::new("state", Kind::OneOf(&["absent", "auto", "present", "selected"])).says(
                "`selected`, where not given: it counts. `present`: it can be selected. `auto`: that, \
                 and the one with the greatest priority counts. `absent`: it cannot be selected.",
            ),
            Param::new("subcommands", Kind::Any).or(&["slaves"]).says(
                "What is linked with it: a list of `name`, `link` and `path`. Where not given, that \
                 stays as it is.",
            ),
        ])
    },
    check,
    build: |params| Box::new(Alternatives { params }),
};

const GROUPS: &str = "/var/lib/dpkg/alternatives";
const LINKS: &str = "/etc/alternatives";

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    let mut complain =
        |name: &str, why: String| complaints.push(Diagnostic::new(why, params.place(name)));
    let is_name = |name: &str| !name.is_empty() && !name.contains(['/', ' ', '\t', '\n']);
    if let Some(name) = params.text("name").filter(|name| !name.contains("{{") && !is_name(name)) {
        complain("name", format!("`{name}` is no name of alternatives, such as `editor`"));
    }
    for name in ["link", "path"] {
        if let Some(path) = params.text(name).filter(|path| !path.contains("{{"))
            && (!path.starts_with('/') || path.contains(char::is_whitespace))
        {
            complain(name, format!("`{path}` is no absolute path without blanks"));
        }
    }
    if let Some(node) = params.any("subcommands")
        && node.scalar_text().is_none_or(|text| !text.contains("{{"))
        && let Err(why) = followers(node)
    {
        complain("subcommands", why);
    }
    complaints
}

/// Any text in place of a group's file.
#[cfg(any(test, fuzzing))]
pub(super) fn hostile(text: &str) {
    if let Some(group) = Group::parse(text, None) {
        drop(Group::read(&group.described()));
        drop(group.removed("/a").auto());
    }
    drop(Group::read(text).described());
}

/// What is linked with a program.
struct Follower {
    name: String,
    link: String,
    path: String,
}

fn followers(node: &Node) -> Result<Vec<Follower>, String> {
    let Some(items) = node.as_list() else {
        return Err(format!("`subcommands` takes a list, and this is {}", node.kind()));
    };
    let one = |item: &Node| {
        let text = |name| match item.get(name).and_then(Node::scalar_text) {
            Some(text) if !text.is_empty() && !text.contains(char::is_whitespace) => {
                Ok(text.to_owned())
            }
            Some(text) => {
                Err(format!("`{name}` of a subcommand is one word, and this is `{text}`"))
            }
            None => Err(format!("a subcommand needs `{name}`")),
        };
        for (key, _) in item.as_map().unwrap_or_default() {
            if !["link", "name", "path"].contains(&&*key.name) {
                return Err(format!(
                    "a subcommand has no `{}`: it has `link`, `name`, `path`",
                    key.name
                ));
            }
        }
        Ok(Follower { name: text("name")?, link: text("link")?, path: text("path")? })
    };
    items.iter().map(one).collect()
}

struct Alternatives {
    params: Params,
}

impl Task for Alternatives {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let text = |name| params.text(name).unwrap_or_default();
        let (name, path) = (text("name"), text("path"));
        let state = params.text("state").unwrap_or("selected");
        let mut said = Vec::new();
        let group = read(machine, name)?;
        if state == "absent" {
            if group.choice(path).is_some() {
                remove(machine, name, path, &group)?;
                said.push(format!("Remove alternative '{path}' from '{name}'."));
            }
        } else {
            let group = match self.wanted(&group)? {
                Some(choice) => {
                    said.push(format!("Install alternative '{path}' for '{name}'."));
                    self.install(machine, &group, &choice)?
                }
                None => group,
            };
            if state == "selected" && group.current.as_deref() != Some(path) {
                let back = to_now(name, &group);
                let after = group.clone().selected(path);
                step(machine, name, &group, &after, &["--set", name, path], back)?;
                said.push(format!("Set alternative '{path}' for '{name}'."));
            } else if state == "auto" && !group.is_auto {
                let back = to_now(name, &group);
                step(machine, name, &group, &group.clone().auto(), &["--auto", name], back)?;
                said.push(format!("Set alternative to auto for '{name}'."));
            }
        }
        Ok(Outcome::default().with("msg", said.join(" ")))
    }
}

impl Alternatives {
    /// The choice as it should be, where it is not.
    fn wanted(&self, group: &Group) -> Result<Option<Choice>, Failure> {
        let params = &self.params;
        let path = params.text("path").unwrap_or_default();
        let now = group.choice(path);
        let given = params.any("subcommands").map(followers).transpose().map_err(Failure::new)?;
        let mut linked: Vec<(String, String)> = match (&given, now) {
            (Some(given), _) => given.iter().map(|it| (it.name.clone(), it.path.clone())).collect(),
            (None, Some(now)) => now.followers.clone(),
            (None, None) => Vec::new(),
        };
        linked.sort();
        let priority = params.int("priority").or(now.map(|now| now.priority)).unwrap_or(50);
        let choice = Choice { path: path.to_owned(), priority, followers: linked };
        let has_links = given.iter().flatten().all(|it| {
            group.followers.iter().any(|(name, link)| (name, link) == (&it.name, &it.link))
        });
        let is_same = now.is_some_and(|now| {
            let mut followers = now.followers.clone();
            followers.sort();
            (now.priority, followers) == (choice.priority, choice.followers.clone()) && has_links
        });
        Ok((!is_same).then_some(choice))
    }

    fn install(
        &self,
        machine: &mut Machine,
        group: &Group,
        choice: &Choice,
    ) -> Result<Group, Failure> {
        let name = self.params.text("name").unwrap_or_default();
        let path = choice.path.as_str();
        if machine.stat(Path::new(path), Follow::Yes)?.is_none() {
            return Err(Failure::new(format!("there is no {path} to be an alternative")));
        }
        let link = match self.params.text("link") {
            Some(link) => link.to_owned(),
            None if !group.link.is_empty() => group.link.clone(),
            None => {
                let failure = Failure::new(format!("there are no alternatives for `{name}` yet"));
                let hint = "`link` says which link leads to them".to_owned();
                return Err(Failure { hint: Some(hint), ..failure });
            }
        };
        let given = self.params.any("subcommands").map(followers).transpose();
        let given = given.map_err(Failure::new)?.unwrap_or_default();
        let mut links = group.followers.clone();
        links.retain(|(name, _)| !given.iter().any(|it| it.name == *name));
        links.extend(given.iter().map(|it| (it.name.clone(), it.link.clone())));
        links.retain(|(name, _)| choice.followers.iter().any(|(own, _)| own == name));
        let back = match group.choice(path) {
            Some(old) => install(name, &group.link, old, &group.followers),
            None => ["--remove", name, path].map(str::to_owned).into(),
        };
        let argv = install(name, &link, choice, &links);
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let after = group.clone().installed(&link, choice.clone(), &links);
        step(machine, name, group, &after, &argv, Some(back))?;
        Ok(after)
    }
}

/// The words that install a choice.
fn install(name: &str, link: &str, choice: &Choice, links: &[(String, String)]) -> Vec<String> {
    let priority = choice.priority.to_string();
    let mut argv = system::argv(&["--install", link, name, &choice.path, &priority]);
    for (follower, path) in &choice.followers {
        if let Some((_, link)) = links.iter().find(|(known, _)| known == follower) {
            argv.extend(system::argv(&["--slave", link, follower, path]));
        }
    }
    argv
}

fn remove(machine: &mut Machine, name: &str, path: &str, group: &Group) -> Result<(), Failure> {
    // One that was selected by hand would have to be selected again, which is a step of its own.
    let is_selected = !group.is_auto && group.current.as_deref() == Some(path);
    let back = group.choice(path).filter(|_| !is_selected);
    let back = back.map(|old| install(name, &group.link, old, &group.followers));
    let after = group.clone().removed(path);
    step(machine, name, group, &after, &["--remove", name, path], back)
}

/// The words that select what is selected now.
fn to_now(name: &str, group: &Group) -> Option<Vec<String>> {
    match &group.current {
        _ if group.is_auto => Some(system::argv(&["--auto", name])),
        Some(current) => Some(system::argv(&["--set", name, current])),
        None => None,
    }
}

fn step(
    machine: &mut Machine,
    name: &str,
    before: &Group,
    after: &Group,
    words: &[&str],
    back: Option<Vec<String>>,
) -> Result<(), Failure> {
    const PROGRAM: &str = "update-alternatives";
    let with_program = |words: Vec<String>| {
        let mut argv = vec![PROGRAM.to_owned()];
        argv.extend(words);
        argv
    };
    Ok(machine.transition(&Transition {
        of: of(name),
        before: before.described(),
        after: after.described(),
        argv: with_program(system::argv(words)),
        back: back.map(with_program),
    })?)
}

fn of(name: &str) -> String {
    format!("alternatives of {name}")
}

/// The group as it is, or as a dry run has foretold it; one without choices where there is none.
fn read(machine: &Machine, name: &str) -> Result<Group, Failure> {
    if let Some(foretold) = machine.foretold_state(&of(name)) {
        return Ok(Group::read(&foretold));
    }
    let file = Path::new(GROUPS).join(name);
    let Some(text) = system::read(machine, &file)? else { return Ok(Group::default()) };
    let link = Path::new(LINKS).join(name);
    let current = match machine.stat(&link, Follow::No)? {
        Some(found) if found.kind == FileKind::Link => {
            Some(machine.read_link(&link)?.to_string_lossy().into_owned())
        }
        _ => None,
    };
    let failure = || Failure::new(format!("{} is not in the form that is known", file.display()));
    Group::parse(&text, current).ok_or_else(failure)
}
