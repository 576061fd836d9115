//! What a start may begin with: the revision that was active last, or the one before it.

use super::state::Refused;
use super::{Follow, look, revision};
use crate::config::load::Revision;
use crate::net::git::{Failure, Reason, Store, fingerprint};
use std::time::{Duration, Instant};

/// How long it may take to look at a signature.
const TIMEOUT: Duration = Duration::from_secs(30);

impl Follow {
    /// The revision that was active last, as far as it is still there.
    pub(super) fn last(&self) -> Option<Revision> {
        let taken = self.state.active.as_ref().filter(|taken| taken.is_named())?;
        let is_there = look::place(&self.dir, &taken.commit).is_dir();
        is_there.then(|| revision(&self.dir, &self.settings, &taken.commit))
    }

    /// Whether that revision is signed as one has to be by now: keys may have been taken out since,
    /// or signatures not been asked for.
    ///
    /// # Errors
    /// Where it is not. What the store cannot tell any more is as it was when it was taken, and so
    /// is all while the keys cannot be read.
    pub(super) fn vouched(&self) -> Result<(), Failure> {
        let (Some(taken), Some(verify)) = (&self.state.active, &self.settings.verify) else {
            return Ok(());
        };
        // Whoever broke the file of keys meant to take no revision away that counted.
        if let Err(failure) = fingerprint(verify)
            && taken.signer.is_some()
        {
            let commit = &taken.commit;
            tracing::error!(commit, "its signature cannot be looked at again: {failure}");
            return Ok(());
        }
        let signer = Store::open(&self.dir.join("store")).and_then(|store| {
            let tip = store.kept(&taken.commit, taken.tag.as_deref())?;
            store.signer(tip, &self.settings, Instant::now() + TIMEOUT)
        });
        match signer {
            Err(failure) if failure.reason == Reason::Signature || taken.signer.is_none() => {
                Err(Failure { reason: Reason::Signature, ..failure })
            }
            Err(failure) => {
                let commit = &taken.commit;
                tracing::warn!(commit, "its signature is not looked at again: {failure}");
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    /// Does not begin with the revision that was active last, but with the one before it. `false`
    /// where that is not there. Only what is wrong with its config may be right again soon: without
    /// one before it that one stays the active one.
    pub(super) fn fall_back(&mut self, failure: &Failure) -> bool {
        let Some(last) = self.state.active.take() else { return false };
        let is_there = |commit: &str| look::place(&self.dir, commit).is_dir();
        let earlier = self.state.earlier.take();
        let earlier = earlier.filter(|taken| taken.is_named() && is_there(&taken.commit));
        let commit = last.commit.clone();
        let begins_with = earlier.as_ref().map(|taken| taken.commit.clone());
        let reason = failure.reason.name();
        tracing::error!(
            commit,
            reason,
            begins_with,
            "does not begin with this revision: {failure}"
        );
        if earlier.is_none() && failure.reason == Reason::Config {
            self.state.active = Some(last);
            return false;
        }
        self.state.active = earlier;
        self.note_refusal(commit, failure);
        self.metrics.active(self.taken());
        self.save();
        self.state.active.is_some()
    }

    /// Remembers that this commit was refused, over restarts too.
    pub(super) fn note_refusal(&mut self, commit: String, failure: &Failure) {
        self.metrics.refused(true);
        self.metrics.waiting(false);
        let (reason, message) = (failure.reason.name().to_owned(), failure.message.clone());
        self.state.waiting = None;
        self.state.refused = Some(Refused { commit, reason, message, under: self.rules() });
    }

    /// What revisions are held against, beside the host itself.
    pub(super) fn rules(&self) -> String {
        let (followed, verify) = (self.settings.followed(), &self.settings.verify);
        let (version, rewind) = (env!("CARGO_PKG_VERSION"), self.settings.rewind);
        format!("{version} {followed} {verify:?} {rewind:?} {}", self.keys)
    }

    /// The refusal that still holds.
    pub(super) fn refusal(&self) -> Option<&Refused> {
        self.state.refused.as_ref().filter(|refused| refused.under == self.rules())
    }
}
