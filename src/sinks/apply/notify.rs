//! Handlers: which a task notifies, and running those that were.

use super::executor::{Executor, Next, name_of};
use super::job::Job;
use super::report::Status;
use super::tasks::Failure;
use super::walk::Frame;
use crate::event::task::Task;
use crate::event::tree::Node;
use crate::expr::scope::Scope;
use crate::host::machine::Machine;
use crate::host::machine::fault::Fault;
use std::collections::BTreeSet;

impl Executor<'_> {
    /// Runs notified handlers, in the order in which they are written, until none is left: a
    /// handler may notify another. One that fails stays notified.
    pub(super) fn flush(&mut self, frame: &Frame) -> Next {
        let frame = Frame { is_handler: true, ..frame.clone() };
        while let Some(at) = self.play.notified.pop_first() {
            let Some(handler) = self.play.handlers.get(at).cloned() else { continue };
            let next = self.step(&handler, &frame);
            if matches!(next, Next::Failed | Next::Stop) {
                if self.report.tasks.last().is_some_and(|task| task.status == Status::Failed) {
                    self.play.notified.insert(at);
                }
                self.save_pending();
                return next;
            }
            self.save_pending();
        }
        Next::GoOn
    }

    /// Writes down which handlers of this play are still to run.
    pub(super) fn save_pending(&mut self) {
        let own: BTreeSet<String> = self.play.handlers.iter().map(|it| name_of(it)).collect();
        let mut names = self.inputs.pending.names();
        names.retain(|name| !own.contains(name));
        names.extend(self.pending_names());
        self.remember(names);
    }
}

impl Job<'_> {
    /// The handlers, by their place, that a turn with the names in `scope` notifies if it changes
    /// something: of those with a name the last, and all that listen to it.
    pub(super) fn handlers_of(&self, scope: &Scope) -> Result<Vec<usize>, Failure> {
        let engine = scope.engine();
        let mut all = Vec::new();
        for node in &self.keywords.notify {
            let names = engine.render_node(node, scope)?;
            let names = names.as_list().unwrap_or(std::slice::from_ref(&names));
            for name in names.iter().filter_map(Node::scalar_text) {
                let is_named = |handler: &Task| {
                    handler.name == name
                        || handler.full_name().is_some_and(|full| full == name)
                        || engine
                            .render(&handler.name, scope)
                            .is_ok_and(|rendered| rendered.as_str() == Some(name))
                };
                let mut found: Vec<usize> = Vec::new();
                found.extend(self.handlers.iter().rposition(|handler| is_named(handler)));
                let listening = self.handlers.iter().enumerate();
                let hears = |handler: &Task| handler.topics().iter().any(|topic| topic == name);
                found.extend(listening.filter(|(_, it)| hears(it)).map(|(at, _)| at));
                if found.is_empty() {
                    return Err(Failure::new(format!("there is no handler `{name}`")));
                }
                all.extend(found);
            }
        }
        Ok(all)
    }

    /// Has the notification of a turn written down before its first effect, so that a crash cannot
    /// part the two, and gives the handlers that it notifies. One that cannot be worked out is told
    /// before anything is changed.
    pub(super) fn announce(
        &self,
        machine: &mut Machine,
        scope: &Scope,
    ) -> Result<Vec<usize>, Failure> {
        let found = self.handlers_of(scope)?;
        if found.is_empty() {
            return Ok(found);
        }
        let handlers = found.iter().filter_map(|at| self.handlers.get(*at));
        let names: BTreeSet<String> = handlers.map(|handler| name_of(handler)).collect();
        let pending = self.pending.clone();
        machine.before_next_change(Some(Box::new(move || {
            pending.add(&names).map_err(|error| {
                let why =
                    "which handlers are to run cannot be written down, so that nothing is changed";
                Fault::new(format!("{why}: {error}"))
            })
        })));
        Ok(found)
    }
}
