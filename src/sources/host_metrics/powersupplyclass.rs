//! `powersupplyclass`: batteries and mains: charge, voltage, power, health.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector};
use super::families::{Families, labels};
use super::filter::Filter;
use crate::event::metric::{Family, Labels, Text};
use crate::host::roots::Roots;
use crate::host::sysfs;

/// Files in their own unit, in millionths and in tenths of the family's: file, end of the name.
const WHOLE: [(&str, &str); 10] = [
    ("authentic", "authentic"),
    ("calibrate", "calibrate"),
    ("capacity", "capacity"),
    ("capacity_alert_max", "capacity_alert_max"),
    ("capacity_alert_min", "capacity_alert_min"),
    ("cycle_count", "cyclecount"),
    ("online", "online"),
    ("present", "present"),
    ("time_to_empty_now", "time_to_empty_seconds"),
    ("time_to_full_now", "time_to_full_seconds"),
];
const MILLIONTHS: [(&str, &str); 31] = [
    ("charge_control_limit", "charge_control_limit"),
    ("charge_control_limit_max", "charge_control_limit_max"),
    ("charge_counter", "charge_counter"),
    ("charge_empty", "charge_empty"),
    ("charge_empty_design", "charge_empty_design"),
    ("charge_full", "charge_full"),
    ("charge_full_design", "charge_full_design"),
    ("charge_now", "charge_ampere"),
    ("charge_term_current", "charge_term_current"),
    ("constant_charge_current", "constant_charge_current"),
    ("constant_charge_current_max", "constant_charge_current_max"),
    ("constant_charge_voltage", "constant_charge_voltage"),
    ("constant_charge_voltage_max", "constant_charge_voltage_max"),
    ("current_boot", "current_boot"),
    ("current_max", "current_max"),
    ("current_now", "current_ampere"),
    ("energy_empty", "energy_empty"),
    ("energy_empty_design", "energy_empty_design"),
    ("energy_full", "energy_full"),
    ("energy_full_design", "energy_full_design"),
    ("energy_now", "energy_watthour"),
    ("input_current_limit", "input_current_limit"),
    ("power_now", "power_watt"),
    ("precharge_current", "precharge_current"),
    ("voltage_boot", "voltage_boot"),
    ("voltage_max", "voltage_max"),
    ("voltage_max_design", "voltage_max_design"),
    ("voltage_min", "voltage_min"),
    ("voltage_min_design", "voltage_min_design"),
    ("voltage_now", "voltage_volt"),
    ("voltage_ocv", "voltage_ocv"),
];
const TENTHS: [(&str, &str); 8] = [
    ("temp", "temp_celsius"),
    ("temp_alert_max", "temp_alert_max_celsius"),
    ("temp_alert_min", "temp_alert_min_celsius"),
    ("temp_ambient", "temp_ambient_celsius"),
    ("temp_ambient_alert_max", "temp_ambient_max_celsius"),
    ("temp_ambient_alert_min", "temp_ambient_min_celsius"),
    ("temp_max", "temp_max_celsius"),
    ("temp_min", "temp_min_celsius"),
];

/// Labels of the info family, called as their files; a file that is absent gives none.
const INFO: [&str; 11] = [
    "capacity_level",
    "charge_type",
    "health",
    "manufacturer",
    "model_name",
    "scope",
    "serial_number",
    "status",
    "technology",
    "type",
    "usb_type",
];

/// What to tell of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Power supplies, by name.
    pub supplies: Filter,
}

/// Reads `/sys/class/power_supply`.
pub struct PowerSupplyClass {
    folder: PathBuf,
    options: Options,
}

impl PowerSupplyClass {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options) -> Self {
        Self { folder: roots.sysfs.join("class/power_supply"), options: options.clone() }
    }

    fn supply(&self, name: &str, families: &mut Families) {
        let folder = self.folder.join(name);
        let units = [(&WHOLE[..], 1.0), (&MILLIONTHS[..], 1e6), (&TENTHS[..], 10.0)];
        for (files, per_unit) in units {
            for (file, end) in files {
                let Some(value) = sysfs::number::<f64>(folder.join(file)) else { continue };
                let help = format!("What {file} of a power supply says.");
                let family = format!("node_power_supply_{end}");
                families.gauge(family, help, labels([("power_supply", name)]), value / per_unit);
            }
        }
        let told = |label: &&'static str| {
            let value = sysfs::text(folder.join(label)).filter(|value| !value.is_empty())?;
            Some((Text::from(*label), Text::from(value)))
        };
        let own: Labels = INFO.iter().filter_map(told).collect();
        let told = own.with("power_supply", name);
        families.gauge("node_power_supply_info", "What power supply this is; always 1.", told, 1.0);
    }
}

impl Collector for PowerSupplyClass {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        if !self.folder.is_dir() {
            return Err(CollectError::NoData);
        }
        let mut families = Families::default();
        for name in sysfs::names(&self.folder) {
            if self.options.supplies.allows(&name) {
                self.supply(&name, &mut families);
            }
        }
        out.extend(Vec::from(families));
        Ok(())
    }
}
