//! What the agent does about the revisions of the repository that it follows.

use super::{Agent, Stopped};
use crate::cli::follow::{Candidate, Follow, Looked, log_refusal, of_config, still_right};
use crate::config::files::AgentFile;
use crate::config::load::{Config, Revision};
use crate::event::fault::Diagnostic;

/// What is loaded of a revision, and which one that is.
type Loaded = (Result<Config, Vec<Diagnostic>>, Option<Revision>);

impl Agent {
    /// What runs in the place of the active revision, where `config` asks for other signatures than
    /// before: that one counts for nothing any more where it is not signed so.
    pub(super) fn right_by_now(
        &mut self,
        config: &Result<Config, Vec<Diagnostic>>,
    ) -> Option<Loaded> {
        let (Ok(Config { agent: AgentFile { git: Some(settings), .. }, .. }), Some(follow)) =
            (config, &mut self.follow)
        else {
            return None;
        };
        if !follow.asks_for_other_signatures(settings) {
            return None;
        }
        follow.set(settings);
        self.still_right("other signatures are asked for")
    }

    /// Goes back from the active revision where its signature counts for nothing any more, since the
    /// files of keys were changed.
    pub(super) fn hold_against_other_keys(&mut self) {
        if !self.follow.as_mut().is_some_and(Follow::has_other_keys) {
            return;
        }
        tracing::info!("the keys have changed: the active revision is held against them");
        let (before, reason) = (self.commit(), "other keys count");
        let Some((config, revision)) = self.still_right(reason) else { return };
        if revision.as_ref().map(|revision| &revision.commit) == before.as_ref() {
            return;
        }
        if let Err(complaints) = self.take_over(config, revision) {
            log_refusal(reason, &complaints);
        }
        let refused = self.follow.as_ref().and_then(Follow::refused);
        self.board.refused(refused.map(|(commit, reason)| (Some(commit), reason)));
    }

    pub(super) fn commit(&self) -> Option<String> {
        self.revision.as_ref().map(|revision| revision.commit.clone())
    }

    /// What is to run by the signatures that count now: the active revision, or what comes in its
    /// place. Nothing where there is none.
    fn still_right(&mut self, reason: &str) -> Option<Loaded> {
        let masker = &self.env.masker;
        match still_right(&self.session, self.follow.as_mut()?, masker, reason) {
            Ok((config, revision)) => Some((Ok(config), Some(revision))),
            Err(None) => None,
            Err(Some(_)) => {
                tracing::error!(
                    "there is no other revision to go back to: runs what agent.yml says"
                );
                Some((self.session.load_at(None, masker), None))
            }
        }
    }

    /// Takes a new revision, or stays with the one that is active.
    pub(super) async fn looked(&mut self, looked: Looked) -> Result<(), Stopped> {
        let refused = match looked {
            Looked::Active => {
                self.board.refused(None);
                self.follow.iter_mut().for_each(Follow::is_newest);
                return Ok(());
            }
            Looked::Refused => {
                self.follow.iter().for_each(Follow::is_still_refused);
                return Ok(());
            }
            Looked::Waiting => {
                self.follow.iter().for_each(Follow::is_still_waiting);
                return Ok(());
            }
            Looked::Failed(commit, failure) => (commit, failure),
            Looked::New(candidate) => {
                let revision = self.follow.as_ref().map(|follow| follow.revision(&candidate));
                let config = self.load(revision.clone()).await?;
                let turn = config.as_ref().ok().and_then(|config| config.turn);
                if self.follow.as_mut().is_some_and(|follow| follow.waits(&candidate, turn)) {
                    self.board.refused(None);
                    return Ok(());
                }
                match self.take_over(config, revision) {
                    Ok(_) => {
                        self.taken(candidate);
                        return Ok(());
                    }
                    Err(complaints) => {
                        log_refusal("a new revision", &complaints);
                        (Some(candidate.commit), of_config(&complaints, &self.env.masker))
                    }
                }
            }
        };
        self.board.refused(Some((refused.0.clone(), &refused.1.message)));
        if let Some(follow) = &mut self.follow {
            follow.refuse(refused.0, &refused.1);
        }
        Ok(())
    }

    fn taken(&mut self, candidate: Candidate) {
        self.board.refused(None);
        if let Some(follow) = &mut self.follow {
            follow.take(candidate);
        }
    }

    /// A run may still be busy with files of an older revision.
    pub(super) fn prune(&mut self) {
        if !self.env.runs.is_running() {
            self.follow.iter_mut().for_each(Follow::prune);
        }
    }

    /// Follows what the config says from now on.
    pub(super) fn follow_on(&mut self, agent: &AgentFile) {
        match (&agent.git, &mut self.follow) {
            (Some(settings), Some(follow)) => follow.set(settings),
            (None, Some(_)) => {
                tracing::info!("no repository is followed any more");
                self.follow = None;
            }
            (Some(_), None) => tracing::warn!("`git` counts from the next start"),
            (None, None) => {}
        }
    }
}

/// What the next look shows; never anything where no repository is followed.
pub(super) async fn seen(follow: &mut Option<Follow>) -> Looked {
    match follow {
        Some(follow) => follow.seen().await,
        None => std::future::pending().await,
    }
}
