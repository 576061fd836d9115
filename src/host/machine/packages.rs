//! The packages of the host, or those that it would have.

use super::fault::Fault;
use super::overlay::Overlay;
use super::path::Follow;
use super::{Back, Machine};
use crate::host::packages::database::{Package, Packages, State};
use crate::host::packages::simulation::{Action, Step};
use std::collections::BTreeMap;
use std::path::Path;

/// The database of dpkg.
const STATUS: &str = "/var/lib/dpkg/status";
/// Where the scripts of packages are.
const SCRIPTS: &str = "/var/lib/dpkg/info";
/// What packages are called as what has properties.
const PREFIX: &str = "package ";
/// The property that is the version which is installed.
const VERSION: &str = "version";
/// The property that files stay behind when a package is removed.
const CONFIGURATION: &str = "configuration";
/// The property that is what dpkg is to do with it.
const SELECTION: &str = "selection";

/// What a package is called as what has properties, and so in a plan.
pub fn package_property(name: &str) -> String {
    format!("{PREFIX}{name}")
}

impl Machine {
    /// The packages of a host of the Debian family, what a dry run has foretold included.
    ///
    /// Errors: where there is no database of dpkg.
    pub fn packages(&self) -> Result<Packages, Fault> {
        let mut packages = self.packages_of_host()?;
        if let Back::Overlay(overlay) = &self.back {
            for (of, version) in overlay.properties(VERSION) {
                if let Some(name) = of.strip_prefix(PREFIX) {
                    self.foretell_package(&mut packages, name, version.as_deref())?;
                }
            }
            foretell_rest(overlay, &mut packages);
        }
        Ok(packages)
    }

    /// The packages as the database has them, which is where apt starts from in a dry run too.
    ///
    /// Errors: where there is no database of dpkg.
    pub fn packages_of_host(&self) -> Result<Packages, Fault> {
        let path = Path::new(STATUS);
        if self.stat(path, Follow::Yes)?.is_none() {
            let why = format!("there is no {STATUS}, so that this is no host of dpkg's");
            return Err(Fault::new(why));
        }
        Ok(Packages::read(&String::from_utf8_lossy(&self.read(path)?)))
    }

    fn foretell_package(
        &self,
        packages: &mut Packages,
        name: &str,
        version: Option<&str>,
    ) -> Result<(), Fault> {
        let keeps = match packages.find(name) {
            Some(package) => self.keeps_configuration(packages, package)?,
            None => false,
        };
        match (find_mut(packages, name), version) {
            (Some(package), Some(version)) => {
                package.state = State::Installed;
                version.clone_into(&mut package.version);
            }
            (Some(package), None) if keeps => package.state = State::Configuration,
            (Some(package), None) => package.state = State::Absent,
            (None, None) => {}
            (None, Some(version)) => {
                let native = packages.native().to_owned();
                let (name, architecture) = name.split_once(':').unwrap_or((name, &native));
                packages.all.push(Package {
                    name: name.to_owned(),
                    architecture: architecture.to_owned(),
                    version: version.to_owned(),
                    selection: "install".to_owned(),
                    state: State::Installed,
                    has_configuration: false,
                    section: String::new(),
                    provides: Vec::new(),
                });
            }
        }
        Ok(())
    }

    /// Whether a package that is removed leaves something to purge: files, or a script that does it.
    fn keeps_configuration(&self, packages: &Packages, package: &Package) -> Result<bool, Fault> {
        if package.has_configuration {
            return Ok(true);
        }
        let with_architecture = format!("{}:{}", package.name, package.architecture);
        for name in [&packages.called(package), &with_architecture] {
            let script = Path::new(SCRIPTS).join(format!("{name}.postrm"));
            if self.stat(&script, Follow::Yes)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What apt must be asked for so that it starts from what a dry run has foretold.
    pub fn foretold_packages(&self) -> Vec<String> {
        let Back::Overlay(overlay) = &self.back else { return Vec::new() };
        let asked = overlay.properties(VERSION).filter_map(|(of, version)| {
            let name = of.strip_prefix(PREFIX)?;
            Some(match version {
                Some(version) => format!("{name}={version}"),
                None => format!("{name}-"),
            })
        });
        asked.collect()
    }

    /// Tells which packages are no longer as they were in `before`.
    pub fn note_packages(&mut self, before: &Packages, after: &Packages) -> Result<(), Fault> {
        // By what they are called: one that is no longer for one kind of machine alone is the same.
        let mut all: BTreeMap<String, [Option<&Package>; 2]> = BTreeMap::new();
        for (side, packages) in [before, after].into_iter().enumerate() {
            for package in &packages.all {
                let slot = &mut all.entry(before.called(package)).or_default()[side];
                if slot.is_none_or(|known| !known.is_installed()) {
                    *slot = Some(package);
                }
            }
        }
        for (name, [was, is]) in all.into_iter().filter(|(_, [was, is])| was != is) {
            let version = |package: Option<&Package>| {
                package.filter(|it| it.is_installed()).map(|it| it.version.clone())
            };
            self.note(&name, VERSION, [version(was), version(is)])?;
            let had = match was {
                Some(was) if was.state == State::Configuration => true,
                Some(was) if was.is_installed() => was.has_configuration,
                _ => false,
            };
            if had && is.is_none_or(|is| is.state == State::Absent) {
                self.note(&name, CONFIGURATION, [Some("kept".to_owned()), None])?;
            }
        }
        Ok(())
    }

    /// Tells that dpkg is to do something else with a package than before.
    pub fn note_selection(&mut self, name: &str, sides: [&str; 2]) -> Result<(), Fault> {
        self.note(name, SELECTION, sides.map(|side| Some(side.to_owned())))
    }

    fn note(
        &mut self,
        name: &str,
        property: &'static str,
        values: [Option<String>; 2],
    ) -> Result<(), Fault> {
        self.note_property(Path::new(STATUS), &package_property(name), property, values)
    }

    /// Packages as they would be when they had taken these steps.
    pub fn packages_after(&self, from: Packages, steps: &[Step]) -> Result<Packages, Fault> {
        let mut after = from;
        for step in steps {
            let version = match &step.action {
                Action::Install(version) => Some(version.as_str()),
                Action::Remove | Action::Purge => None,
            };
            self.foretell_package(&mut after, &step.name, version)?;
            if step.action == Action::Purge
                && let Some(package) = find_mut(&mut after, &step.name)
            {
                package.state = State::Absent;
            }
        }
        if let Back::Overlay(overlay) = &self.back {
            foretell_rest(overlay, &mut after);
        }
        Ok(after)
    }
}

/// What is foretold of packages beside their versions.
fn foretell_rest(overlay: &Overlay, packages: &mut Packages) {
    for (of, configuration) in overlay.properties(CONFIGURATION) {
        if let Some(name) = of.strip_prefix(PREFIX).filter(|_| configuration.is_none())
            && let Some(package) = find_mut(packages, name)
            && package.state == State::Configuration
        {
            package.state = State::Absent;
        }
    }
    for (of, selection) in overlay.properties(SELECTION) {
        if let (Some(name), Some(selection)) = (of.strip_prefix(PREFIX), selection)
            && let Some(package) = find_mut(packages, name)
        {
            package.selection.clone_from(selection);
        }
    }
}

fn find_mut<'p>(packages: &'p mut Packages, name: &str) -> Option<&'p mut Package> {
    let found = packages.find(name)?.clone();
    packages.all.iter_mut().find(|package| **package == found)
}
