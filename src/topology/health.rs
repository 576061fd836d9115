//! What troubles the components, in words: numbers alone say that something is wrong, and not what.

use crate::host::clock;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The troubles of all components. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<BTreeMap<Arc<str>, Trouble>>>);

/// Why a component is not simply at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What it does about it.
    pub state: State,
    /// Since when, as time since the epoch.
    pub since: Duration,
    /// What went wrong last; empty where nothing did.
    pub reason: String,
}

/// What a component does that is not simply at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It failed, and waits to be started again.
    Restarting,
    /// It is a sink whose last attempt failed, and tries again.
    Failing,
    /// It is a source that has come to its own end.
    Ended,
}

impl Health {
    fn troubles(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Trouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The component is in this state, for the reason given.
    pub(super) fn set(&self, name: &Arc<str>, state: State, reason: &str) {
        let mut troubles = self.troubles();
        let known = troubles.get(name).filter(|known| known.state == state);
        let since = known.map_or_else(clock::now, |known| known.since);
        let trouble = Trouble { state, since, reason: reason.to_owned() };
        troubles.insert(Arc::clone(name), trouble);
    }

    /// The component is in this state no more.
    pub(super) fn clear(&self, name: &str, state: State) {
        let mut troubles = self.troubles();
        if troubles.get(name).is_some_and(|known| known.state == state) {
            troubles.remove(name);
        }
    }

    /// The component is at work, or is there no more.
    pub(super) fn forget(&self, name: &str) {
        self.troubles().remove(name);
    }

    /// The components that are not simply at work, by name.
    pub fn all(&self) -> BTreeMap<Arc<str>, Trouble> {
        self.troubles().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_lasts_from_its_beginning_and_only_its_own_end_clears_it() {
        let health = Health::default();
        let name: Arc<str> = "logs.app".into();
        health.set(&name, State::Failing, "first");
        let since = health.all()[&name].since;
        health.set(&name, State::Failing, "second");
        let trouble = Trouble { state: State::Failing, since, reason: "second".to_owned() };
        assert_eq!(health.all()[&name], trouble);
        health.clear(&name, State::Restarting);
        assert_eq!(health.all().len(), 1);
        health.clear(&name, State::Failing);
        assert_eq!(health.all().len(), 0);
    }
}
