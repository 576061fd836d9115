//! `os`: which system this is, in which version, and until when it is cared for.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use super::collector::{CollectError, Collector};
use super::families::labels;
use crate::event::metric::{Family, MetricKind, Text};
use crate::host::os_release;
use crate::host::roots::Roots;

/// Labels and the variables that they come from; sorted by label.
const LABELS: [(&str, &str); 12] = [
    ("build_id", "BUILD_ID"),
    ("id", "ID"),
    ("id_like", "ID_LIKE"),
    ("image_id", "IMAGE_ID"),
    ("image_version", "IMAGE_VERSION"),
    ("name", "NAME"),
    ("pretty_name", "PRETTY_NAME"),
    ("variant", "VARIANT"),
    ("variant_id", "VARIANT_ID"),
    ("version", "VERSION"),
    ("version_codename", "VERSION_CODENAME"),
    ("version_id", "VERSION_ID"),
];

/// Reads `/etc/os-release`, or `/usr/lib/os-release` where that is absent.
pub struct Os {
    paths: [PathBuf; 2],
    /// Time of change of the file that was read, and what came of it.
    known: Option<(SystemTime, Vec<Family>)>,
}

impl Os {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self {
            paths: ["/etc/os-release", "/usr/lib/os-release"].map(|path| roots.file(path)),
            known: None,
        }
    }
}

impl Collector for Os {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let found = self.paths.iter().find_map(|path| {
            let changed = fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
            Some((path, changed))
        });
        let (path, changed) = found.ok_or(CollectError::NoData)?;
        if let Some((_, families)) = self.known.as_ref().filter(|known| known.0 == changed) {
            out.extend_from_slice(families);
            return Ok(());
        }
        let error = |error| CollectError::Io { path: path.clone(), error };
        let text = fs::read(path).map_err(error)?;
        let families = families(&os_release::variables(&String::from_utf8_lossy(&text)));
        out.extend_from_slice(&families);
        self.known = Some((changed, families));
        Ok(())
    }
}

fn families(variables: &HashMap<&str, String>) -> Vec<Family> {
    let variable = |name| variables.get(name).map_or("", String::as_str);
    let gauge = |name, help| Family::new(name, MetricKind::Gauge, help);
    let mut info = gauge("node_os_info", "Which system this is; always 1.");
    let told =
        LABELS.map(|(label, name)| (Text::from(label), Text::from(variable(name).to_owned())));
    info.push(told, 1.0);
    let mut families = vec![info];
    if let Some(number) = version(variable("VERSION_ID")).filter(|number| *number > 0.0) {
        let mut family = gauge("node_os_version", "The first two parts of the system's version.");
        let told = [("id", "ID"), ("id_like", "ID_LIKE"), ("name", "NAME")];
        family.push(labels(told.map(|(label, name)| (label, variable(name)))), number);
        families.push(family);
    }
    if let Some(end) = midnight(variable("SUPPORT_END")) {
        families.push(Family::single(
            "node_os_support_end_timestamp_seconds",
            MetricKind::Gauge,
            "When the system is no longer cared for, in seconds since the epoch.",
            end,
        ));
    }
    families
}

/// `20.04` of `20.04.2`.
fn version(id: &str) -> Option<f64> {
    let mut dots = 0;
    let end = id.find(|letter: char| {
        dots += usize::from(letter == '.');
        dots > 1 || !(letter == '.' || letter.is_ascii_digit())
    });
    id.get(..end.unwrap_or(id.len()))?.parse().ok()
}

/// The beginning of a day such as `2029-05-31`, in UTC, in seconds since the epoch.
fn midnight(day: &str) -> Option<f64> {
    let day: chrono::NaiveDate = day.parse().ok()?;
    Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_its_first_two_parts() {
        assert_eq!(version("20.04.2"), Some(20.04));
        assert_eq!(version("12"), Some(12.0));
        assert_eq!(version("tumbleweed"), None);
    }

    #[test]
    fn the_end_of_support_is_a_day_in_utc() {
        assert_eq!(midnight("1970-01-02"), Some(86_400.0));
        assert_eq!(midnight(""), None);
    }
}
