//! `vmstat`: page faults, paging, swapping and kills for want of memory.

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector, Malformed, reading};
use super::families::KnownNames;
use super::filter::Pattern;
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// What to tell of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Entries, by name; given here, it stands in place of the default, which is `node_exporter`'s.
    pub fields: Option<Pattern>,
}

/// Reads `/proc/vmstat`, of which only the entries that `node_exporter` takes by default:
/// `^(oom_kill|pgpg|pswp|pg.*fault)`.
pub struct Vmstat {
    file: HeldFile,
    options: Options,
    names: KnownNames,
}

impl Vmstat {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options) -> Self {
        let (file, options) =
            (HeldFile::of_short_lines(roots.procfs.join("vmstat")), options.clone());
        Self { file, options, names: KnownNames::default() }
    }
}

impl Collector for Vmstat {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.file.shared_path();
        let text = self.file.text().map_err(reading(&path))?;
        for line in text.lines().filter(|line| self.options.wants(line)) {
            let (entry, value) = parse(line).map_err(|line| line.of(&path))?;
            let [name, help] = self.names.get(entry, || {
                let help = format!("Entry {entry} of the kernel's account of virtual memory.");
                [format!("node_vmstat_{entry}"), help]
            });
            out.push(Family::single(name, MetricKind::Untyped, help, value));
        }
        Ok(())
    }
}

impl Options {
    fn wants(&self, line: &str) -> bool {
        match &self.fields {
            Some(fields) => fields.is_in(line.split(' ').next().unwrap_or_default()),
            None => is_wanted(line),
        }
    }
}

fn is_wanted(line: &str) -> bool {
    let name = line.split(' ').next().unwrap_or_default();
    ["oom_kill", "pgpg", "pswp"].iter().any(|start| name.starts_with(start))
        || name.strip_prefix("pg").is_some_and(|rest| rest.contains("fault"))
}

fn parse(line: &str) -> Result<(&str, f64), Malformed> {
    let (name, value) = line.split_once(' ').unwrap_or((line, ""));
    match value.trim_end().parse() {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(Malformed::new(line, "`name number`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_paging_swapping_and_kills_are_taken_and_the_rest_is_left() {
        let taken = ["oom_kill 0", "pgpgin 1", "pgmajfault 2", "pgfault 2", "pswpout 3"];
        let left = ["nr_free_pages 1", "pgalloc_dma 2", "thp_fault_alloc 1", "numa_pte_updates 0"];
        assert!(taken.iter().all(|line| is_wanted(line)));
        assert!(!left.iter().any(|line| is_wanted(line)));
        assert_eq!(parse("pgpgin 7344136"), Ok(("pgpgin", 7_344_136.0)));
        assert!(parse("pgpgin x").is_err());
    }
}
