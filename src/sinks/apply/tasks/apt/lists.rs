//! The lists of packages that apt has fetched.

use super::super::{Failure, Outcome};
use super::apt_get::{AptGet, complaint};
use crate::host::machine::Machine;
use crate::host::machine::meta::Stamp;
use crate::host::machine::path::Follow;
use crate::sinks::apply::params::Params;
use std::path::Path;
use std::time::Duration;

/// Where they are, and what is written when all have been fetched, which not every host does.
const LISTS: &str = "/var/lib/apt/lists";
const STAMP: &str = "/var/lib/apt/periodic/update-success-stamp";

/// What they are called in a plan.
pub(super) const OF: &str = "lists of packages";
/// The property that is when they were fetched.
pub(super) const FETCHED: &str = "fetched";

/// How the lists are after a task's look at them.
pub(super) struct Lists {
    /// Whether the task is to see to them at all.
    is_wanted: bool,
    before: Option<Stamp>,
    after: Option<Stamp>,
    /// A dry run does not know what would come.
    is_unknown: bool,
}

/// Whether a task asks for new lists, if these are too old.
pub(super) fn is_wanted(params: &Params) -> bool {
    params.flag("update_cache", false) || params.int("cache_valid_time").unwrap_or(0) > 0
}

/// Fetches the lists, where the task wants that and they are not new enough.
pub(super) fn update(machine: &mut Machine, apt: &AptGet<'_>) -> Result<Lists, Failure> {
    let params = apt.params;
    let before = fetched(machine)?;
    let is_wanted = is_wanted(params);
    let mut lists = Lists { is_wanted, before, after: before, is_unknown: false };
    let valid_seconds = params.int("cache_valid_time").unwrap_or(0);
    let lasts = |stamp: Stamp| stamp.seconds.saturating_add(valid_seconds) >= machine.now().seconds;
    let is_new = valid_seconds > 0 && before.is_some_and(lasts);
    let is_foretold = machine.foretold_property(OF, FETCHED).is_some();
    if !is_wanted || is_new || (is_foretold && valid_seconds > 0) {
        return Ok(lists);
    }
    if !fetch(machine, apt)? {
        lists.is_unknown = true;
        return Ok(lists);
    }
    lists.after = fetched(machine)?;
    Ok(lists)
}

/// Fetches the lists, as often as the task says; `false` in a dry run, which does not.
pub(super) fn fetch(machine: &mut Machine, apt: &AptGet<'_>) -> Result<bool, Failure> {
    let params = apt.params;
    let command = apt.command("apt-get", &["-q", "-y", "update"]);
    let tries = params.int("update_cache_retries").unwrap_or(5);
    let longest = params.int("update_cache_retry_max_delay").unwrap_or(12);
    for attempt in 1.. {
        let Some(output) = machine.refresh(&command)? else { return Ok(false) };
        // It takes old lists for good enough, and says so only in words.
        let said = String::from_utf8_lossy(&output.stderr);
        let is_done = output.is_success() && !said.contains("Failed to fetch");
        if is_done {
            break;
        }
        if attempt >= tries {
            let why = complaint(&output).message;
            let why = format!("Failed to update apt cache after {tries} retries: {why}");
            return Err(Failure::new(why));
        }
        let seconds = 1_i64.checked_shl(u32::try_from(attempt - 1).unwrap_or(u32::MAX));
        let seconds = seconds.unwrap_or(longest).clamp(0, longest);
        machine.sleep(Duration::from_secs(seconds.unsigned_abs()))?;
    }
    Ok(true)
}

/// When the lists were fetched.
fn fetched(machine: &Machine) -> Result<Option<Stamp>, Failure> {
    for path in [STAMP, LISTS] {
        if let Some(found) = machine.stat(Path::new(path), Follow::Yes)? {
            return Ok(Some(found.modified));
        }
    }
    Ok(None)
}

impl Lists {
    fn is_changed(&self) -> bool {
        self.is_unknown || self.before != self.after
    }

    /// Whether they are all that the task is about.
    pub(super) fn is_all(&self, params: &Params) -> bool {
        self.is_wanted && !["autoclean", "autoremove"].iter().any(|name| params.flag(name, false))
    }

    /// Tells that they are new.
    pub(super) fn note(&self, machine: &mut Machine) -> Result<(), Failure> {
        let time = |stamp: Option<Stamp>| stamp.map(|stamp| stamp.seconds.to_string());
        let sides = match self.is_unknown {
            true => [time(self.before), Some("now".to_owned())],
            false if self.before == self.after => return Ok(()),
            // Within one second, too.
            false if time(self.before) == time(self.after) => [None, time(self.after)],
            false => [time(self.before), time(self.after)],
        };
        Ok(machine.note_property(Path::new(LISTS), OF, FETCHED, sides)?)
    }

    /// What a task returns of them.
    pub(super) fn told(&self, outcome: Outcome) -> Outcome {
        let time = self.after.map_or(0, |stamp| stamp.seconds);
        outcome.with("cache_updated", self.is_changed()).with("cache_update_time", time)
    }

    /// What a task returns that is about nothing else.
    pub(super) fn alone(&self, outcome: Outcome) -> Outcome {
        Outcome { unknown: self.is_unknown, ..self.told(outcome) }
    }
}
