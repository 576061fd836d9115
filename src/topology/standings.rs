//! How checks of metrics stand now, for those who ask; what changes goes through the pipeline.

use crate::expr::promql::Labels;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A component tells of so many series at most.
pub const MOST_SERIES: usize = 1000;

/// How the checks of all components stand. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Standings(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    next: u64,
    told: BTreeMap<u64, Vec<Standing>>,
}

/// How one series of a check, or one alert of a rule, stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The component that watches it.
    pub component: String,
    /// The check's or the rule's name.
    pub check: String,
    /// What tells the series from others of the check.
    pub series: Labels,
    /// `ok`, `warning`, `critical`, `unknown` or `pending`; of a rule, `ok`, `pending` or `firing`.
    pub state: String,
    /// Since when, in seconds since the epoch, where it has been found out.
    pub since_seconds: Option<f64>,
    /// The value that came last, where one has come since the start.
    pub value: Option<f64>,
}

impl Standings {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for what one component tells. While a reload goes on the old and the new one of a
    /// name have one each.
    pub fn place(&self) -> Place {
        let mut places = self.places();
        places.next += 1;
        Place { standings: self.clone(), number: places.next }
    }

    /// All of it, component by component.
    pub fn all(&self) -> Vec<Standing> {
        self.places().told.values().flatten().cloned().collect()
    }
}

/// Where one component tells how its checks stand; with it goes what was told.
#[derive(Debug)]
pub struct Place {
    standings: Standings,
    number: u64,
}

impl Place {
    /// Tells it, in the place of what was told before.
    pub fn tell(&self, standing: Vec<Standing>) {
        self.standings.places().told.insert(self.number, standing);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.standings.places().told.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_component_told_goes_with_it_and_not_with_its_successor() {
        let standings = Standings::default();
        let told = |check: &str| vec![Standing { check: check.into(), ..Standing::default() }];
        let (old, new) = (standings.place(), standings.place());
        old.tell(told("old"));
        new.tell(told("new"));
        drop(old);
        assert_eq!(standings.all(), told("new"));
        drop(new);
        assert_eq!(standings.all(), []);
    }
}
