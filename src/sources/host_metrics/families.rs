//! Families as they come together while a collector reads: each is made when its first sample
//! comes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use crate::event::metric::{Family, MetricKind, Text};
use crate::host::sysfs;

/// Label names and values of one sample.
pub type Labels = Vec<(Text, Text)>;

/// The labels given, which must be sorted by name.
pub fn labels<const N: usize>(pairs: [(&'static str, &str); N]) -> Labels {
    pairs.map(|(name, value)| (Cow::Borrowed(name), Cow::Owned(value.to_owned()))).into()
}

/// Families by name.
#[derive(Debug, Default)]
pub struct Families {
    places: HashMap<Text, usize>,
    list: Vec<Family>,
}

impl Families {
    /// Adds a sample to the family `name`. The first one's kind and help are the family's.
    pub fn add(
        &mut self,
        (name, kind): (impl Into<Text>, MetricKind),
        help: impl Into<Text>,
        labels: Labels,
        value: f64,
    ) {
        let name = name.into();
        let place = match self.places.get(&name) {
            Some(place) => *place,
            None => {
                self.list.push(Family::new(name.clone(), kind, help));
                self.places.insert(name, self.list.len() - 1);
                self.list.len() - 1
            }
        };
        if let Some(family) = self.list.get_mut(place) {
            family.push(labels, value);
        }
    }

    /// Adds a gauge.
    pub fn gauge(
        &mut self,
        name: impl Into<Text>,
        help: impl Into<Text>,
        labels: Labels,
        value: f64,
    ) {
        self.add((name, MetricKind::Gauge), help, labels, value);
    }

    /// Adds a counter.
    pub fn counter(
        &mut self,
        name: impl Into<Text>,
        help: impl Into<Text>,
        labels: Labels,
        value: f64,
    ) {
        self.add((name, MetricKind::Counter), help, labels, value);
    }

    /// Adds what the files of a folder say. A file that is absent or holds no number adds nothing.
    pub fn add_files(&mut self, folder: &Path, files: &[ValueFile], labels: &Labels) {
        for file in files {
            if let Some(value) = sysfs::number::<f64>(folder.join(file.name)) {
                let family = (file.family, file.kind);
                self.add(family, file.help, labels.clone(), value / file.per_unit);
            }
        }
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl From<Families> for Vec<Family> {
    fn from(families: Families) -> Self {
        families.list
    }
}

/// A file that holds one number, and the family that the number belongs to.
#[derive(Clone, Copy, Debug)]
pub struct ValueFile {
    /// The file's name.
    pub name: &'static str,
    /// The family's name.
    pub family: &'static str,
    /// The family's kind.
    pub kind: MetricKind,
    /// How many of the file's units make one of the family's: 1000 where milliseconds become
    /// seconds.
    pub per_unit: f64,
    /// One line for people.
    pub help: &'static str,
}

impl ValueFile {
    /// A gauge in the file's own unit.
    pub const fn gauge(name: &'static str, family: &'static str, help: &'static str) -> Self {
        Self { name, family, kind: MetricKind::Gauge, per_unit: 1.0, help }
    }

    /// A counter in the file's own unit.
    pub const fn counter(name: &'static str, family: &'static str, help: &'static str) -> Self {
        Self { name, family, kind: MetricKind::Counter, per_unit: 1.0, help }
    }

    /// The same, where the file counts in smaller units.
    pub const fn per_unit(self, per_unit: f64) -> Self {
        Self { per_unit, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_one_name_come_into_one_family() {
        let mut families = Families::default();
        assert!(families.is_empty());
        families.gauge("a", "help", labels([("x", "1")]), 1.0);
        families.counter("b", "help", Vec::new(), 2.0);
        families.gauge(String::from("a"), "other", labels([("x", "2")]), 3.0);
        let list: Vec<Family> = families.into();
        assert_eq!((list.len(), list[0].samples.len(), &*list[0].help), (2, 2, "help"));
    }

    #[test]
    fn files_that_are_absent_or_no_numbers_add_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("good"), "1500\n").unwrap();
        std::fs::write(folder.path().join("word"), "none\n").unwrap();
        let files = ["good", "word", "absent"].map(|name| ValueFile::gauge(name, "f", "h"));
        let mut families = Families::default();
        let files = files.map(|file| file.per_unit(1000.0));
        families.add_files(folder.path(), &files, &Vec::new());
        let list: Vec<Family> = families.into();
        assert_eq!((list.len(), list[0].samples.len()), (1, 1));
        assert_eq!(list[0].samples[0].value, crate::event::metric::SampleValue::Number(1.5));
    }
}
