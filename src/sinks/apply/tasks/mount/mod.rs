//! `mount`: what is mounted where, now and by `/etc/fstab`.

mod fstab;

use super::{Failure, Module, Outcome, Task, TaskContext, system};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::path::Follow;
use crate::host::machine::state::{NOT_MOUNTED, Transition, mount_at};
use crate::host::machine::write::Attributes;
use crate::host::mounts::{self, Mount};
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use fstab::Entry;
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "mount",
    summary: "Makes sure that something is mounted, or not, now and after the next start.",
    acts_unless: None,
    spec: Spec {
        hides: &[("opts_no_log", "opts")],
        ..Spec::new(&[
            Param::new("path", Kind::Path)
                .or(&["name"])
                .required()
                .says("Where; `none` for swap, which is nowhere."),
            Param::new("src", Kind::Path).says("What: a device, `UUID=…`, `host:/export`, a directory."),
            Param::new("fstype", Kind::Text).says("The kind of file system; `none` of a bind mount."),
            Param::new("opts", Kind::Text).says("Options; `defaults` where not given."),
            Param::new("opts_no_log", Kind::Bool).says("Show the options nowhere."),
            Param::new("state", Kind::OneOf(STATES)).required().says(
                "`mounted`: in the table, and mounted; the directory is made. `present`: in the \
                 table. `unmounted`: not mounted, whatever the table says. `absent`: neither, and the \
                 directory goes, which must be empty then; `absent_mount` leaves it. \
                 `absent_from_fstab`: not in the table. `ephemeral`: mounted, whatever the table \
                 says. `remounted`: mounted anew, each time.",
            ),
            Param::new("dump", Kind::Text).says("Whether `dump` saves it; `0` where not given."),
            Param::new("passno", Kind::Text)
                .says("When it is checked at the start; `0`, never, where not given."),
            Param::new("boot", Kind::Bool)
                .says("Whether the start of the host mounts it; true where not given. Else `noauto` is added."),
            Param::new("fstab", Kind::Path).says("The table; `/etc/fstab` where not given."),
            Param::new("backup", Kind::Bool)
                .says("Keep the old table under a dated name beside the new one."),
        ])
    },
    check,
    build: |params| Box::new(MountTask { params }),
};

const STATES: &[&str] = &[
    "absent",
    "absent_from_fstab",
    "absent_mount",
    "ephemeral",
    "mounted",
    "present",
    "remounted",
    "unmounted",
];

const FSTAB: &str = "/etc/fstab";
const TABLE: &str = "/proc/self/mountinfo";

/// Options that are of the mount and not of its file system, so that the kernel tells them as they
/// are written.
const FLAGS: [&str; 6] = ["noatime", "nodev", "nodiratime", "noexec", "nosuid", "ro"];

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = system::needs(
        "mount",
        params,
        "",
        &["ephemeral", "mounted", "present"],
        &["src", "fstype"],
    );
    let mut complain =
        |name: &str, why: String| complaints.push(Diagnostic::new(why, params.place(name)));
    for name in ["path", "fstab"] {
        if let Some(path) = params.text(name).filter(|path| !path.contains("{{"))
            && !path.starts_with('/')
            && (name, path) != ("path", "none")
        {
            complain(name, format!("the path `{path}` is not absolute"));
        }
    }
    for name in ["dump", "passno"] {
        if let Some(text) = params.text(name).filter(|text| !text.contains("{{"))
            && text.parse::<u8>().is_err()
        {
            complain(name, format!("`{name}` is a number, and this is `{text}`"));
        }
    }
    let blank = |name: &&str| params.text(name).is_some_and(|text| text.trim().is_empty());
    for name in ["fstype", "opts"].into_iter().filter(blank) {
        complain(name, format!("`{name}` is empty"));
    }
    complaints
}

struct MountTask {
    params: Params,
}

impl Task for MountTask {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let fstab = params.path("fstab").unwrap_or_else(|| FSTAB.into());
        let job = Job { params, point: point(params), fstab: &fstab, opts: options(params) };
        let backup = match params.text("state").unwrap_or_default() {
            "mounted" => job.mounted(machine)?,
            "present" => job.enter(machine)?,
            "absent_from_fstab" => job.strike(machine)?.1,
            "ephemeral" => {
                job.ephemeral(machine)?;
                None
            }
            "unmounted" => {
                job.unmount(machine)?;
                None
            }
            "remounted" => {
                job.remount(machine, params.text("opts"))?;
                None
            }
            state => job.absent(machine, state == "absent")?,
        };
        let mut outcome = Outcome::default()
            .with("name", job.point.as_str())
            .with("opts", if params.flag("opts_no_log", false) { "***" } else { &job.opts })
            .with("fstab", fstab.display().to_string())
            .with("boot", if params.flag("boot", true) { "yes" } else { "no" })
            .with("dump", params.text("dump").unwrap_or("0"))
            .with("passno", params.text("passno").unwrap_or("0"))
            .with("backup_file", backup.unwrap_or_default());
        for name in ["src", "fstype"] {
            if let Some(text) = params.text(name) {
                outcome = outcome.with(name, text);
            }
        }
        Ok(outcome)
    }
}

/// Any text in place of a table.
#[cfg(any(test, fuzzing))]
pub(super) fn hostile(text: &str) {
    let Some(entry) = fstab::find(text, "none", None).or_else(|| fstab::find(text, "/", None))
    else {
        return;
    };
    assert_eq!(fstab::with(text, &entry).and_then(|new| fstab::with(&new, &entry)), None);
    drop(fstab::without(text, &entry.point, Some(&entry.src)));
}

/// The path without slashes at its end.
fn point(params: &Params) -> String {
    let path = params.text("path").unwrap_or_default();
    let bare = path.trim_end_matches('/');
    if bare.is_empty() { path } else { bare }.to_owned()
}

fn options(params: &Params) -> String {
    let opts = params.text("opts").unwrap_or("defaults");
    let is_by_hand = opts.split(',').any(|word| word == "noauto");
    if params.flag("boot", true) || is_by_hand { opts.to_owned() } else { format!("{opts},noauto") }
}

/// What is mounted at a path.
enum Now {
    /// These, one over the other.
    There(Vec<Mount>),
    /// What a dry run has foretold.
    Foretold(String),
}

struct Job<'a> {
    params: &'a Params,
    point: String,
    fstab: &'a Path,
    opts: String,
}

impl Job<'_> {
    fn text(&self, name: &str) -> &str {
        self.params.text(name).unwrap_or_default()
    }

    /// Where the mount is, links resolved, as the kernel names it.
    fn place(&self, machine: &Machine) -> Result<PathBuf, Failure> {
        Ok(machine.resolve(Path::new(&self.point), Follow::Yes)?)
    }

    fn table(machine: &Machine) -> Result<Vec<Mount>, Failure> {
        mounts::parse(&machine.read(Path::new(TABLE))?)
            .map_err(|line| Failure::new(format!("{TABLE} has a line that is not known: {line}")))
    }

    fn now(&self, machine: &Machine) -> Result<Now, Failure> {
        let place = self.place(machine)?;
        if let Some(foretold) = machine.foretold_state(&mount_at(&place)) {
            return Ok(match foretold == NOT_MOUNTED {
                true => Now::There(Vec::new()),
                false => Now::Foretold(foretold),
            });
        }
        let mut all = Self::table(machine)?;
        all.retain(|mount| mount.point == place);
        Ok(Now::There(all))
    }

    /// Has the table name the mount; the place of the old one, where that is kept.
    fn enter(&self, machine: &mut Machine) -> Result<Option<String>, Failure> {
        let old = system::read(machine, self.fstab)?.unwrap_or_default();
        let number = |name| self.params.text(name).unwrap_or("0").to_owned();
        let wanted = Entry {
            src: self.text("src").to_owned(),
            point: self.point.clone(),
            fstype: self.text("fstype").to_owned(),
            opts: self.opts.clone(),
            dump: number("dump"),
            passno: number("passno"),
        };
        match fstab::with(&old, &wanted) {
            Some(new) => system::write(machine, self.fstab, new, self.params.flag("backup", false)),
            None => Ok(None),
        }
    }

    /// A mount as this run has told it, or as the kernel does.
    fn told(&self, machine: &Machine, mount: &Mount) -> Result<String, Failure> {
        let noted = machine.noted_state(&mount_at(&self.place(machine)?));
        let noted = noted.filter(|noted| *noted != NOT_MOUNTED);
        Ok(noted.map_or_else(|| of_host(mount), str::to_owned))
    }

    /// Takes the mount out of the table; whether it was there.
    fn strike(&self, machine: &mut Machine) -> Result<(bool, Option<String>), Failure> {
        let old = system::read(machine, self.fstab)?.unwrap_or_default();
        let Some(new) = fstab::without(&old, &self.point, self.params.text("src")) else {
            return Ok((false, None));
        };
        let backup = self.params.flag("backup", false);
        Ok((true, system::write(machine, self.fstab, new, backup)?))
    }

    fn mounted(&self, machine: &mut Machine) -> Result<Option<String>, Failure> {
        let mark = machine.journal().len();
        let now = self.now(machine)?;
        if matches!(&now, Now::There(all) if all.is_empty()) {
            self.must_have_source(machine)?;
        }
        make_directories(machine, Path::new(&self.point))?;
        let before = machine.journal().len();
        let backup = self.enter(machine)?;
        let is_new = machine.journal().len() > before;
        let done = match now {
            Now::There(all) => match all.last() {
                None => self.mount(machine, self.by_table(&[])),
                Some(mount) if is_new || self.lacks(mount) => self.remount(machine, None),
                Some(_) => Ok(()),
            },
            Now::Foretold(_) if is_new => self.remount(machine, None),
            Now::Foretold(_) => Ok(()),
        };
        let Err(mut failure) = done else { return Ok(backup) };
        // A table that names what cannot be mounted may keep the host from starting.
        if let Some(left) = machine.undo(mark).first() {
            failure.message.push_str(&format!("; and it is not taken back: {left}"));
        }
        Err(failure)
    }

    /// Whether the mount is without an option that was asked for.
    fn lacks(&self, mount: &Mount) -> bool {
        let words = || self.opts.split(',');
        let is_bind = words().any(|word| ["bind", "rbind", "remount"].contains(&word));
        let has = |word: &str| {
            mount.options.split(',').any(|it| it == word) || word == "ro" && mount.is_read_only()
        };
        !is_bind && words().any(|word| FLAGS.contains(&word) && !has(word))
    }

    /// A dry run must not promise to mount what is not there.
    fn must_have_source(&self, machine: &Machine) -> Result<(), Failure> {
        let src = self.text("src");
        let is_path = src.starts_with('/') && !src.starts_with("//");
        if is_path && machine.stat(Path::new(src), Follow::Yes)?.is_none() {
            let why = format!("there is no {src} to be mounted at {}", self.point);
            return Err(Failure::new(why));
        }
        Ok(())
    }

    /// `mount` with these words, for what the table says of the path.
    fn by_table(&self, words: &[&str]) -> Vec<String> {
        let fstab = self.fstab.display().to_string();
        let table: &[&str] = if fstab == FSTAB { &[] } else { &["-T", &fstab] };
        system::argv(&[&["mount"], table, words, &[&self.point]].concat())
    }

    /// How a mount is told.
    fn described(&self) -> String {
        format!("{} as {} with {}", self.text("src"), self.text("fstype"), self.opts)
    }

    fn mount(&self, machine: &mut Machine, argv: Vec<String>) -> Result<(), Failure> {
        let of = mount_at(&self.place(machine)?);
        let back = Some(system::argv(&["umount", &self.point]));
        let (before, after) = (NOT_MOUNTED.to_owned(), self.described());
        Ok(machine.transition(&Transition { of, before, after, argv, back })?)
    }

    fn ephemeral(&self, machine: &mut Machine) -> Result<(), Failure> {
        let top = match self.now(machine)? {
            Now::There(all) => all.into_iter().next_back(),
            Now::Foretold(told) if told == self.described() => return Ok(()),
            Now::Foretold(told) => return Err(self.is_taken(&told)),
        };
        let Some(mount) = top else {
            self.must_have_source(machine)?;
            make_directories(machine, Path::new(&self.point))?;
            let (fstype, src) = (self.text("fstype"), self.text("src"));
            let words: &[&str] =
                if self.opts == "defaults" { &[] } else { &["-o", self.opts.as_str()] };
            let argv = [&["mount", "-t", fstype], words, &[src, &self.point]].concat();
            return self.mount(machine, system::argv(&argv));
        };
        if !self.is_source_of(&mount, machine)? {
            return Err(self.is_taken(&self.told(machine, &mount)?));
        }
        if self.lacks(&mount) {
            return self.remount(machine, Some(&self.opts));
        }
        Ok(())
    }

    fn is_taken(&self, by: &str) -> Failure {
        let failure = Failure::new(format!("{} is mounted at {}", by, self.point));
        let hint = "`state: unmounted` first, or another path".to_owned();
        Failure { hint: Some(hint), ..failure }
    }

    /// Whether a mount is of what was asked for.
    fn is_source_of(&self, mount: &Mount, machine: &Machine) -> Result<bool, Failure> {
        let src = self.text("src");
        if self.opts.split(',').any(|word| ["bind", "rbind"].contains(&word)) {
            let src = machine.resolve(Path::new(src), Follow::Yes)?;
            let table = Self::table(machine)?;
            let below = table.iter().filter(|other| src.starts_with(&other.point));
            let holder = below.max_by_key(|other| other.point.as_os_str().len());
            return Ok(holder.is_some_and(|holder| {
                let rest = src.strip_prefix(&holder.point).unwrap_or(Path::new(""));
                let device = (holder.major, holder.minor) == (mount.major, mount.minor);
                device && holder.root.join(rest).components().eq(mount.root.components())
            }));
        }
        let is_kind = [mount.fstype.as_str(), "auto"].contains(&self.text("fstype"));
        if mount.device == src || !src.starts_with('/') {
            return Ok(is_kind && mount.device == src);
        }
        let real = |path: &str| machine.resolve(Path::new(path), Follow::Yes);
        Ok(is_kind && mount.device.starts_with('/') && real(&mount.device)? == real(src)?)
    }

    /// Mounts anew what is mounted, with other options.
    fn remount(&self, machine: &mut Machine, opts: Option<&str>) -> Result<(), Failure> {
        let (before, old) = match self.now(machine)? {
            Now::Foretold(told) => (told, None),
            Now::There(all) => match all.last() {
                Some(mount) => (self.told(machine, mount)?, Some(mount.options.clone())),
                None => return Err(Failure::new(format!("nothing is mounted at {}", self.point))),
            },
        };
        let words = |opts: &str| format!("remount,{opts}");
        let argv = match opts {
            Some(opts) if opts != "defaults" => self.by_table(&["-o", &words(opts)]),
            _ => self.by_table(&["-o", "remount"]),
        };
        let back = old.map(|old| system::argv(&["mount", "-o", &words(&old), &self.point]));
        let of = mount_at(&self.place(machine)?);
        let after = match self.params.text("src") {
            Some(_) => self.described(),
            None => format!("mounted anew with {}", self.opts),
        };
        match machine.transition(&Transition { of, before, after, argv, back }) {
            Err(fault) if opts.is_some() => Err(fault.into()),
            // Not every file system can change while it is mounted.
            Err(_) => {
                self.unmount(machine)?;
                self.mount(machine, self.by_table(&[]))
            }
            Ok(()) => Ok(()),
        }
    }

    /// Unmounts all that is at the path; whether there was something.
    fn unmount(&self, machine: &mut Machine) -> Result<bool, Failure> {
        let of = mount_at(&self.place(machine)?);
        let argv = system::argv(&["umount", &self.point]);
        let mounts = match self.now(machine)? {
            Now::There(all) => all,
            Now::Foretold(before) => {
                let after = NOT_MOUNTED.to_owned();
                machine.transition(&Transition { of, before, after, argv, back: None })?;
                return Ok(true);
            }
        };
        let table = system::read(machine, self.fstab)?.unwrap_or_default();
        let is_named = fstab::find(&table, &self.point, None).is_some();
        for (at, mount) in mounts.iter().enumerate().rev() {
            let below = at.checked_sub(1).and_then(|at| mounts.get(at));
            machine.transition(&Transition {
                of: of.clone(),
                before: self.told(machine, mount)?,
                after: below.map_or_else(|| NOT_MOUNTED.to_owned(), of_host),
                argv: argv.clone(),
                back: if is_named { Some(self.by_table(&[])) } else { again(mount, &self.point) },
            })?;
        }
        Ok(!mounts.is_empty())
    }

    fn absent(&self, machine: &mut Machine, goes: bool) -> Result<Option<String>, Failure> {
        // First, since what is in use stays mounted, and then stays in the table too.
        let was_mounted = self.unmount(machine)?;
        let (was_named, backup) = self.strike(machine)?;
        if goes && (was_mounted || was_named) {
            machine.remove_directory(Path::new(&self.point))?;
        }
        Ok(backup)
    }
}

/// A mount as the kernel tells it.
fn of_host(mount: &Mount) -> String {
    format!("{} as {} with {}", mount.device, mount.fstype, mount.options)
}

/// The command that mounts it again; `None` where only a part of a file system is mounted.
fn again(mount: &Mount, point: &str) -> Option<Vec<String>> {
    if mount.root != Path::new("/") {
        return None;
    }
    let options = match mount.fstype.as_str() {
        "tmpfs" => format!("{},{}", mount.options, mount.super_options),
        _ => mount.options.clone(),
    };
    Some(system::argv(&["mount", "-t", &mount.fstype, "-o", &options, &mount.device, point]))
}

/// Makes the directory, and those above it.
fn make_directories(machine: &mut Machine, path: &Path) -> Result<(), Failure> {
    if machine.stat(path, Follow::Yes)?.is_some() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_directories(machine, parent)?;
    }
    Ok(machine.mkdir(path, &Attributes::default())?)
}
