//! The agent's own settings, and the secrets that a config refers to.

use super::Loading;
use crate::config::files::AgentFile;
use crate::config::secret_use::{first_mention, references};
use crate::config::secrets::resolve;
use crate::event::fault::Diagnostic;
use crate::event::secret::Secrets;
use crate::event::tree::{Node, Value};
use crate::expr::scope::Scope;
use std::collections::HashSet;
use std::time::Duration;

/// Secrets are looked up no more often than that.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

impl Loading<'_> {
    /// The name that the agent's file gives the host.
    pub(super) fn host(&mut self, agent: &Node, scope: &Scope) -> Option<String> {
        let written = agent.get("host")?;
        let rendered = self.surroundings.engine.render_node(written, scope);
        // What is wrong with it is reported with the rest of the file.
        rendered.ok()?.as_str().map(str::to_owned)
    }

    /// The agent's own settings. They are paths, sizes and times, and take no secrets; all but the
    /// login to a repository.
    pub(super) fn agent(
        &mut self,
        node: &Node,
        secret_names: &HashSet<String>,
        scope: &Scope,
    ) -> Option<AgentFile> {
        let login = node.get("git").and_then(|git| git.get("auth"));
        let mut others = node.clone();
        if let Some((key, mut git)) = others.take("git") {
            git.take("auth");
            if let Value::Map(entries) = &mut others.value {
                entries.push((key, git));
            }
        }
        if let Some(place) = first_mention(&others, secret_names) {
            let message = "no setting of the agent but `git.auth` takes a secret";
            self.complaints.push(Diagnostic::new(message, place));
            return None;
        }
        let before = self.complaints.len();
        let (secrets, _) = self.secrets(login.into_iter());
        if self.complaints.len() > before {
            return None;
        }
        match self.surroundings.engine.render_node(node, &scope.with_secrets(secrets)) {
            Ok(node) => {
                // It names no components.
                let is_whole = self.is_whole;
                let (git, secrets) = (node.get("git").cloned(), node.get("secrets").cloned());
                let interval = node.get("secrets_interval").and_then(|node| node.span.clone());
                let file: Option<AgentFile> = self.typed(node);
                self.is_whole = is_whole;
                let settings = file.as_ref().and_then(|file| file.git.as_ref());
                if let (Some(settings), Some(node)) = (settings, git)
                    && let Err((key, why)) = settings.check()
                {
                    let span = node.get(key).unwrap_or(&node).span.clone();
                    self.complaints.push(Diagnostic::new(why, span));
                }
                let often = file.as_ref().and_then(|file| file.secrets_interval);
                if often.is_some_and(|often| often.0 < SHORTEST_INTERVAL) {
                    let why = "`secrets_interval` is less than a second";
                    self.complaints.push(Diagnostic::new(why, interval).hint("such as `5m`"));
                }
                for (at, place) in file.iter().flat_map(|file| file.secrets.iter().enumerate()) {
                    if let Err((key, why)) = place.check() {
                        let node = secrets.as_ref().and_then(|list| list.as_list()?.get(at));
                        let span = node.and_then(|node| node.get(key).unwrap_or(node).span.clone());
                        self.complaints.push(Diagnostic::new(why, span));
                    }
                }
                file
            }
            Err(problem) => {
                self.complaints.push(problem.diagnostic());
                None
            }
        }
    }

    /// The secrets that `users` refer to, and their names; no secrets where one is missing.
    pub(super) fn secrets<'n>(
        &mut self,
        users: impl Iterator<Item = &'n Node>,
    ) -> (Secrets, Vec<String>) {
        let mut wanted = Vec::new();
        for found in users.map(references) {
            wanted.extend(found.names);
            self.complaints.extend(found.faults);
        }
        let names = wanted.iter().map(|reference| reference.name.clone()).collect();
        match resolve(&wanted, &self.surroundings.secret_places, &self.further) {
            Ok(secrets) => {
                self.surroundings.masker.add(&secrets);
                (secrets, names)
            }
            Err(complaints) => {
                self.complaints.extend(complaints);
                (Secrets::default(), names)
            }
        }
    }
}
