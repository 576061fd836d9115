//! What the agent begins with: where it follows a repository, the revision that was active last.

use super::{Candidate, Follow, Looked, of_config};
use crate::cli::session::{Session, data_dir};
use crate::config::load::{Config, Revision};
use crate::event::fault::Diagnostic;
use crate::event::secret::Masker;

/// What the agent begins with.
pub(in crate::cli) struct Start {
    pub(in crate::cli) config: Config,
    pub(in crate::cli) revision: Option<Revision>,
    pub(in crate::cli) follow: Option<Follow>,
    /// A revision that is active once all of it runs.
    pub(in crate::cli) candidate: Option<Candidate>,
}

/// With the revision that was active last, where `config` follows a repository; run once, with the
/// newest one if that can be had. One that is not right any more, or not signed as it has to be by
/// now, is not run: then it is the one before it, and where that is not there what agent.yml says,
/// until there is a better one.
///
/// # Errors
/// Where the data directory cannot be used, or there is nothing to run once.
pub(in crate::cli) fn start(
    session: &Session,
    config: Config,
    masker: &Masker,
    is_once: bool,
) -> Result<Start, String> {
    let Some(settings) = config.agent.git.clone() else {
        return Ok(Start { config, revision: None, follow: None, candidate: None });
    };
    let mut follow = Follow::open(settings, &data_dir(&config.agent))?;
    if is_once && let Some((candidate, config)) = newest(&mut follow, session, masker) {
        let revision = Some(follow.revision(&candidate));
        log_notes(&config);
        return Ok(Start { config, revision, follow: Some(follow), candidate: Some(candidate) });
    }
    let not_right = match still_right(session, &mut follow, masker, "the start") {
        Ok((config, last)) => {
            let commit = &last.commit;
            tracing::info!(commit, "begins with the revision that was active last");
            log_notes(&config);
            let revision = Some(last);
            return Ok(Start { config, revision, follow: Some(follow), candidate: None });
        }
        Err(not_right) => not_right,
    };
    if is_once {
        return Err(match not_right {
            Some(commit) => format!("the revision {commit} is not right any more"),
            None => "there is no revision of the repository to run".into(),
        });
    }
    if not_right.is_some() {
        tracing::error!("there is no other revision to begin with: runs what agent.yml says");
    }
    // One whose config is not right now may be right at the next reload.
    let revision = follow.last();
    Ok(Start { config, revision, follow: Some(follow), candidate: None })
}

/// The revision that was active last with its config, where that is right and signed as it has to be
/// by now; else the one before it. `reason` says why that is looked at.
///
/// # Errors
/// There is none: the commit that is not right any more, where there was one.
pub(in crate::cli) fn still_right(
    session: &Session,
    follow: &mut Follow,
    masker: &Masker,
    reason: &str,
) -> Result<(Config, Revision), Option<String>> {
    let mut not_right = None;
    while let Some(last) = follow.last() {
        let loaded = follow.vouched().and_then(|()| {
            session.load_at(Some(&last), masker).map_err(|complaints| {
                log_refusal(reason, &complaints);
                of_config(&complaints, masker)
            })
        });
        match loaded {
            Ok(config) => return Ok((config, last)),
            Err(failure) => {
                not_right = Some(last.commit);
                if !follow.fall_back(&failure) {
                    break;
                }
            }
        }
    }
    Err(not_right)
}

/// The newest revision with its config, where it can be had, is right, and it is this host's turn.
fn newest(follow: &mut Follow, session: &Session, masker: &Masker) -> Option<(Candidate, Config)> {
    match follow.look().run() {
        Looked::Active => follow.is_newest(),
        Looked::Refused => follow.is_still_refused(),
        Looked::Waiting => follow.is_still_waiting(),
        Looked::Failed(commit, failure) => follow.refuse(commit, &failure),
        Looked::New(candidate) => {
            match session.load_at(Some(&follow.revision(&candidate)), masker) {
                Ok(config) if follow.waits(&candidate, config.turn) => {}
                Ok(config) => return Some((candidate, config)),
                Err(complaints) => {
                    log_refusal("a new revision", &complaints);
                    follow.refuse(Some(candidate.commit), &of_config(&complaints, masker));
                }
            }
        }
    }
    None
}

/// Says what is worth knowing of a config.
pub(in crate::cli) fn log_notes(config: &Config) {
    for note in &config.notes {
        tracing::warn!("{note}");
    }
}

/// Says what is wrong with a config, and why it was looked at.
pub(in crate::cli) fn log_refusal(reason: &str, complaints: &[Diagnostic]) {
    for complaint in complaints {
        let hint = complaint.hint.as_deref();
        tracing::error!(reason, complaint = %complaint, hint, "config refused");
    }
}
