//! `sysctl`: settings of the kernel, those that are named.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector, Malformed, reading};
use super::families::{Families, labels};
use crate::event::metric::{Family, Labels, MetricKind};
use crate::host::roots::Roots;

/// What to tell of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Settings that are numbers: `vm.swappiness`, or `fs.file-nr:total,current,max` with a name
    /// for each number of the setting.
    pub include: Vec<String>,
    /// Settings that are words: each becomes a label.
    pub include_info: Vec<String>,
}

/// Reads `/proc/sys`.
pub struct Sysctl {
    folder: PathBuf,
    options: Options,
}

impl Sysctl {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options) -> Self {
        Self { folder: roots.procfs.join("sys"), options: options.clone() }
    }

    /// The words of a setting. Dots part its path; a dot in a name is written as a slash.
    fn read(&self, name: &str) -> Result<(PathBuf, String), CollectError> {
        let turned: String = name
            .chars()
            .map(|letter| match letter {
                '.' => '/',
                '/' => '.',
                letter => letter,
            })
            .collect();
        let path = self.folder.join(turned);
        let text = std::fs::read_to_string(&path).map_err(reading(&path))?;
        Ok((path, text))
    }

    fn add_numbers(&self, setting: &str, families: &mut Families) -> Result<(), CollectError> {
        let (name, parts) = setting.split_once(':').unwrap_or((setting, ""));
        let (path, text) = self.read(name)?;
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let wrong = |expected| Malformed::new(text.trim_end(), expected).of(&path);
        let family = family_name(name);
        let parts: Vec<&str> = parts.split(',').filter(|part| !part.is_empty()).collect();
        if !parts.is_empty() && parts.len() != words.len() {
            return Err(wrong("as many numbers as there are names for them"));
        }
        for (at, word) in words.iter().enumerate() {
            let value = word.parse().map_err(|_| wrong("numbers"))?;
            let help = format!("The kernel's setting {name}.");
            let index = at.to_string();
            let (family, told) = match parts.get(at) {
                Some(part) => (format!("{family}_{part}"), Labels::default()),
                None if words.len() > 1 => (family.clone(), labels([("index", &index)])),
                None => (family.clone(), Labels::default()),
            };
            families.add((family, MetricKind::Untyped), help, told, value);
        }
        Ok(())
    }

    fn add_words(&self, name: &str, families: &mut Families) -> Result<(), CollectError> {
        let (_, text) = self.read(name)?;
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        for (at, word) in words.iter().enumerate() {
            let index = at.to_string();
            let told = labels([("index", &index), ("name", name), ("value", word)]);
            families.gauge("node_sysctl_info", "A setting of the kernel; always 1.", told, 1.0);
        }
        Ok(())
    }
}

impl Collector for Sysctl {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut families = Families::default();
        for setting in &self.options.include {
            self.add_numbers(setting, &mut families)?;
        }
        for setting in &self.options.include_info {
            self.add_words(setting, &mut families)?;
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}

fn family_name(setting: &str) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    format!("node_sysctl_{}", setting.chars().map(letter).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_names_or_indices() {
        let host = tempfile::tempdir().unwrap();
        let folder = host.path().join("proc/sys/fs");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("file-nr"), "1024 0 16\n").unwrap();
        let told = |setting: &str| {
            let include = vec![setting.to_owned()];
            let options = Options { include, ..Options::default() };
            let mut families = Vec::new();
            Sysctl::new(&Roots::below(host.path()), &options).collect(&mut families)?;
            Ok(families.len())
        };
        assert_eq!(told("fs.file-nr").map_err(|e: CollectError| e.to_string()), Ok(1));
        assert_eq!(told("fs.file-nr:a,b,c").map_err(|e: CollectError| e.to_string()), Ok(3));
        assert!(told("fs.file-nr:a,b").is_err() && told("fs.none").is_err());
    }
}
