//! What can be said against tasks without running them.

use super::{Brought, Parser};
use crate::event::fault::{Diagnostic, nearest};
use crate::event::task::{Named, Play, Step, Task, each_task};
use crate::event::tree::{Key, Node, Value};
use crate::expr::jinja::Engine;
use crate::sinks::apply::args::{normalize, set_conditions_aside};
use crate::sinks::apply::hosts::check_pattern;
use crate::sinks::apply::keywords::{Keywords, read_vars};
use crate::sinks::apply::params::{Params, Stage};
use crate::sinks::apply::tasks;

impl Parser {
    /// Complains about names and texts of variables.
    pub(super) fn check_vars(&self, vars: &Named, complaints: &mut Vec<Diagnostic>) {
        for (name, node) in vars {
            let key = Key { span: node.span.clone(), ..Key::from(name.as_str()) };
            read_vars(&[(key, node.clone())], complaints);
            self.engine().check(node, complaints);
        }
    }

    pub(super) fn check_plays(&self, plays: &[Play], complaints: &mut Vec<Diagnostic>) {
        for play in plays {
            self.check_vars(&play.vars, complaints);
            for role in &play.roles {
                self.check_vars(&role.defaults, complaints);
                self.check_vars(&role.vars, complaints);
            }
            if let Some(hosts) = &play.hosts {
                complaints.extend(check_pattern(hosts));
            }
            let mut check = Check { engine: self.engine(), heard: Heard::default(), complaints };
            check.heard.add(&play.handlers);
            check.heard.add(&self.foreseen.handlers);
            check.heard.has_unknown |= self.foreseen.has_unknown;
            play.handlers.iter().for_each(|handler| check.task(handler));
            check.steps(&play.steps);
        }
        let mut check = Check { engine: self.engine(), heard: Heard::default(), complaints };
        plays.iter().for_each(|play| check.heard.add(&play.handlers));
        check.heard.add(&self.foreseen.handlers);
        check.heard.has_unknown |= self.foreseen.has_unknown;
        self.foreseen.handlers.iter().for_each(|handler| check.task(handler));
        check.steps(&self.foreseen.steps);
    }

    /// The same for what an include has brought while a run is on. Whether a handler is there is
    /// found out when it is notified.
    pub(super) fn check_brought(&self, brought: &Brought, complaints: &mut Vec<Diagnostic>) {
        let heard = Heard { has_unknown: true, ..Heard::default() };
        let mut check = Check { engine: self.engine(), heard, complaints };
        brought.handlers.iter().for_each(|handler| check.task(handler));
        check.steps(&brought.steps);
    }
}

/// The names that a notification can reach.
#[derive(Default)]
struct Heard {
    names: Vec<String>,
    /// More may come with an include.
    has_unknown: bool,
}

impl Heard {
    fn add(&mut self, handlers: &[Task]) {
        for handler in handlers {
            self.names.extend(handler.topics());
            self.names.extend(handler.full_name());
            self.names.push(handler.name.clone());
            // Its name is only known when it is rendered.
            self.has_unknown |= Engine::holds_expression(&Node::string(&handler.name));
        }
    }
}

impl Task {
    /// What it listens to, with and without the name of its role.
    pub(in crate::sinks::apply) fn topics(&self) -> Vec<String> {
        let Some(node) = self.keywords.get("listen") else { return Vec::new() };
        let items = node.as_list().unwrap_or(std::slice::from_ref(node));
        let texts = items.iter().filter_map(Node::scalar_text);
        let topics = texts.flat_map(|text| text.split(',')).map(str::trim);
        let in_role =
            |topic: &str| self.home.role.as_ref().map(|role| format!("{} : {topic}", role.name));
        topics.flat_map(|topic| [Some(topic.to_owned()), in_role(topic)]).flatten().collect()
    }

    /// `ROLE : NAME`, the other name of what belongs to a role.
    pub(in crate::sinks::apply) fn full_name(&self) -> Option<String> {
        self.home.role.as_ref().map(|role| format!("{} : {}", role.name, self.name))
    }
}

struct Check<'a> {
    engine: &'a Engine,
    heard: Heard,
    complaints: &'a mut Vec<Diagnostic>,
}

impl Check<'_> {
    fn steps(&mut self, steps: &[Step]) {
        each_task(steps, &mut |task| self.task(task));
    }

    fn task(&mut self, task: &Task) {
        let keywords = Keywords::read(&task.keywords, Some(self.engine), self.complaints);
        self.args(task);
        if keywords.other_user().is_some()
            && !tasks::find(&task.module).is_some_and(tasks::Module::runs_as)
        {
            let why = format!("`{}` cannot run as another user", task.module);
            let complaint = Diagnostic::new(why, task.span.clone());
            let hint = "commands can; of files, `owner`, `group` and `mode` say whose they are";
            self.complaints.push(complaint.hint(hint));
        }
        for node in &keywords.notify {
            let Some(name) = node.scalar_text().filter(|_| !Engine::holds_expression(node)) else {
                continue;
            };
            if self.heard.has_unknown || self.heard.names.iter().any(|heard| heard == name) {
                continue;
            }
            let complaint =
                Diagnostic::new(format!("there is no handler `{name}`"), node.span.clone());
            let near = nearest(name, self.heard.names.iter().map(String::as_str));
            self.complaints.push(match near {
                Some(near) => complaint.hint(format!("did you mean `{near}`?")),
                None => complaint.hint("handlers are listed under `handlers:`"),
            });
        }
    }

    fn args(&mut self, task: &Task) {
        let (engine, complaints) = (self.engine, &mut *self.complaints);
        let Some(module) = tasks::find(&task.module) else {
            let why = format!("there is no module `{}`", task.module);
            complaints.push(Diagnostic::new(why, task.span.clone()));
            return;
        };
        let args = match normalize(module.name, &module.spec, &task.args) {
            Ok(args) => args,
            Err(complaint) => {
                complaints.push(*complaint);
                return;
            }
        };
        let (args, conditions) = set_conditions_aside(&module.spec, &args);
        for (_, node) in &conditions {
            match node.as_list() {
                Some(list) => list.iter().for_each(|node| engine.check_condition(node, complaints)),
                None => engine.check_condition(node, complaints),
            }
        }
        engine.check(&args, complaints);
        let mut all = args;
        if !conditions.is_empty()
            && let Value::Map(entries) = &mut all.to_mut().value
        {
            entries.extend(conditions);
        }
        // With the task's own place, a missing parameter is shown where the task begins.
        if all.span.is_none() {
            all.to_mut().span.clone_from(&task.span);
        }
        match Params::read(module.name, &module.spec, &all, Stage::Written) {
            Ok(params) => complaints.extend((module.check)(&params)),
            Err(more) => complaints.extend(more),
        }
    }
}
