//! What the agent begins with: where it follows a repository, the revision that was active last.

use super::{Follow, Looked, of_config};
use crate::cli::session::{Session, data_dir};
use crate::config::load::{Config, Revision};
use crate::event::fault::Diagnostic;
use crate::event::secret::Masker;

/// What the agent begins with.
pub(in crate::cli) struct Start {
    pub(in crate::cli) config: Config,
    pub(in crate::cli) revision: Option<Revision>,
    pub(in crate::cli) follow: Option<Follow>,
}

/// With the revision that was active last, where `config` follows a repository; run once, with the
/// newest one if that can be had. One that is not right any more is not run: then it is what agent.yml
/// says, until that revision is right again or there is a better one.
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
        return Ok(Start { config, revision: None, follow: None });
    };
    let mut follow = Follow::open(settings, &data_dir(&config.agent))?;
    if is_once {
        match follow.look().run() {
            Looked::Active => follow.is_newest(),
            Looked::Refused => follow.is_still_refused(),
            Looked::Failed(commit, failure) => follow.refuse(commit, &failure),
            Looked::New(candidate) => {
                let revision = Some(follow.revision(&candidate));
                match session.load_at(revision.as_ref(), masker) {
                    Ok(config) => {
                        follow.take(candidate);
                        log_notes(&config);
                        return Ok(Start { config, revision, follow: Some(follow) });
                    }
                    Err(complaints) => {
                        log_refusal("a new revision", &complaints);
                        follow.refuse(Some(candidate.commit), &of_config(&complaints));
                    }
                }
            }
        }
    }
    let revision = follow.active();
    if is_once && revision.is_none() {
        return Err("there is no revision of the repository to run".into());
    }
    let Some(active) = &revision else {
        return Ok(Start { config, revision, follow: Some(follow) });
    };
    match session.load_at(Some(active), masker) {
        Ok(config) => {
            tracing::info!(commit = active.commit, "begins with the revision that was active last");
            log_notes(&config);
            Ok(Start { config, revision, follow: Some(follow) })
        }
        Err(complaints) if is_once => {
            log_refusal("the start", &complaints);
            Err(format!("the revision {} is not right any more", active.commit))
        }
        Err(complaints) => {
            log_refusal("the start", &complaints);
            Ok(Start { config, revision, follow: Some(follow) })
        }
    }
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
