//! `textfile`: what other programs leave in files for a scrape.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use globset::Glob;
use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector};
use super::families::labels;
use crate::event::exposition_read::read;
use crate::event::metric::{Family, MetricKind};
use crate::host::roots::Roots;
use crate::host::sysfs;

/// A file as long as this is no exposition.
const LARGEST_BYTES: u64 = 64 << 20;

/// Where the files are.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Directories whose files `*.prom` are read; `*` and `?` may stand in their names. Text 0.0.4
    /// and OpenMetrics are understood; a file that has times of its own is left out.
    pub directories: Vec<String>,
}

/// Reads the files anew when they have changed.
pub struct Textfile {
    directories: Vec<String>,
    known: HashMap<PathBuf, Known>,
}

/// What a version of a file gave.
struct Known {
    /// Inode, length and time of change.
    version: (u64, u64, i64, i64),
    found: Result<Vec<Family>, String>,
}

impl Textfile {
    /// The collector for these directories, wherever the roots are.
    pub fn new(_: &Roots, options: &Options) -> Self {
        Self { directories: options.directories.clone(), known: HashMap::new() }
    }

    /// Reads a file if it is another one than last time, and says when it changed.
    fn look_at(&mut self, path: &Path) -> Result<(f64, &[Family]), String> {
        let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
        let changed = (metadata.mtime(), metadata.mtime_nsec());
        let version = (metadata.ino(), metadata.len(), changed.0, changed.1);
        if self.known.get(path).is_none_or(|known| known.version != version) {
            let found = if metadata.is_file() && metadata.len() <= LARGEST_BYTES {
                parse(path)
            } else {
                Err("found no ordinary file, or one of more than 64 MiB".to_owned())
            };
            if let Err(complaint) = &found {
                tracing::warn!(path = %path.display(), complaint, "a text file is left out");
            }
            self.known.insert(path.to_owned(), Known { version, found });
        }
        match self.known.get(path).map(|known| &known.found) {
            Some(Ok(families)) => Ok((changed.0 as f64 + changed.1 as f64 / 1e9, families)),
            Some(Err(complaint)) => Err(complaint.clone()),
            None => Ok((0.0, &[])),
        }
    }
}

fn parse(path: &Path) -> Result<Vec<Family>, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "its text is not UTF-8".to_owned())?;
    let help = format!("Metric read from {}", path.display());
    let families = read(&text, &help).map_err(|fault| fault.to_string())?;
    let mut samples = families.iter().flat_map(|family| &family.samples);
    if samples.any(|sample| sample.timestamp_ms.is_some()) {
        return Err("samples have times of their own; a scrape gives them its own".to_owned());
    }
    Ok(families)
}

impl Collector for Textfile {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut times = Family::new(
            "node_textfile_mtime_seconds",
            MetricKind::Gauge,
            "When a file that was read last changed, in seconds since the epoch.",
        );
        let mut is_wrong = false;
        let mut merged: Vec<Family> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut seen = Vec::new();
        for directory in self.directories.clone().iter().flat_map(|pattern| expand(pattern)) {
            is_wrong |= !directory.is_dir();
            let mut files = sysfs::names(&directory);
            files.retain(|name| name.ends_with(".prom"));
            for path in files.into_iter().map(|name| directory.join(name)) {
                match self.look_at(&path) {
                    Err(_) => is_wrong = true,
                    Ok((changed, families)) => {
                        let name = path.to_string_lossy();
                        times.push(labels([("file", &name)]), changed);
                        for family in families {
                            is_wrong |= !merge(family, &mut merged, &mut places);
                        }
                    }
                }
                seen.push(path);
            }
        }
        self.known.retain(|path, _| seen.contains(path));
        out.extend(merged);
        out.push(times);
        out.push(Family::single(
            "node_textfile_scrape_error",
            MetricKind::Gauge,
            "Whether a file could not be read, or contradicts another: 1 yes, 0 no.",
            if is_wrong { 1.0 } else { 0.0 },
        ));
        Ok(())
    }
}

/// Adds what another file has of the same name; `false` where it says otherwise what that is. The
/// first one's kind and help are the family's.
fn merge(family: &Family, into: &mut Vec<Family>, places: &mut HashMap<String, usize>) -> bool {
    let place = places.get(&*family.name).copied();
    let Some(known) = place.and_then(|place| into.get_mut(place)) else {
        places.insert(family.name.to_string(), into.len());
        into.push(family.clone());
        return true;
    };
    let says = |family: &Family| {
        let is_own = family.help.starts_with("Metric read from ");
        if is_own { None } else { Some(family.help.clone()) }
    };
    let agrees = says(known) == says(family);
    if known.kind != family.kind {
        return false;
    }
    known.samples.extend(family.samples.iter().cloned());
    agrees
}

/// The directories that a pattern stands for, sorted; the pattern itself where it has no signs, or
/// none is found.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let is_sign = |part: &str| part.contains(['*', '?', '[']);
    let mut found = vec![PathBuf::from(if pattern.starts_with('/') { "/" } else { "" })];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let matcher = Glob::new(part).ok().filter(|_| is_sign(part)).map(|g| g.compile_matcher());
        let Some(matcher) = matcher else {
            found = found.iter().map(|path| path.join(part)).collect();
            continue;
        };
        let below = |path: &PathBuf| {
            let folder = if path.as_os_str().is_empty() { Path::new(".") } else { path };
            let names = sysfs::names(folder).into_iter().filter(|name| matcher.is_match(name));
            names.map(|name| path.join(name)).filter(|path| path.is_dir()).collect::<Vec<_>>()
        };
        found = found.iter().flat_map(below).collect();
    }
    if found.is_empty() { vec![pattern.into()] } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::exposition;

    fn told(collector: &mut Textfile) -> String {
        let (mut families, mut out) = (Vec::new(), Vec::new());
        collector.collect(&mut families).unwrap();
        exposition::encode(&families, &mut out);
        let text = String::from_utf8(out).unwrap();
        let lines = text.lines().filter(|line| !line.contains("mtime") && !line.starts_with('#'));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn one_bad_file_costs_only_itself_and_is_read_again_once_it_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("a.prom", "a 1\n");
        write("b.prom", "b one\n");
        write("c.txt", "c 1\n");
        let directories = vec![folder.path().to_string_lossy().into_owned()];
        let mut collector = Textfile::new(&Roots::live(), &Options { directories });
        assert_eq!(told(&mut collector), "a 1\nnode_textfile_scrape_error 1");
        write("b.prom", "b 10\n");
        assert_eq!(told(&mut collector), "a 1\nb 10\nnode_textfile_scrape_error 0");
        fs::remove_file(folder.path().join("a.prom")).unwrap();
        assert_eq!(told(&mut collector), "b 10\nnode_textfile_scrape_error 0");
        assert_eq!(collector.known.len(), 1, "what is gone is forgotten");
    }

    #[test]
    fn a_pattern_stands_for_the_directories_that_it_matches() {
        let root = tempfile::tempdir().unwrap();
        for name in ["app1/metrics", "app2/metrics", "other/metrics"] {
            fs::create_dir_all(root.path().join(name)).unwrap();
        }
        fs::write(root.path().join("app3"), "").unwrap();
        let pattern = |end: &str| format!("{}/{end}", root.path().display());
        let found = expand(&pattern("app*/metrics"));
        assert_eq!(found, ["app1/metrics", "app2/metrics"].map(|name| root.path().join(name)));
        assert_eq!(expand(&pattern("none*")), [PathBuf::from(pattern("none*"))]);
    }

    #[test]
    fn a_file_with_times_of_its_own_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.prom"), "a 1 1441205977284\nb 2\n").unwrap();
        let directories = vec![folder.path().to_string_lossy().into_owned()];
        let mut collector = Textfile::new(&Roots::live(), &Options { directories });
        assert_eq!(told(&mut collector), "node_textfile_scrape_error 1");
    }
}
