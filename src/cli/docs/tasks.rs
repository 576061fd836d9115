//! The pages of task types, from the tables that their parameters are read by.

use super::add;
use super::page::Page;
use crate::sinks::apply::params::{Kind, Param};
use crate::sinks::apply::tasks::{MODULES, Module};

/// A page for each task type.
pub(super) fn task_pages() -> impl Iterator<Item = Page> {
    MODULES.iter().map(|module| page(module))
}

fn page(module: &Module) -> Page {
    let (name, summary) = (module.name, module.summary);
    let mut page = Page {
        path: format!("tasks/{name}"),
        summary: summary.to_owned(),
        text: format!("# `{name}` task\n\n{summary}\n"),
        undescribed: Vec::new(),
    };
    let spec = &module.spec;
    if let Some(looks) = module.acts_unless {
        let unless = match looks {
            [] => String::new(),
            looks => format!(", unless {} says when there is nothing to do", named(looks, " or ")),
        };
        let text = format!(
            "It acts without looking first{unless}: a dry run cannot know what it would change, and \
             the agent runs it once a revision."
        );
        add(&mut page.text, format_args!("\n{text}\n"));
    }
    if let Some(free) = spec.free_form {
        let text = format!("Text right behind the name of the task is its `{free}`.");
        add(&mut page.text, format_args!("\n{text}\n"));
    }
    if spec.all().next().is_some() {
        page.text.push_str("\n## Parameters\n");
    }
    for param in spec.all() {
        describe(param, &mut page);
    }
    let groups = spec.exclusive.iter().map(|group| ("at most", group));
    let groups: Vec<_> =
        groups.chain(spec.one_of.iter().map(|group| ("at least", group))).collect();
    if !groups.is_empty() || spec.others.is_some() {
        page.text.push_str("\n## What goes together\n\n");
    }
    for (how_many, group) in groups {
        add(&mut page.text, format_args!("- {how_many} one of {}\n", named(group, ", ")));
    }
    if let Some(others) = spec.others {
        add(&mut page.text, format_args!("- any other name, which is {others}\n"));
    }
    if !spec.not_yet.is_empty() {
        let names = named(&spec.not_yet.concat(), ", ");
        let text = format!("Ansible has these too; here they are refused: {names}.");
        add(&mut page.text, format_args!("\n## Not supported\n\n{text}\n"));
    }
    page
}

fn describe(param: &Param, page: &mut Page) {
    let kind = kind(param.kind);
    let required = if param.required { ", required" } else { "" };
    let aliases = match param.aliases {
        [] => String::new(),
        aliases => format!("; also called {}", named(aliases, ", ")),
    };
    let name = param.name;
    add(&mut page.text, format_args!("\n### `{name}`\n\n*{kind}{required}{aliases}*\n"));
    match param.doc {
        "" => page.undescribed.push(name.to_owned()),
        doc => add(&mut page.text, format_args!("\n{doc}\n")),
    }
}

fn named(names: &[&str], between: &str) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(between)
}

/// What a parameter takes, in a few words.
fn kind(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".into(),
        Kind::Secret => "text that is never shown".into(),
        Kind::Content => "text, or a list or mapping that becomes JSON".into(),
        Kind::Account => "name or number".into(),
        Kind::Path => "path".into(),
        Kind::CommandLine => "command line".into(),
        Kind::Bool => "true or false".into(),
        Kind::Int => "whole number".into(),
        Kind::Mode => "permissions".into(),
        Kind::Texts => "text, or a list of text".into(),
        Kind::OneOf(words) => {
            let words: Vec<String> =
                words.iter().map(|word| word.escape_debug().to_string()).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            format!("one of {}", named(&words, ", "))
        }
        Kind::Any => "anything".into(),
        Kind::Conditions => "expression, or a list of them".into(),
        Kind::Raw => "keywords of tasks".into(),
    }
}
