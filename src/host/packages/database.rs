//! The database of dpkg: what is installed, in which version, and what is to become of it.
//!
//! Source: `/var/lib/dpkg/status`, one paragraph for each package and architecture; the `Status` of
//! dpkg(1) has three words: what is wanted, whether all is well, and how far it has come.

/// What a package is, as dpkg has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name, without an architecture.
    pub name: String,
    /// What it is built for; `all` where that does not matter.
    pub architecture: String,
    /// Which version is installed; of one that is gone the one that its configuration is of.
    pub version: String,
    /// What is wanted of it: `install`, `hold`, `deinstall`, `purge` or `unknown`.
    pub selection: String,
    /// How much of it is there.
    pub state: State,
    /// Whether it has files that stay when it is removed and go when it is purged.
    pub has_configuration: bool,
    /// What kind of package it is, such as `admin`.
    pub section: String,
    /// The names that it stands for beside its own.
    pub provides: Vec<String>,
}

/// How much of a package is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// All of it.
    Installed,
    /// Only its configuration.
    Configuration,
    /// It is neither in order nor gone: an installation was broken off.
    Unfinished,
    /// Nothing.
    Absent,
}

/// All packages that the database tells of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packages {
    /// In the order of the database.
    pub all: Vec<Package>,
}

impl Packages {
    /// Reads `/var/lib/dpkg/status`. What is damaged is left out.
    pub fn read(text: &str) -> Self {
        Self { all: text.split("\n\n").filter_map(Package::read).collect() }
    }

    /// What packages without an architecture in their names are built for: the same as dpkg itself.
    pub fn native(&self) -> &str {
        let dpkg = self.all.iter().find(|package| package.name == "dpkg");
        dpkg.map_or("", |package| &package.architecture)
    }

    /// The package that is called `NAME` or `NAME:ARCHITECTURE`; of several the native one.
    pub fn find(&self, name: &str) -> Option<&Package> {
        let native = self.native();
        let (name, wanted) = name.split_once(':').unwrap_or((name, ""));
        let mut found = self.all.iter().filter(|package| package.name == name);
        match wanted {
            "" | "native" => {
                let is_native = |package: &&Package| package.is_for(native);
                found.clone().find(is_native).or_else(|| found.next())
            }
            "any" => found.next(),
            wanted => found.find(|package| package.is_for(wanted)),
        }
    }

    /// The packages that are installed.
    pub fn installed(&self) -> impl Iterator<Item = &Package> {
        self.all.iter().filter(|package| package.is_installed())
    }

    /// A package's name, with its architecture where that is not the host's own.
    pub fn called(&self, package: &Package) -> String {
        let Package { name, architecture, .. } = package;
        if package.is_for(self.native()) { name.clone() } else { format!("{name}:{architecture}") }
    }
}

impl Package {
    fn read(paragraph: &str) -> Option<Self> {
        let mut package = Self {
            name: String::new(),
            architecture: String::new(),
            version: String::new(),
            selection: String::new(),
            state: State::Absent,
            has_configuration: false,
            section: String::new(),
            provides: Vec::new(),
        };
        for line in paragraph.lines() {
            let Some((key, value)) = line.split_once(':').filter(|_| !line.starts_with(' ')) else {
                continue;
            };
            let value = value.trim();
            match key {
                "Package" => package.name = value.to_owned(),
                "Architecture" => package.architecture = value.to_owned(),
                "Version" | "Config-Version" => package.version = value.to_owned(),
                "Section" => package.section = value.to_owned(),
                "Conffiles" => package.has_configuration = true,
                "Provides" => package.provides = provided(value),
                "Status" => {
                    let mut words = value.split_whitespace();
                    package.selection = words.next().unwrap_or_default().to_owned();
                    package.state = State::of(words.nth(1).unwrap_or_default());
                }
                _ => {}
            }
        }
        (!package.name.is_empty()).then_some(package)
    }

    /// Whether it is there and in order.
    pub fn is_installed(&self) -> bool {
        self.state == State::Installed
    }

    fn is_for(&self, architecture: &str) -> bool {
        self.architecture == architecture || self.architecture == "all"
    }
}

fn provided(list: &str) -> Vec<String> {
    let name = |entry: &str| entry.split_whitespace().next().map(str::to_owned);
    list.split(',').filter_map(name).collect()
}

impl State {
    fn of(word: &str) -> Self {
        match word {
            // What waits for another package's triggers is in order itself.
            "installed" | "triggers-awaited" | "triggers-pending" => Self::Installed,
            "config-files" => Self::Configuration,
            "not-installed" | "" => Self::Absent,
            _ => Self::Unfinished,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\n\
        Version: 1.21\nProvides: pack (= 1), unpack\nConffiles:\n /etc/dpkg abc\nDescription: x\n \
        Package: none\n\n\
        Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n\
        Package: half\nStatus: install reinstreq half-configured\nArchitecture: amd64\nVersion: 1\n\n\
        Package: libc6\nStatus: install ok installed\nArchitecture: i386\nVersion: 2.35\n\n\
        Package: libc6\nStatus: hold ok installed\nArchitecture: amd64\nVersion: 2.36\n\nStatus: x\n";

    #[test]
    fn a_package_is_found_by_its_name_and_by_name_and_architecture() {
        let packages = Packages::read(STATUS);
        assert_eq!(packages.all.len(), 5);
        assert_eq!(packages.native(), "amd64");
        let version = |name: &str| packages.find(name).map(|package| package.version.as_str());
        assert_eq!(version("libc6"), Some("2.36"));
        assert_eq!(version("libc6:i386"), Some("2.35"));
        assert_eq!(version("libc6:arm64"), None);
        assert_eq!(version("gone:amd64"), Some("1"), "one for all architectures is for each");
        assert_eq!(version("none"), None);
        let called: Vec<String> =
            packages.installed().map(|package| packages.called(package)).collect();
        assert_eq!(called, ["dpkg", "libc6:i386", "libc6"]);
    }

    #[test]
    fn how_much_of_a_package_is_there_is_told() {
        let packages = Packages::read(STATUS);
        let state = |name: &str| packages.find(name).unwrap().state;
        assert_eq!(state("dpkg"), State::Installed);
        assert_eq!(state("gone"), State::Configuration);
        assert_eq!(state("half"), State::Unfinished);
        let dpkg = packages.find("dpkg").unwrap();
        assert!(dpkg.has_configuration);
        assert_eq!(dpkg.provides, ["pack", "unpack"]);
        assert_eq!(packages.find("libc6").unwrap().selection, "hold");
    }
}
