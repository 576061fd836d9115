//! The engine's counters by component, for those who look at one component at a time.

use crate::event::metric::{Family, SampleValue};
use std::collections::HashMap;

/// Values by metric and by component, summed over all other labels.
#[derive(Debug)]
pub struct Tally<'f>(HashMap<(&'f str, &'f str), f64>);

impl<'f> Tally<'f> {
    /// Of these families.
    pub fn of(families: &'f [Family]) -> Self {
        let mut sums = HashMap::new();
        for family in families {
            for sample in &family.samples {
                let SampleValue::Number(value) = sample.value else { continue };
                let is_name = |label: &str| label == "component" || label == "source";
                let owner = sample.labels.iter().find(|(label, _)| is_name(label));
                let owner = owner.map_or("", |(_, name)| name.as_ref());
                *sums.entry((family.name.as_ref(), owner)).or_insert(0.0) += value;
            }
        }
        Self(sums)
    }

    /// A count of one component, below 2^53; of none in particular where that is empty.
    pub fn count(&self, metric: &str, component: &str) -> u64 {
        self.0.get(&(metric, component)).map_or(0, |value| value.max(0.0) as u64)
    }
}
