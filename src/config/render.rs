//! Fills in what is known when the config is loaded: facts, variables, secrets, the host's name.

use super::component::Reader;
use super::lower::Role;
use super::secret_use::first_mention;
use crate::event::fault::Diagnostic;
use crate::event::tree::{Node, Span, Value};
use crate::expr::jinja::is_template;
use crate::expr::scope::Scope;

/// Settings that become names of files, objects or indices: a secret has no place there. Those of sinks
/// are expanded per record (time codes, fields).
const PATH_LIKE: [&str; 7] = ["path", "prefix", "key", "index", "include", "exclude", "paths"];

/// One reading of one component.
pub(super) struct Filling<'a> {
    pub(super) reader: &'a Reader<'a>,
    /// The reader's scope, or the one in which secrets are hidden.
    pub(super) scope: &'a Scope,
    pub(super) role: Role,
    pub(super) complaints: Vec<Diagnostic>,
}

impl Filling<'_> {
    /// Fills in the settings below `node`, which are those of a `type_name`. A transform's are left
    /// alone, since its expressions are about records; only secrets are looked for. The one that
    /// takes a secret is the key under which `redact` hashes; the labels that `threshold` adds are
    /// filled in too.
    pub(super) fn fill(&mut self, node: &mut Node, type_name: Option<&str>) {
        if self.role == Role::Transform {
            let key = if type_name == Some("redact") { node.take("key") } else { None };
            if let Some(place) = first_mention(node, self.reader.secret_names) {
                let message = "a secret would be written into records here";
                self.complaints.push(misplaced(message.to_owned(), place));
            }
            // What a server would add to series is known before there is one.
            let labels = if type_name == Some("threshold") { node.take("labels") } else { None };
            for (name, mut known) in key.into_iter().chain(labels) {
                self.below(&mut known, None);
                if let Value::Map(entries) = &mut node.value {
                    entries.push((name, known));
                }
            }
        } else {
            self.below(node, None);
        }
    }

    fn below(&mut self, node: &mut Node, key: Option<&str>) {
        match &mut node.value {
            Value::List(items) => items.iter_mut().for_each(|item| self.below(item, key)),
            Value::Map(entries) => {
                for (key, node) in entries {
                    self.below(node, Some(&key.name));
                }
            }
            Value::String(text) if is_template(text) => match self.reader.engine.names_in(text) {
                Ok(names) => self.text(node, key, &names),
                Err(problem) => self.complaints.push(problem.at(node.span.as_ref())),
            },
            _ => {}
        }
    }

    fn text(&mut self, node: &mut Node, key: Option<&str>, names: &[String]) {
        let path_like = key.is_some_and(|key| PATH_LIKE.contains(&key));
        let secret = first_mention(node, self.reader.secret_names);
        match secret {
            Some(place) if path_like => {
                let key = key.unwrap_or_default();
                let message = format!("a secret in `{key}` would show in names");
                self.complaints.push(misplaced(message, place));
            }
            _ if self.knows_all(names, path_like) => self.fill_in(node, path_like),
            Some(place) => {
                let message = "a secret and a record's field cannot stand in one text";
                self.complaints.push(Diagnostic::new(message, place));
            }
            // The component renders it, record by record.
            None => {}
        }
    }

    fn knows_all(&self, names: &[String], path_like: bool) -> bool {
        names.iter().all(|name| match name.as_str() {
            "facts" | "vars" | "secrets" | "host" => true,
            // In a path a bare name is a record's field.
            name => {
                let field = path_like && self.role == Role::Sink;
                !field && name != "source" && !self.scope.lookup(name).is_undefined()
            }
        })
    }

    fn fill_in(&mut self, node: &mut Node, path_like: bool) {
        let percent_signs = |node: &Node| {
            node.scalar_text().map_or(0, |text| text.bytes().filter(|byte| *byte == b'%').count())
        };
        match self.reader.engine.render_node(node, self.scope) {
            Ok(filled)
                if path_like
                    && self.role == Role::Sink
                    && percent_signs(&filled) > percent_signs(node) =>
            {
                let message = "a value with a `%` would be read as a time code here";
                self.complaints.push(Diagnostic::new(message, node.span.clone()));
            }
            Ok(filled) => node.value = filled.value,
            Err(problem) => self.complaints.push(problem.diagnostic()),
        }
    }
}

fn misplaced(message: String, place: Option<Span>) -> Diagnostic {
    Diagnostic::new(message, place).hint("secrets belong into addresses, credentials and tasks")
}
