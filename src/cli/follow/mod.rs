//! Following a repository: which of its revisions the host is kept as.
//!
//! In `git/` of the data directory: `store/` is what was fetched, `revisions/COMMIT/` the files of
//! a commit that was checked, and `state.json` says which of those is active. Each is whole at any
//! moment, and what is lost but for the active revision can be fetched again.

mod look;
mod metrics;
mod past;
mod start;
mod state;
mod turn;

pub(super) use look::{Candidate, Look, Looked};
pub(super) use start::{Start, log_notes, log_refusal, start, still_right};

use crate::config::load::Revision;
use crate::event::fault::Diagnostic;
use crate::event::secret::Masker;
use crate::net::git::settings::Settings;
use crate::net::git::{Failure, Reason, fingerprint};
use crate::topology::telemetry::Telemetry;
use metrics::Metrics;
use state::{State, Taken};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// The revision that the agent has taken last, where it has taken one of what these settings
/// follow.
pub(super) fn active(settings: &Settings, data_dir: &Path) -> io::Result<Option<Revision>> {
    let dir = directory(data_dir);
    Ok(State::load(&dir)?.usable(settings).map(|taken| revision(&dir, settings, &taken.commit)))
}

fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join("git")
}

fn revision(dir: &Path, settings: &Settings, commit: &str) -> Revision {
    let top = look::place(dir, commit);
    let root = settings.path.as_ref().map_or_else(|| top.clone(), |path| top.join(path));
    Revision { commit: commit.to_owned(), root }
}

/// What follows.
pub(super) struct Follow {
    settings: Settings,
    dir: PathBuf,
    state: State,
    metrics: Metrics,
    /// What was complained about last, so that it is not said again each minute.
    said: Option<String>,
    looking: Option<JoinHandle<Looked>>,
    /// The keys that signatures are held against, as they were before the last look.
    keys: String,
    /// Those by which the active revision was found to be signed as it has to be.
    keys_of_active: String,
    next: Instant,
    /// Whether the look after the one that is under way comes at once.
    is_urgent: bool,
    /// Whether it is worked out anew whose turn it is: groups or facts may be others.
    is_new_turn: bool,
    /// Whether what is active is not written down.
    is_unsaved: bool,
    _lock: File,
}

impl Follow {
    /// Begins where the last run was.
    ///
    /// # Errors
    /// Where the directory cannot be used, or another agent uses it.
    pub(super) fn open(settings: Settings, data_dir: &Path) -> Result<Self, String> {
        let dir = directory(data_dir);
        let place = dir.display();
        let lock = lock(&dir).map_err(|error| format!("`{place}`: {error}"))?;
        let state = State::load(&dir).unwrap_or_else(|error| {
            tracing::warn!(%error, "which revision was active is not known any more");
            State::default()
        });
        if settings.url.is_unprotected() && settings.verify.is_none() {
            tracing::warn!(
                url = %settings.url,
                "anybody on the way can change what comes from there; use https: or ssh:, or `verify`"
            );
        }
        let metrics = Metrics::new().map_err(|error| error.to_string())?;
        let keys = keys(&settings);
        let follow = Self {
            settings,
            dir,
            state,
            metrics,
            said: None,
            looking: None,
            keys_of_active: keys.clone(),
            keys,
            next: Instant::now(),
            is_urgent: false,
            is_new_turn: true,
            is_unsaved: false,
            _lock: lock,
        };
        follow.metrics.active(follow.taken());
        if let Some(refused) = follow.refusal() {
            let (commit, reason) = (&refused.commit, &refused.reason);
            tracing::warn!(commit, reason, "this revision stays refused: {}", refused.message);
        }
        follow.metrics.refused(follow.refusal().is_some());
        Ok(follow)
    }

    /// Shows how it goes.
    pub(super) fn register(&self, telemetry: &Telemetry) -> Result<(), prometheus::Error> {
        self.metrics.register(telemetry)
    }

    fn taken(&self) -> Option<&Taken> {
        self.state.usable(&self.settings)
    }

    /// Whether these settings ask for other signatures than those so far.
    pub(super) fn asks_for_other_signatures(&self, settings: &Settings) -> bool {
        self.settings.verify != settings.verify
    }

    /// Whether the keys are others than those by which the active revision counts: then it has to
    /// be looked at again. While nobody can tell whose signature counts, that one stays.
    pub(super) fn has_other_keys(&mut self) -> bool {
        let Some(verify) = &self.settings.verify else { return false };
        if self.keys == self.keys_of_active || fingerprint(verify).is_err() {
            return false;
        }
        self.keys_of_active.clone_from(&self.keys);
        true
    }

    /// From here on follows what these settings say.
    pub(super) fn set(&mut self, settings: &Settings) {
        if self.settings != *settings {
            self.settings = settings.clone();
            self.keys = keys(settings);
            self.again();
        }
    }

    /// Looks as soon as it can, also at a revision that was refused: what it lacked may be there.
    pub(super) fn again(&mut self) {
        self.state.refused = None;
        self.is_new_turn = true;
        self.next = Instant::now();
        self.is_urgent = self.looking.is_some();
    }

    /// One look, to be had on a thread that may wait.
    pub(super) fn look(&self) -> Look {
        // Whoever follows something else from now on has no history with it.
        let is_the_same = self.state.followed == self.settings.followed();
        let active = self.taken().filter(|_| is_the_same).map(|taken| taken.commit.clone());
        Look {
            settings: self.settings.clone(),
            dir: self.dir.clone(),
            active,
            refused: self.refusal().map(|refused| refused.commit.clone()),
            waiting: self.state.waiting.clone().filter(|_| !self.is_new_turn),
        }
    }

    /// Waits until it is time, looks, and says what was seen. To let go of it half way loses
    /// nothing.
    pub(super) async fn seen(&mut self) -> Looked {
        if self.looking.is_none() {
            sleep_until(self.next).await;
            // Before the look, which may see newer ones: then the next one makes up for it.
            self.keys = keys(&self.settings);
        }
        let look = self.look();
        let looking =
            self.looking.get_or_insert_with(|| tokio::task::spawn_blocking(move || look.run()));
        let seen = looking.await;
        self.looking = None;
        self.is_new_turn = self.is_urgent;
        self.next = Instant::now();
        if !std::mem::take(&mut self.is_urgent) {
            self.next += jittered(self.settings.interval.0);
        }
        seen.unwrap_or_else(|_| {
            Looked::Failed(None, Failure::new(Reason::Fetch, "the look broke off"))
        })
    }

    /// The revision that the candidate would be.
    pub(super) fn revision(&self, candidate: &Candidate) -> Revision {
        revision(&self.dir, &self.settings, &candidate.commit)
    }

    /// The look was good, and the active revision is the newest.
    pub(super) fn is_newest(&mut self) {
        self.metrics.looked();
        self.metrics.refused(false);
        self.metrics.waiting(false);
        if self.state.refused.take().is_some() | self.state.waiting.take().is_some() {
            self.save();
        }
        if self.said.take().is_some() {
            tracing::info!("the active revision is the newest");
        }
    }

    /// The look was good, and the newest revision is the one that was refused.
    pub(super) fn is_still_refused(&self) {
        self.metrics.looked();
    }

    /// The candidate is active now. What cannot be written down is said: then the next start begins
    /// with an older one.
    pub(super) fn take(&mut self, candidate: Candidate) {
        let Candidate { commit, tag, followed, about, signer, left_out } = candidate;
        self.metrics.looked();
        self.metrics.refused(false);
        self.metrics.waiting(false);
        self.said = None;
        for path in left_out {
            tracing::warn!(path, "a submodule is left out");
        }
        let (author, subject) = (about.author, about.subject);
        tracing::info!(commit, author, signer, subject, "this revision is active");
        let earlier = self.state.active.take();
        let active = Some(Taken { commit, author, subject, signer, tag });
        self.state = State { followed, active, earlier, ..State::default() };
        self.metrics.active(self.taken());
        self.save();
    }

    /// The revision that is refused as things are, and why.
    pub(super) fn refused(&self) -> Option<(String, &str)> {
        self.refusal().map(|refused| (refused.commit.clone(), &*refused.message))
    }

    /// A look failed, or what it found is not taken.
    pub(super) fn refuse(&mut self, commit: Option<String>, failure: &Failure) {
        self.metrics.failed(failure.reason);
        let Failure { reason, message } = failure;
        let text = format!("{commit:?} {message}");
        let is_news = self.said.as_ref() != Some(&text);
        let active = self.taken().map(|taken| taken.commit.clone());
        let reason_name = reason.name();
        if let Some(commit) = commit.filter(|_| reason.is_of_the_commit()) {
            self.metrics.looked();
            tracing::error!(commit, reason = reason_name, active, "revision refused: {message}");
            self.note_refusal(commit, failure);
            self.save();
        } else if is_news {
            let url = self.settings.url.to_string();
            let reason = reason_name;
            tracing::warn!(url, reason, active, "no look at the repository: {message}");
        }
        self.said = Some(text);
    }

    /// Removes the revisions that nobody needs any more: all but the active one, the one before,
    /// which a run may still be busy with, and one that waits.
    pub(super) fn prune(&mut self) {
        // The next start may need what was active when that was written down last.
        if self.is_unsaved {
            self.save();
        }
        if self.is_unsaved {
            return;
        }
        let State { active, earlier, waiting, .. } = &self.state;
        let taken = [active, earlier].map(|it| it.as_ref().map(|taken| &taken.commit));
        let waiting = waiting.as_ref().map(|waiting| &waiting.commit);
        let needed = [taken[0], taken[1], waiting];
        if let Err(error) = look::prune(&self.dir, &needed) {
            tracing::warn!(%error, "old revisions stay");
        }
    }

    fn save(&mut self) {
        let saved = self.state.save(&self.dir);
        if let Err(error) = &saved
            && !self.is_unsaved
        {
            tracing::error!(%error, "the next start will not know which revision is active");
        }
        self.is_unsaved = saved.is_err();
    }
}

/// Has one agent alone work in the directory.
fn lock(dir: &Path) -> io::Result<File> {
    fs::create_dir_all(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    let path = dir.join("lock");
    let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            Err(io::Error::other("another agent follows its repository there"))
        }
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// What tells the keys of now from others; where they cannot be had, why.
fn keys(settings: &Settings) -> String {
    let keys = settings.verify.as_ref().map(fingerprint);
    keys.map_or_else(String::new, |keys| keys.unwrap_or_else(|failure| failure.message))
}

/// A tenth more or less.
fn jittered(interval: Duration) -> Duration {
    let mut byte = [128];
    // Without random numbers it is the interval as it is.
    getrandom::getrandom(&mut byte).ok();
    interval.mul_f64(0.9 + f64::from(byte[0]) / 255.0 / 5.0)
}

/// What is wrong with the config of a revision, in one line, which may be written down.
pub(super) fn of_config(complaints: &[Diagnostic], masker: &Masker) -> Failure {
    let first = complaints.first().map(ToString::to_string).unwrap_or_default();
    let more = match complaints.len() {
        0 | 1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    Failure::new(Reason::Config, masker.mask(&format!("{first}{more}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_spread_around_the_interval() {
        let minute = Duration::from_secs(60);
        for _ in 0..100 {
            let next = jittered(minute).as_secs_f64();
            assert!((54.0..=66.1).contains(&next), "{next}");
        }
    }
}
