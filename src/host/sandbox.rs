//! Keeps a dry run from touching the host, whatever it or the programs that it starts may try:
//! Landlock denies writing, seccomp what Landlock leaves open.
//!
//! Both bind one thread and all that it starts, and nobody else. Guards, the programs that a user
//! wrote into a dry run (`validate`, `check_mode: false`, the look-up `pipe`), are bound more
//! tightly still: they keep no rights of root but to look, and reach no other program, be it over
//! TCP, over a socket of the host or by D-Bus.

mod calls;

use super::sys::{self, LandlockRules};
use nix::fcntl::{OFlag, open};
use nix::libc::sock_filter;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_no_new_privs;
use nix::sys::stat::Mode;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// All ways to change files that Landlock knows, each with its first version: bits of
/// `linux/landlock.h`.
const WRITING: [(u32, u64); 4] = [
    // Write, remove and make: files, directories, links, pipes, sockets and devices.
    (1, 0b1_1111_1111_0010),
    // Rename or link from one directory to another.
    (2, 1 << 13),
    (3, TRUNCATE),
    (5, DEVICE_CONTROL),
];
const WRITE_FILE: u64 = 1 << 1;
const TRUNCATE: u64 = 1 << 14;
const DEVICE_CONTROL: u64 = 1 << 15;
/// What can be allowed for a file, not only for a directory.
const OF_FILES: u64 = WRITE_FILE | TRUNCATE | DEVICE_CONTROL;
/// Landlock's bits for TCP, bind and connect, and the first version that has them.
const TCP: (u32, u64) = (4, 0b11);
/// Abstract sockets and signals of processes outside, likewise.
const SCOPES: (u32, u64) = (6, 0b11);

/// Devices that remember nothing, and the terminal.
const HARMLESS: [&str; 6] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/ptmx", "/dev/pts"];
/// Where guards have a place of their own to write to. Nothing that a config manages lies here,
/// so that nothing is hidden from the dry run.
const SCRATCH: &str = "/dev/shm";

/// To read any file, and to become another user: of root's rights, what guards keep.
const KEPT_CAPABILITIES: u64 = 1 << 2 | 1 << 6 | 1 << 7;

/// What programs say to whom something is denied that a guard may not do. Their own words are all
/// that tells a denial from a failure, so that a guard speaks English: see [`Sandbox::confine`]. One
/// that fails in another language is asked again.
const DENIALS: [&[u8]; 10] = [
    b"permission denied",
    b"operation not permitted",
    b"read-only file system",
    b"no new privileges",
    // What curl, ssh and clients of databases say.
    b"couldn't connect",
    b"could not connect",
    b"failed to connect",
    b"can't connect",
    b"cannot connect",
    b"unable to connect",
];

/// The walls around a thread. All clones are about the same ones.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// What guards are bound by; `None` where the kernel lacks what it takes, so that a guard
    /// could change the host.
    guards: Option<Arc<Guards>>,
}

#[derive(Debug)]
struct Guards {
    /// The network's rules, where Landlock knows any.
    rules: Option<OwnedFd>,
    filter: Vec<sock_filter>,
    /// The private file system, where one could be made.
    scratch: Option<&'static str>,
}

impl Sandbox {
    /// Shuts the calling thread in for good, and all that it starts, as far as the kernel can do
    /// that.
    pub fn enter() -> Self {
        let scratch = private_scratch();
        let guards = shut_in(scratch).map(|()| {
            let rules = rules_for_guards().and_then(|denied| sys::landlock_rules(denied).ok());
            let filter = calls::of_guards().unwrap_or_default();
            Arc::new(Guards { rules, filter, scratch })
        });
        Self { guards: guards.ok() }
    }

    /// Whether a program that is not known to only look can be started without harm.
    pub(super) fn holds(&self) -> bool {
        self.guards.is_some()
    }

    /// Where guards, this thread and what it starts have a place of their own to write to.
    pub(super) fn scratch(&self) -> Option<&'static Path> {
        self.guards.as_ref()?.scratch.map(Path::new)
    }

    /// Makes a guard of `command`. What it says is in English, unless its own environment asks for
    /// another language.
    pub(super) fn confine(&self, command: &mut Command) {
        let Some(guards) = self.guards.clone() else { return };
        if let Some(scratch) = guards.scratch {
            command.env("TMPDIR", scratch);
        }
        // Text is still UTF-8; `LANGUAGE` would count for more than the locale.
        command.env("LC_ALL", "C.UTF-8").env_remove("LANGUAGE");
        sys::before_exec(command, move || {
            sys::keep_capabilities(KEPT_CAPABILITIES)?;
            if let Some(rules) = &guards.rules {
                sys::landlock_enter(rules.as_fd())?;
            }
            Ok(sys::filter_calls(&guards.filter)?)
        });
    }

    /// Whether a guard that failed and said this only failed because of these walls.
    pub(super) fn was_denied(&self, said: &[u8]) -> bool {
        let says = |denial: &&[u8]| {
            said.windows(denial.len()).any(|words| words.eq_ignore_ascii_case(denial))
        };
        self.holds() && DENIALS.iter().any(says)
    }
}

fn shut_in(scratch: Option<&str>) -> io::Result<()> {
    let unsupported = || io::Error::from(io::ErrorKind::Unsupported);
    let version = sys::landlock_version().ok_or_else(unsupported)?;
    let filter = calls::of_dry_runs().ok_or_else(unsupported)?;
    let known = |(since, bits): (u32, u64)| if version >= since { bits } else { 0 };
    let files = WRITING.into_iter().map(known).fold(0, |all, bits| all | bits);
    let rules = sys::landlock_rules(LandlockRules { files, network: 0, scopes: known(SCOPES) })?;
    for path in HARMLESS.into_iter().chain(scratch) {
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        let Ok(place) = open(path, flags, Mode::empty()) else { continue };
        let access = if Path::new(path).is_dir() { files } else { files & OF_FILES };
        sys::landlock_allow(rules.as_fd(), place.as_fd(), access)?;
    }
    set_no_new_privs()?;
    sys::landlock_enter(rules.as_fd())?;
    Ok(sys::filter_calls(&filter)?)
}

fn rules_for_guards() -> Option<LandlockRules> {
    let (since, network) = TCP;
    let version = sys::landlock_version().filter(|version| *version >= since)?;
    let scopes = if version >= SCOPES.0 { SCOPES.1 } else { 0 };
    Some(LandlockRules { files: 0, network, scopes })
}

/// An empty file system that only this thread and what it starts can see. Only root can have one.
fn private_scratch() -> Option<&'static str> {
    let nothing = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS).ok()?;
    // Else what is mounted here would show on the host.
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing).ok()?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), SCRATCH, Some("tmpfs"), flags, Some("mode=1777,size=64m")).ok()?;
    Some(SCRATCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::xattr;
    use std::fs;

    /// What `work` comes to on a thread that is shut in; `None` where the kernel cannot do that.
    fn inside<R: Send>(work: impl FnOnce(&Sandbox) -> R + Send) -> Option<R> {
        std::thread::scope(|scope| {
            let shut_in = scope.spawn(|| {
                let sandbox = Sandbox::enter();
                sandbox.holds().then(|| work(&sandbox))
            });
            shut_in.join().unwrap()
        })
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn nothing_on_the_host_can_be_changed_from_within_and_all_of_it_from_outside() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::write(at("file"), "old").unwrap();
        fs::create_dir(at("dir")).unwrap();
        let before = fs::metadata(at("file")).unwrap();
        let tried = inside(|_| {
            use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
            let mode = fs::Permissions::from_mode(0o777);
            let times = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
            [
                ("write", fs::write(at("file"), "new")),
                ("create", fs::write(at("new"), "new")),
                ("remove", fs::remove_file(at("file"))),
                ("rename", fs::rename(at("file"), at("dir/file"))),
                ("mkdir", fs::create_dir(at("other"))),
                ("rmdir", fs::remove_dir(at("dir"))),
                ("link", symlink("file", at("link"))),
                ("chmod", fs::set_permissions(at("file"), mode)),
                ("chown", chown(at("file"), Some(1), Some(1))),
                ("xattr", xattr::set(&at("file"), c"user.note", b"x")),
                ("times", fs::File::open(at("file")).and_then(|file| file.set_times(times))),
            ]
            .map(|(what, done)| (what, done.is_err()))
        });
        let Some(tried) = tried else { return };
        for (what, denied) in tried {
            assert!(denied, "{what}");
        }
        assert_eq!(fs::read(at("file")).unwrap(), b"old");
        assert_eq!(
            fs::metadata(at("file")).unwrap().modified().unwrap(),
            before.modified().unwrap()
        );
        fs::write(at("file"), "new").unwrap();
    }

    #[test]
    fn a_guard_reads_the_host_and_writes_only_to_a_place_of_its_own() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "old").unwrap();
        let ran = inside(|sandbox| {
            let run = |script: String| {
                let mut command = shell(&script);
                sandbox.confine(&mut command);
                command.output().unwrap()
            };
            let file = file.display();
            let read = run(format!("cat {file}; echo said >/dev/null"));
            assert_eq!(read.stdout, b"old");
            for script in [
                format!("echo new >{file}"),
                format!("chmod 777 {file}"),
                format!("rm {file}"),
                format!("touch {file}"),
            ] {
                let output = run(script.clone());
                assert!(!output.status.success(), "{script}");
                assert!(sandbox.was_denied(&output.stderr), "{script}: {output:?}");
            }
            if nix::unistd::geteuid().is_root() {
                let output = run("t=$(mktemp) && echo x >$t && cat $t".to_owned());
                assert_eq!(output.stdout, b"x\n", "{output:?}");
            }
        });
        if ran.is_some() {
            assert_eq!(fs::read(&file).unwrap(), b"old");
        }
    }

    #[test]
    fn a_guard_reaches_no_other_program() {
        let root = tempfile::tempdir().unwrap();
        let socket = root.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        let me = std::process::id();
        let ran = inside(|sandbox| {
            let run = |program: &str, script: &str| {
                let mut command = Command::new(program);
                command.args(["-c", script]);
                sandbox.confine(&mut command);
                command.output().unwrap()
            };
            let dial = format!("exec 3<>/dev/tcp/127.0.0.1/{port}");
            let bash = Path::new("/bin/bash").exists();
            if bash && sys::landlock_version().is_some_and(|version| version >= TCP.0) {
                assert!(!run("/bin/bash", &dial).status.success());
            }
            if sys::landlock_version().is_some_and(|version| version >= SCOPES.0) {
                assert!(!run("/bin/sh", &format!("kill -0 {me}")).status.success());
            }
            let mut command = Command::new("/bin/true");
            sandbox.confine(&mut command);
            assert!(command.status().unwrap().success());
        });
        assert!(ran.is_some() || sys::landlock_version().is_none());
    }

    #[test]
    fn what_is_mounted_within_does_not_show_outside() {
        let before = fs::read("/proc/thread-self/mounts").unwrap();
        inside(|_| {});
        assert_eq!(fs::read("/proc/thread-self/mounts").unwrap(), before);
    }
}
