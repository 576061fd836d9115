//! `interrupts`: interrupts by line and processor.

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector, Malformed, reading};
use super::families::labels;
use super::filter::Filter;
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// What to tell of.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Interrupts, by `TYPE;INFO;DEVICES`.
    pub names: Filter,
    /// Tell of those too that have not come yet.
    pub include_zeros: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { names: Filter::default(), include_zeros: true }
    }
}

/// Reads `/proc/interrupts`.
pub struct Interrupts {
    file: HeldFile,
    options: Options,
}

impl Interrupts {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options) -> Self {
        Self { file: HeldFile::new(roots.procfs.join("interrupts")), options: options.clone() }
    }
}

impl Collector for Interrupts {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.file.shared_path();
        let text = self.file.text().map_err(reading(&path))?;
        let mut family = Family::new(
            "node_interrupts_total",
            MetricKind::Counter,
            "Interrupts, by line and processor.",
        );
        let mut lines = text.lines();
        let header = lines.next().unwrap_or_default();
        let processors: Vec<&str> =
            header.split_ascii_whitespace().filter_map(|word| word.strip_prefix("CPU")).collect();
        for line in lines {
            let Some(interrupt) = parse(line, processors.len()).map_err(|line| line.of(&path))?
            else {
                continue;
            };
            let Interrupt { kind, info, devices, counts } = interrupt;
            if !self.options.names.allows(&format!("{kind};{info};{devices}")) {
                continue;
            }
            for (cpu, count) in processors.iter().zip(counts) {
                if count > 0 || self.options.include_zeros {
                    let told =
                        [("cpu", *cpu), ("devices", &devices), ("info", info), ("type", kind)];
                    family.push(labels(told), count as f64);
                }
            }
        }
        out.push(family);
        Ok(())
    }
}

#[derive(Debug, PartialEq)]
struct Interrupt<'a> {
    kind: &'a str,
    info: &'a str,
    devices: String,
    counts: Vec<u64>,
}

/// `KIND: COUNT... INFO DEVICES`. Lines that do not count by processor (`ERR`, `MIS`) give none.
fn parse(line: &str, processors: usize) -> Result<Option<Interrupt<'_>>, Malformed> {
    let malformed = || Malformed::new(line, "`KIND:` and a count for each processor");
    let (kind, rest) = line.split_once(':').ok_or_else(malformed)?;
    let mut rest = rest.trim_start();
    let mut counts = Vec::with_capacity(processors);
    for _ in 0..processors {
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let Ok(count) = word.parse() else {
            return if counts.len() > 1 { Err(malformed()) } else { Ok(None) };
        };
        counts.push(count);
        rest = after.trim_start();
    }
    let kind = kind.trim();
    // Only the lines of devices have a controller in front of them.
    if kind.bytes().all(|byte| byte.is_ascii_digit()) {
        let (info, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        // Behind the controller may stand the line's number there: `2-edge`.
        let devices = after.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        return Ok(Some(Interrupt { kind, info, devices, counts }));
    }
    Ok(Some(Interrupt { kind, info: rest.trim_end(), devices: String::new(), counts }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_stand_behind_their_controller() {
        let line = " 16:  3  4  IR-IO-APIC-fasteoi   ehci_hcd:usb1, mmc0";
        let found = parse(line, 2).unwrap().unwrap();
        assert_eq!((found.kind, found.info, &*found.devices), {
            ("16", "IR-IO-APIC-fasteoi", "ehci_hcd:usb1, mmc0")
        });
        assert_eq!(found.counts, [3, 4]);
        let found = parse("NMI:  3  4   Non-maskable interrupts", 2).unwrap().unwrap();
        assert_eq!((found.info, &*found.devices), ("Non-maskable interrupts", ""));
    }

    #[test]
    fn what_is_not_counted_by_processor_is_left_out() {
        assert_eq!(parse("ERR:          0", 2), Ok(None));
        assert!(parse("no colon", 2).is_err());
    }
}
