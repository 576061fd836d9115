//! What tells one series from another.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The label that holds a series' name.
pub(super) const NAME: &str = "__name__";

/// Names and values, sorted by name; none is empty. A metric's name is the label `__name__`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Vec<(Arc<str>, Arc<str>)>);

impl Labels {
    /// The labels of a metric of this name.
    pub fn of<'a>(name: &str, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut made: Self = labels.into_iter().collect();
        made.set(NAME, name);
        made
    }

    /// The value of a label, empty where there is none.
    pub fn get(&self, name: &str) -> &str {
        self.find(name).map_or("", |at| &self.0[at].1)
    }

    /// The metric's name, empty where there is none.
    pub fn name(&self) -> &str {
        self.get(NAME)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Gives a label a value; an empty one takes it away.
    pub fn set(&mut self, name: &str, value: &str) {
        match (self.find(name), value) {
            (Ok(at), "") => drop(self.0.remove(at)),
            (Ok(at), value) => self.0[at].1 = value.into(),
            (Err(_), "") => {}
            (Err(at), value) => self.0.insert(at, (name.into(), value.into())),
        }
    }

    /// Those of these names only.
    #[must_use]
    pub fn only(&self, names: &[Arc<str>]) -> Self {
        Self(self.0.iter().filter(|(name, _)| names.contains(name)).cloned().collect())
    }

    /// Those of other names only.
    #[must_use]
    pub fn without(&self, names: &[Arc<str>]) -> Self {
        Self(self.0.iter().filter(|(name, _)| !names.contains(name)).cloned().collect())
    }

    /// All but the metric's name.
    #[must_use]
    pub fn nameless(&self) -> Self {
        Self(self.0.iter().filter(|(name, _)| &**name != NAME).cloned().collect())
    }

    /// Bytes held, about.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len() + 64).sum()
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(name))
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Labels {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(labels: I) -> Self {
        let mut made = Self::default();
        labels.into_iter().for_each(|(name, value)| made.set(name, value));
        made
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = BTreeMap::<String, String>::deserialize(deserializer)?;
        Ok(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect())
    }
}

/// As Prometheus writes a series: `up{job="node"}`.
impl std::fmt::Display for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())?;
        let labels = self.iter().filter(|(name, _)| *name != NAME);
        let shown: Vec<String> = labels.map(|(name, value)| format!("{name}={value:?}")).collect();
        if shown.is_empty() && !self.name().is_empty() {
            return Ok(());
        }
        write!(f, "{{{}}}", shown.join(", "))
    }
}
