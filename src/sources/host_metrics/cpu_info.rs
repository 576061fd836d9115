//! What `/proc/cpuinfo` says of the processors: a part of `cpu` that is off by default.

use std::collections::HashMap;
use std::path::Path;

use super::collector::{CollectError, reading};
use super::families::{Families, labels};
use super::filter::Pattern;
use crate::event::metric::{Family, Text};
use crate::host::proc::HeldFile;

/// Labels and the entries that they come from; sorted by label.
const LABELS: [(&str, &str); 10] = [
    ("cachesize", "cache size"),
    ("core", "core id"),
    ("cpu", "processor"),
    ("family", "cpu family"),
    ("microcode", "microcode"),
    ("model", "model"),
    ("model_name", "model name"),
    ("package", "physical id"),
    ("stepping", "stepping"),
    ("vendor", "vendor_id"),
];

/// Reads `/proc/cpuinfo`.
pub(super) struct CpuInfo {
    file: HeldFile,
    flags: Option<Pattern>,
    bugs: Option<Pattern>,
}

impl CpuInfo {
    /// Tells of flags and bugs too, where there are patterns for these.
    pub(super) fn new(procfs: &Path, flags: Option<Pattern>, bugs: Option<Pattern>) -> Self {
        Self { file: HeldFile::new(procfs.join("cpuinfo")), flags, bugs }
    }

    pub(super) fn families(&mut self) -> Result<Vec<Family>, CollectError> {
        let path = self.file.shared_path();
        let text = self.file.text().map_err(reading(&path))?;
        let mut families = Families::default();
        let processors = parse(&text);
        for processor in &processors {
            let entry = |name| processor.get(name).copied().unwrap_or_default();
            let told =
                LABELS.map(|(label, name)| (Text::from(label), Text::from(entry(name).to_owned())));
            families.gauge("node_cpu_info", "What a processor is; always 1.", told, 1.0);
            if let Ok(megahertz) = entry("cpu MHz").parse::<f64>() {
                let told = labels([
                    ("core", entry("core id")),
                    ("cpu", entry("processor")),
                    ("package", entry("physical id")),
                ]);
                let help = "Speed, as measured.";
                families.gauge("node_cpu_frequency_hertz", help, told, megahertz * 1e6);
            }
        }
        // All processors have the same.
        let first = processors.first();
        let words = |name| first.and_then(|first| first.get(name)).copied().unwrap_or_default();
        let lists = [
            ("flag", "flags", "node_cpu_flag_info", &self.flags),
            ("bug", "bugs", "node_cpu_bug_info", &self.bugs),
        ];
        for (label, entry, name, wanted) in lists {
            let Some(wanted) = wanted else { continue };
            for word in words(entry).split_ascii_whitespace().filter(|word| wanted.is_in(word)) {
                let help = format!("A processor's {label}; always 1.");
                families.gauge(name, help, labels([(label, word)]), 1.0);
            }
        }
        Ok(families.into())
    }
}

/// The entries of each processor; an empty line parts them.
fn parse(text: &str) -> Vec<HashMap<&str, &str>> {
    let mut processors: Vec<HashMap<&str, &str>> = Vec::new();
    for (name, value) in text.lines().filter_map(|line| line.split_once(':')) {
        let (name, value) = (name.trim(), value.trim());
        if name == "processor" || processors.is_empty() {
            processors.push(HashMap::new());
        }
        if let Some(last) = processors.last_mut() {
            last.insert(name, value);
        }
    }
    processors.retain(|processor| processor.contains_key("processor"));
    processors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_processor_has_its_own_entries() {
        let text = "processor\t: 0\nmodel name\t: A: B\n\n\
            processor\t: 1\nmodel name\t: C\n\nHardware : X\n";
        let processors = parse(text);
        assert_eq!(processors.len(), 2);
        assert_eq!((processors[0]["model name"], processors[1]["model name"]), ("A: B", "C"));
    }
}
