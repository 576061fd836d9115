//! `hwmon`: what the sensors measure: temperatures, voltages, fans, power.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector};
use super::families::{Families, labels};
use super::filter::Filter;
use crate::event::metric::{Family, MetricKind};
use crate::host::roots::Roots;
use crate::host::sysfs;

/// What a file may be about. Others are of no sensor.
const KINDS: [&str; 14] = [
    "vrm",
    "beep_enable",
    "update_interval",
    "in",
    "cpu",
    "fan",
    "pwm",
    "temp",
    "curr",
    "power",
    "energy",
    "humidity",
    "intrusion",
    "freq",
];

/// What to tell of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Chips, by the label `chip`.
    pub chips: Filter,
    /// Sensors, by `CHIP;SENSOR`.
    pub sensors: Filter,
}

/// Reads `/sys/class/hwmon`.
pub struct Hwmon {
    folder: PathBuf,
    options: Options,
}

impl Hwmon {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options) -> Self {
        Self { folder: roots.sysfs.join("class/hwmon"), options: options.clone() }
    }

    fn chip(&self, folder: &Path, families: &mut Families) {
        let Some(chip) = chip_name(folder) else { return };
        if !self.options.chips.allows(&chip) {
            return;
        }
        let mut sensors = Sensors::new();
        read_sensors(folder, &mut sensors);
        read_sensors(&folder.join("device"), &mut sensors);
        let name = sysfs::text(folder.join("name")).map(|name| clean(&name));
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            families.gauge(
                "node_hwmon_chip_names",
                "What a chip calls itself; always 1.",
                labels([("chip", &chip), ("chip_name", &name)]),
                1.0,
            );
        }
        for ((kind, number), elements) in &sensors {
            let sensor = format!("{kind}{number}");
            if self.options.sensors.allows(&format!("{chip};{sensor}")) {
                add_sensor(&chip, kind, &sensor, elements, families);
            }
        }
    }
}

impl Collector for Hwmon {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut families = Families::default();
        let chips = sysfs::names(&self.folder);
        if chips.is_empty() {
            return Err(CollectError::NoData);
        }
        for chip in chips {
            self.chip(&self.folder.join(chip), &mut families);
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}

/// Kind and number of a sensor; then what its files are called after these, and hold.
type Sensors = BTreeMap<(&'static str, u32), BTreeMap<String, String>>;

/// `temp1_crit_alarm` is the kind `temp`, the number 1 and the element `crit_alarm`.
fn split(file: &str) -> Option<(&'static str, u32, &str)> {
    let digits = file.find(|letter: char| letter.is_ascii_digit());
    let (kind, rest) = match digits {
        Some(at) => file.split_at(at),
        // Files of the whole chip have no number: `update_interval`.
        None => (file, ""),
    };
    let kind = KINDS.iter().find(|known| **known == kind)?;
    let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let (number, element) = rest.split_at(end);
    let element = if element.is_empty() { element } else { element.strip_prefix('_')? };
    Some((kind, if number.is_empty() { 0 } else { number.parse().ok()? }, element))
}

fn read_sensors(folder: &Path, sensors: &mut Sensors) {
    for file in sysfs::names(folder) {
        let Some((kind, number, element)) = split(&file) else { continue };
        // A sensor that sleeps or is broken refuses to be read.
        let Some(value) = sysfs::text(folder.join(&file)) else { continue };
        sensors.entry((kind, number)).or_default().insert(element.to_owned(), value);
    }
}

/// Small letters, digits, `:` and `_` stay; other characters become `_`, except at the ends.
fn clean(name: &str) -> String {
    let letter = |letter: char| match letter.to_ascii_lowercase() {
        letter @ ('a'..='z' | '0'..='9' | ':' | '_') => letter,
        _ => '_',
    };
    name.chars().map(letter).collect::<String>().trim_matches('_').to_owned()
}

/// A name that stays the same over restarts: the device's place on its bus. Where several chips
/// belong to one device, their own names tell them apart; where there is no device, only these do.
fn chip_name(folder: &Path) -> Option<String> {
    let own = sysfs::text(folder.join("name")).map(|name| clean(&name)).unwrap_or_default();
    if let Ok(device) = fs::canonicalize(folder.join("device")) {
        let name = |path: &Path| path.file_name().map(|name| clean(&name.to_string_lossy()));
        let bus = device.parent().and_then(name).unwrap_or_default();
        let place = name(&device).unwrap_or_default();
        let is_shared = sysfs::numbered(device.join("hwmon"), "hwmon").len() > 1;
        let own = if is_shared { own.clone() } else { String::new() };
        let parts = [bus, place, own].into_iter().filter(|part| !part.is_empty());
        let parts: Vec<String> = parts.collect();
        if !parts.is_empty() {
            return Some(parts.join("_"));
        }
    }
    if !own.is_empty() {
        return Some(own);
    }
    let real = fs::canonicalize(folder).ok()?;
    Some(clean(&real.file_name()?.to_string_lossy())).filter(|name| !name.is_empty())
}

fn add_sensor(
    chip: &str,
    kind: &str,
    sensor: &str,
    elements: &BTreeMap<String, String>,
    families: &mut Families,
) {
    let label = elements.get("label").filter(|label| !clean(label).is_empty());
    if let Some(label) = label {
        families.gauge(
            "node_hwmon_sensor_label",
            "What a sensor is called; always 1.",
            labels([("chip", chip), ("label", label), ("sensor", sensor)]),
            1.0,
        );
    }
    let whole = elements.contains_key("");
    for (element, value) in elements.iter().filter(|(element, _)| *element != "label") {
        let Some(value) = value.parse::<f64>().ok() else { continue };
        let (name, metric, value) = measured(kind, element, whole, value);
        let help = format!("Hardware sensors of the kind {kind}, `{element}`.");
        // Clocks are known by what runs at their pace.
        let clock = label.filter(|_| kind == "freq").map(|label| clean(label));
        let told = labels([("chip", chip), ("sensor", clock.as_deref().unwrap_or(sensor))]);
        families.add((name, metric), help, told, value);
    }
}

/// The family of a value, and the value in the family's unit. `whole` says that the sensor has a
/// file without an element, from whose name that of `input` must differ.
fn measured(kind: &str, element: &str, whole: bool, value: f64) -> (String, MetricKind, f64) {
    let mut name = format!("node_hwmon_{kind}");
    if !(element.is_empty() || element == "input" && !whole) {
        name.push('_');
        name.push_str(&clean(element));
    }
    let unit = match (kind, element) {
        ("beep_enable", _) => return ("node_hwmon_beep_enabled".into(), MetricKind::Gauge, value),
        ("vrm", _) => {
            return ("node_hwmon_voltage_regulator_version".into(), MetricKind::Gauge, value);
        }
        ("update_interval", _) => {
            let name = "node_hwmon_update_interval_seconds".into();
            return (name, MetricKind::Gauge, value * 0.001);
        }
        ("energy", element) if !is_flag(element) => {
            return (name + "_joule_total", MetricKind::Counter, value / 1e6);
        }
        (_, "beep") => ("_enabled", value),
        (_, element) if is_flag(element) => ("", value),
        ("in" | "cpu", _) => ("_volts", value * 0.001),
        ("temp", element) if element != "type" => ("_celsius", value * 0.001),
        ("curr", _) => ("_amps", value * 0.001),
        ("power", "accuracy") | ("humidity", _) => ("", value / 1e6),
        ("power", "average_interval" | "average_interval_min" | "average_interval_max") => {
            ("_seconds", value * 0.001)
        }
        ("power", _) => ("_watt", value / 1e6),
        ("fan", "input" | "min" | "max" | "target") => ("_rpm", value),
        ("freq", "input") => ("_freq_mhz", value / 1e6),
        _ => ("", value),
    };
    (name + unit.0, MetricKind::Gauge, unit.1)
}

fn is_flag(element: &str) -> bool {
    matches!(element, "fault" | "alarm" | "beep")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_says_kind_number_and_element() {
        assert_eq!(split("temp1_crit_alarm"), Some(("temp", 1, "crit_alarm")));
        assert_eq!(split("pwm1"), Some(("pwm", 1, "")));
        assert_eq!(split("update_interval"), Some(("update_interval", 0, "")));
        assert_eq!(split("in12_input"), Some(("in", 12, "input")));
        assert_eq!(split("uevent"), None);
        assert_eq!(split("temp99999999999_input"), None);
    }

    #[test]
    fn values_come_in_the_unit_that_their_names_end_in() {
        let of = |kind, element, value| {
            let (name, _, value) = measured(kind, element, false, value);
            (name, value)
        };
        assert_eq!(of("temp", "input", 45_500.0), ("node_hwmon_temp_celsius".into(), 45.5));
        assert_eq!(of("fan", "min", 300.0), ("node_hwmon_fan_min_rpm".into(), 300.0));
        assert_eq!(of("in", "alarm", 1.0), ("node_hwmon_in_alarm".into(), 1.0));
        assert_eq!(of("power", "average", 2e6), ("node_hwmon_power_average_watt".into(), 2.0));
        assert_eq!(of("energy", "input", 2e6).0, "node_hwmon_energy_joule_total");
        assert_eq!(of("temp", "type", 4.0), ("node_hwmon_temp_type".into(), 4.0));
    }

    #[test]
    fn a_chip_without_a_device_is_called_as_it_calls_itself() {
        let folder = tempfile::tempdir().unwrap();
        let chip = folder.path().join("hwmon3");
        fs::create_dir(&chip).unwrap();
        assert_eq!(chip_name(&chip).as_deref(), Some("hwmon3"));
        fs::write(chip.join("name"), "NCT-6779 \n").unwrap();
        assert_eq!(chip_name(&chip).as_deref(), Some("nct_6779"));
    }
}
