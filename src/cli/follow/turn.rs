//! Revisions that wait until it is this host's turn to take them.

use super::state::Waiting;
use super::{Candidate, Follow};
use crate::config::rollout::Turn;
use crate::host::clock;
use std::time::Duration;

impl Follow {
    /// Whether the candidate has to wait, by the turn that it gives this host. Then the active
    /// revision stays; a host that has none takes what there is. It is counted from when this host
    /// has first seen the revision: what the commit says of its time could be long ago.
    pub(in crate::cli) fn waits(&mut self, candidate: &Candidate, turn: Option<Turn>) -> bool {
        let Some(turn) = turn.filter(|_| self.state.active.is_some()) else { return false };
        let now_seconds = clock::now().as_secs();
        let before = self.state.waiting.take();
        let known = before.as_ref().filter(|waiting| waiting.commit == candidate.commit);
        let waiting = Waiting {
            commit: candidate.commit.clone(),
            seen_seconds: known.map_or(now_seconds, |known| known.seen_seconds.min(now_seconds)),
            after_seconds: turn.after.map(|after| after.as_secs()),
        };
        if waiting.is_over(now_seconds) {
            return false;
        }
        self.metrics.looked();
        self.metrics.refused(false);
        self.metrics.waiting(true);
        self.state.refused = None;
        if before.as_ref() != Some(&waiting) {
            let commit = &waiting.commit;
            let active = self.taken().map(|taken| taken.commit.clone());
            let place = turn.place;
            match turn.after {
                Some(after) => {
                    let seen = Duration::from_secs(now_seconds - waiting.seen_seconds);
                    let left_seconds = after.saturating_sub(seen).as_secs();
                    tracing::info!(
                        commit,
                        place,
                        left_seconds,
                        active,
                        "a revision waits for its turn"
                    );
                }
                None => {
                    tracing::info!(commit, place, active, "a revision is not for this host yet");
                }
            }
        }
        self.state.waiting = Some(waiting);
        self.save();
        true
    }

    /// The look was good, and the newest revision is the one that waits.
    pub(in crate::cli) fn is_still_waiting(&self) {
        self.metrics.looked();
    }
}
