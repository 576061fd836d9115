//! What tells the samples of a family apart.

use std::ops::Deref;
use std::sync::Arc;

use super::Text;

/// Label names and values, sorted by name. All samples of one thing share them: a clone costs no
/// memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(
    /// Nothing where there are none.
    Option<Arc<[(Text, Text)]>>,
);

impl Labels {
    /// Whether they are the very ones, and so read the same. `false` says nothing.
    pub fn is_very(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }

    /// The same and one more.
    #[must_use]
    pub fn with(&self, name: &'static str, value: &str) -> Self {
        let mut pairs = self.to_vec();
        let place = pairs.partition_point(|(known, _)| &**known < name);
        pairs.insert(place, (name.into(), Text::shared(value)));
        pairs.into()
    }
}

impl Deref for Labels {
    type Target = [(Text, Text)];

    fn deref(&self) -> &Self::Target {
        self.0.as_deref().unwrap_or_default()
    }
}

impl From<Vec<(Text, Text)>> for Labels {
    fn from(pairs: Vec<(Text, Text)>) -> Self {
        Self((!pairs.is_empty()).then(|| pairs.into()))
    }
}

impl<const N: usize> From<[(Text, Text); N]> for Labels {
    fn from(pairs: [(Text, Text); N]) -> Self {
        Self((N > 0).then(|| Arc::new(pairs) as _))
    }
}

impl FromIterator<(Text, Text)> for Labels {
    fn from_iter<I: IntoIterator<Item = (Text, Text)>>(pairs: I) -> Self {
        pairs.into_iter().collect::<Vec<_>>().into()
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = &'a (Text, Text);
    type IntoIter = std::slice::Iter<'a, (Text, Text)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_labels_are_no_labels_however_they_were_made() {
        let none = Labels::default();
        assert!(none.is_empty());
        assert_eq!(Labels::from([]), none);
        assert_eq!(Labels::from(Vec::new()), none);
        let two = none.with("c", "2").with("a", "1");
        assert_eq!(two, [("a".into(), "1".into()), ("c".into(), "2".into())].into());
        assert!(none < Labels::from([("a".into(), "".into())]));
    }
}
