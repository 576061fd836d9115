//! Unit files of systemd: where they are, what they say of being enabled, and the links that are it.
//!
//! Source: systemd.unit(5). Links are made and looked for here, and not by `systemctl`, so that a dry
//! run sees unit files that it has foretold, and shows each link.

use super::super::Failure;
use crate::host::machine::Machine;
use crate::host::machine::meta::Kind;
use crate::host::machine::path::Follow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Directories of a unit whose links make it start with others.
const WANTS: [&str; 3] = ["wants", "requires", "upholds"];
/// A file that refers to itself is read so often.
const MOST_ALIASES: usize = 8;
const NOTHING: &str = "/dev/null";

/// Where the units of a scope are.
pub(super) struct Units {
    /// All directories, the one that counts most first; links of enabled units are in the first.
    directories: Vec<PathBuf>,
}

/// A unit as its file says.
#[derive(Debug)]
pub(super) struct Unit {
    /// Its name, an alias resolved.
    pub(super) name: String,
    /// Its file.
    pub(super) path: PathBuf,
    install: Install,
}

/// The section `[Install]`.
#[derive(Debug, Default)]
struct Install {
    /// Units that it is to start with, with the kind of the directory.
    with: Vec<(&'static str, String)>,
    aliases: Vec<String>,
    also: Vec<String>,
    default_instance: Option<String>,
}

/// What is at a unit's name.
#[derive(Debug)]
pub(super) enum Found {
    Unit(Unit),
    Masked,
    Nothing,
}

impl Units {
    /// Those of the system.
    pub(super) fn system() -> Self {
        Self::below(&[
            "/etc/systemd/system",
            "/run/systemd/system",
            "/usr/local/lib/systemd/system",
            "/lib/systemd/system",
            "/usr/lib/systemd/system",
            "/run/systemd/generator.late",
        ])
    }

    /// Those of all users.
    pub(super) fn global() -> Self {
        Self::below(&[
            "/etc/systemd/user",
            "/run/systemd/user",
            "/usr/local/lib/systemd/user",
            "/usr/lib/systemd/user",
        ])
    }

    fn below(directories: &[&str]) -> Self {
        Self { directories: directories.iter().map(PathBuf::from).collect() }
    }

    /// The directory of the administrator, where links are made.
    fn own(&self) -> &Path {
        self.directories.first().map_or(Path::new("/etc/systemd/system"), PathBuf::as_path)
    }

    /// The unit of this name, by its own file or by that of its template.
    pub(super) fn find(&self, machine: &Machine, name: &str) -> Result<Found, Failure> {
        let mut name = name.to_owned();
        for _ in 0..MOST_ALIASES {
            match self.at(machine, &name)? {
                None => return Ok(Found::Nothing),
                Some((path, Kind::File)) => {
                    let text = machine.read(&path)?;
                    if text.is_empty() {
                        return Ok(Found::Masked);
                    }
                    let install = Install::read(&String::from_utf8_lossy(&text));
                    return Ok(Found::Unit(Unit { name, path, install }));
                }
                Some((path, _)) => {
                    let target = machine.read_link(&path)?;
                    if target == Path::new(NOTHING) {
                        return Ok(Found::Masked);
                    }
                    let other = target.file_name().unwrap_or_default().to_string_lossy();
                    // A link to a template is an instance of it under another name.
                    if other == name || template(&name).as_deref() == Some(&*other) {
                        let linked = path.parent().unwrap_or(&path).join(&target);
                        if machine.stat(&linked, Follow::Yes)?.is_none() {
                            return Ok(Found::Nothing);
                        }
                        let text = machine.read(&linked)?;
                        let install = Install::read(&String::from_utf8_lossy(&text));
                        return Ok(Found::Unit(Unit { name, path: linked, install }));
                    }
                    name = other.into_owned();
                }
            }
        }
        Err(Failure::new(format!("the unit `{name}` is an alias of itself")))
    }

    /// The first file or link of this name, else of its template.
    fn at(&self, machine: &Machine, name: &str) -> Result<Option<(PathBuf, Kind)>, Failure> {
        for name in [Some(name.to_owned()), template(name)].into_iter().flatten() {
            for directory in &self.directories {
                let path = directory.join(&name);
                let found = machine.stat(&path, Follow::No)?.map(|found| found.kind);
                if let Some(kind @ (Kind::File | Kind::Link)) = found {
                    return Ok(Some((path, kind)));
                }
            }
        }
        Ok(None)
    }

    /// Whether the administrator has masked it.
    pub(super) fn is_masked(&self, machine: &Machine, name: &str) -> Result<bool, Failure> {
        let path = self.own().join(name);
        let is_link = machine.stat(&path, Follow::No)?.is_some_and(|it| it.kind == Kind::Link);
        Ok(is_link && machine.read_link(&path)? == Path::new(NOTHING))
    }

    /// Masks it, so that nothing can start it.
    pub(super) fn mask(&self, machine: &mut Machine, name: &str) -> Result<(), Failure> {
        let path = self.own().join(name);
        if let Some(found) = machine.stat(&path, Follow::No)?
            && found.kind != Kind::Link
        {
            let why = format!(
                "{} is {}, so that `{name}` cannot be masked",
                path.display(),
                found.kind.described()
            );
            let hint = "remove it first, or put it into /usr/local/lib/systemd/system".to_owned();
            return Err(Failure { hint: Some(hint), ..Failure::new(why) });
        }
        Ok(machine.symlink(&path, Path::new(NOTHING))?)
    }

    /// Takes the mask away.
    pub(super) fn unmask(&self, machine: &mut Machine, name: &str) -> Result<(), Failure> {
        Ok(machine.remove(&self.own().join(name))?)
    }

    /// Whether it starts by itself: `None` where its file says nothing of that (`static`).
    pub(super) fn is_enabled(
        &self,
        machine: &Machine,
        unit: &Unit,
    ) -> Result<Option<bool>, Failure> {
        if !unit.install.with.is_empty() || !unit.install.aliases.is_empty() {
            return Ok(Some(!self.made_links(machine, unit)?.is_empty()));
        }
        let made = self.made_links(machine, unit)?;
        let has_others = !unit.install.also.is_empty();
        Ok(if made.is_empty() && !has_others { None } else { Some(!made.is_empty()) })
    }

    /// The links that there are to it: in the directories of others, and under other names.
    fn made_links(&self, machine: &Machine, unit: &Unit) -> Result<Vec<PathBuf>, Failure> {
        let own = self.own();
        let mut links = Vec::new();
        if machine.stat(own, Follow::Yes)?.is_none() {
            return Ok(links);
        }
        let is_it = |name: &str| name == unit.name || template(name).as_deref() == Some(&unit.name);
        for entry in machine.list(own)? {
            let name = entry.to_string_lossy().into_owned();
            let path = own.join(&entry);
            let Some(found) = machine.stat(&path, Follow::No)? else { continue };
            if found.kind == Kind::Link && name != unit.name {
                let target = machine.read_link(&path)?;
                if target.file_name().is_some_and(|it| *it == *unit.name.as_str()) {
                    links.push(path);
                }
            } else if found.kind == Kind::Directory
                && WANTS.iter().any(|kind| name.ends_with(&format!(".{kind}")))
            {
                for inner in machine.list(&path)? {
                    if is_it(&inner.to_string_lossy()) {
                        links.push(path.join(inner));
                    }
                }
            }
        }
        Ok(links)
    }

    /// Makes the links that enable it, and those of the units that it says go with it.
    pub(super) fn enable(&self, machine: &mut Machine, unit: &Unit) -> Result<(), Failure> {
        for unit in self.with_others(machine, unit)? {
            for (link, path) in self.wanted_links(&unit)? {
                if let Some(directory) = link.parent() {
                    let attributes = crate::host::machine::write::Attributes::default();
                    super::super::copy::make_directories(machine, directory, &attributes)?;
                }
                machine.symlink(&link, &path)?;
            }
        }
        Ok(())
    }

    /// Takes the links away, and those of the units that go with it.
    pub(super) fn disable(&self, machine: &mut Machine, unit: &Unit) -> Result<(), Failure> {
        for unit in self.with_others(machine, unit)? {
            for link in self.made_links(machine, &unit)? {
                machine.remove(&link)?;
                // A directory that holds nothing more goes too, as with systemctl.
                if let Some(directory) = link.parent().filter(|it| *it != self.own())
                    && machine.list(directory)?.is_empty()
                {
                    machine.remove(directory)?;
                }
            }
        }
        Ok(())
    }

    /// The unit and all that `Also=` says.
    fn with_others(&self, machine: &Machine, unit: &Unit) -> Result<Vec<Unit>, Failure> {
        let mut all = Vec::new();
        let mut seen = BTreeSet::new();
        let mut ahead = vec![unit.name.clone()];
        while let Some(name) = ahead.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            if let Found::Unit(unit) = self.find(machine, &name)? {
                ahead.extend(unit.install.also.iter().map(|other| unit.filled_in(other)));
                all.push(unit);
            }
        }
        Ok(all)
    }

    /// The links that enable it, and where each leads.
    fn wanted_links(&self, unit: &Unit) -> Result<Vec<(PathBuf, PathBuf)>, Failure> {
        let is_template = unit.name.contains("@.");
        let name = match (&unit.install.default_instance, is_template) {
            (Some(instance), true) => {
                unit.name.replacen("@.", &format!("@{}.", unit.filled_in(instance)), 1)
            }
            (None, true) if !unit.install.with.is_empty() => {
                let why = format!("`{}` is a template, and its file names no instance", unit.name);
                let hint = format!("name one: `{}`", unit.name.replacen("@.", "@INSTANCE.", 1));
                return Err(Failure { hint: Some(hint), ..Failure::new(why) });
            }
            _ => unit.name.clone(),
        };
        let mut links = Vec::new();
        for alias in &unit.install.aliases {
            let alias = unit.filled_in(alias);
            if alias != unit.name {
                links.push((self.own().join(alias), unit.path.clone()));
            }
        }
        for (kind, other) in &unit.install.with {
            let directory = self.own().join(format!("{}.{kind}", unit.filled_in(other)));
            links.push((directory.join(&name), unit.path.clone()));
        }
        Ok(links)
    }
}

impl Unit {
    /// A text of the section with what stands for the unit's own name replaced.
    fn filled_in(&self, text: &str) -> String {
        let (stem, _) = self.name.rsplit_once('.').unwrap_or((&self.name, ""));
        let (prefix, instance) = stem.split_once('@').unwrap_or((stem, ""));
        let default = self.install.default_instance.as_deref().unwrap_or_default();
        let instance = if instance.is_empty() { default } else { instance };
        let last = prefix.rsplit('-').next().unwrap_or(prefix);
        let mut made = String::with_capacity(text.len());
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            match (letter, letters.clone().next()) {
                ('%', Some(what @ ('i' | 'I' | 'p' | 'P' | 'j' | 'J' | 'n' | 'N' | '%'))) => {
                    letters.next();
                    match what {
                        'i' | 'I' => made.push_str(instance),
                        'p' | 'P' => made.push_str(prefix),
                        'j' | 'J' => made.push_str(last),
                        'n' => made.push_str(&self.name),
                        'N' => made.push_str(stem),
                        _ => made.push('%'),
                    }
                }
                _ => made.push(letter),
            }
        }
        made
    }
}

impl Install {
    fn read(text: &str) -> Self {
        let mut install = Self::default();
        let joined = text.replace("\\\n", " ");
        let mut is_inside = false;
        for line in joined.lines().map(str::trim) {
            if line.starts_with('[') {
                is_inside = line == "[Install]";
                continue;
            }
            let Some((key, value)) = line.split_once('=').filter(|_| is_inside) else { continue };
            let words = || value.split_whitespace().map(str::to_owned);
            match key.trim() {
                "WantedBy" => install.with.extend(words().map(|word| ("wants", word))),
                "RequiredBy" => install.with.extend(words().map(|word| ("requires", word))),
                "UpheldBy" => install.with.extend(words().map(|word| ("upholds", word))),
                "Alias" => install.aliases.extend(words()),
                "Also" => install.also.extend(words()),
                "DefaultInstance" => install.default_instance = words().next(),
                _ => {}
            }
        }
        install
    }
}

/// `a@.service` of `a@b.service`.
pub(super) fn template(name: &str) -> Option<String> {
    let (prefix, rest) = name.split_once('@')?;
    let (instance, kind) = rest.rsplit_once('.')?;
    (!instance.is_empty()).then(|| format!("{prefix}@.{kind}"))
}
