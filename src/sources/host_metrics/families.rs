//! Families as they come together while a collector reads: each is made when its first sample
//! comes.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;

use crate::event::metric::{Family, Labels, MetricKind, Sample, Text};
use crate::host::sysfs;

/// The labels given, which must be sorted by name.
pub fn labels<const N: usize>(pairs: [(&'static str, &str); N]) -> Labels {
    pairs.map(|(name, value)| (Text::from(name), Text::shared(value))).into()
}

/// Labels of the round before, so that those of a thing that is still there are not made again.
#[derive(Debug, Default)]
pub struct KnownLabels {
    round: u64,
    hasher: RandomState,
    /// By the hash of names and values; with the round that used them last.
    known: HashMap<u64, (Labels, u64)>,
}

impl KnownLabels {
    /// Begins a round: what the one before had no use for is forgotten.
    pub fn begin(&mut self) {
        let last = self.round;
        self.known.retain(|_, (_, used)| *used == last);
        self.round += 1;
    }

    /// The same as [`labels`].
    pub fn get<const N: usize>(&mut self, pairs: [(&'static str, &str); N]) -> Labels {
        let key = self.hasher.hash_one(pairs);
        let are_same = |known: &Labels| known.iter().map(|(n, v)| (&**n, &**v)).eq(pairs);
        if let Some((known, used)) = self.known.get_mut(&key)
            && are_same(known)
        {
            *used = self.round;
            return known.clone();
        }
        let made = labels(pairs);
        self.known.insert(key, (made.clone(), self.round));
        made
    }
}

/// Names and helps of families that are made of the kernel's own words, each made once.
#[derive(Debug, Default)]
pub struct KnownNames(HashMap<String, [Text; 2]>);

impl KnownNames {
    /// Name and help of the family that `word` stands for.
    pub fn get(&mut self, word: &str, make: impl FnOnce() -> [String; 2]) -> [Text; 2] {
        if let Some(known) = self.0.get(word) {
            return known.clone();
        }
        let made = make().map(Text::from);
        self.0.insert(word.to_owned(), made.clone());
        made
    }
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
        labels: impl Into<Labels>,
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

    /// Adds a sample as it is to the family that is called as `family` is.
    pub fn add_sample(&mut self, family: &Family, sample: Sample) {
        let place = *self.places.entry(family.name.clone()).or_insert_with(|| {
            let (name, help) = (family.name.clone(), family.help.clone());
            self.list.push(Family::new(name, family.kind, help));
            self.list.len() - 1
        });
        if let Some(family) = self.list.get_mut(place) {
            family.samples.push(sample);
        }
    }

    /// Adds a gauge.
    pub fn gauge(
        &mut self,
        name: impl Into<Text>,
        help: impl Into<Text>,
        labels: impl Into<Labels>,
        value: f64,
    ) {
        self.add((name, MetricKind::Gauge), help, labels, value);
    }

    /// Adds a counter.
    pub fn counter(
        &mut self,
        name: impl Into<Text>,
        help: impl Into<Text>,
        labels: impl Into<Labels>,
        value: f64,
    ) {
        self.add((name, MetricKind::Counter), help, labels, value);
    }

    /// Adds a counter's sample, where there is a value.
    pub fn counter_of(
        &mut self,
        (name, help): (&'static str, &'static str),
        labels: &Labels,
        value: Option<f64>,
    ) {
        if let Some(value) = value {
            self.counter(name, help, labels.clone(), value);
        }
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
    fn what_is_gone_is_forgotten_and_what_is_there_is_not_made_again() {
        let mut known = KnownLabels::default();
        let first = known.get([("device", "eth0")]);
        known.get([("device", "veth1")]);
        known.begin();
        assert!(std::ptr::eq(&*known.get([("device", "eth0")]), &*first));
        assert_eq!(known.known.len(), 2);
        known.begin();
        assert_eq!(known.known.len(), 1);
        assert_eq!(known.get([("device", "eth0"), ("mode", "x")]).len(), 2);
    }

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
        families.add_files(folder.path(), &files, &Labels::default());
        let list: Vec<Family> = families.into();
        assert_eq!((list.len(), list[0].samples.len()), (1, 1));
        assert_eq!(list[0].samples[0].value, crate::event::metric::SampleValue::Number(1.5));
    }
}
