//! The files of users and groups are changed as a whole, under the lock that the C library's
//! `lckpwdf`, and so every tool of the host that edits them, takes.

use super::accounts::{GROUP, PASSWD};
use super::command::Command;
use super::fault::Fault;
use super::path::Follow;
use super::write::{Attributes, WriteOptions};
use super::{Back, Machine};
use crate::host::accounts::Accounts;
use crate::host::accounts::entries::User;
use crate::host::accounts::settings::Settings;
use crate::host::accounts::table::Table;
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

const LOCK: &str = "/etc/.pwd.lock";
/// As long as the C library waits for it.
const PATIENCE: Duration = Duration::from_secs(15);

/// Programs that forget what they remember of users and groups.
const CACHES: &[&[&str]] = &[
    &["/usr/sbin/nscd", "--invalidate=passwd"],
    &["/usr/sbin/nscd", "--invalidate=group"],
    &["/usr/sbin/sss_cache", "--users", "--groups"],
];

impl Machine {
    /// What the host's own files say of users and groups. Whoever may not read passwords sees none.
    pub fn accounts(&self) -> Result<Accounts, Fault> {
        let table = |path: &str| -> Result<Option<Table>, Fault> {
            Ok(self.content(path)?.map(|content| Table::read(&content)))
        };
        let secret = |path: &str| match table(path) {
            Err(_) if !self.is_root() => Ok(None),
            found => found,
        };
        let text = |path: &str| -> Result<String, Fault> {
            let content = self.content(path)?.unwrap_or_default();
            Ok(String::from_utf8_lossy(&content).into_owned())
        };
        Ok(Accounts {
            passwd: table(PASSWD)?.unwrap_or_default(),
            group: table(GROUP)?.unwrap_or_default(),
            shadow: secret("/etc/shadow")?,
            gshadow: secret("/etc/gshadow")?,
            subuid: table("/etc/subuid")?,
            subgid: table("/etc/subgid")?,
            settings: Settings::read(&text("/etc/login.defs")?, &text("/etc/default/useradd")?),
            today: self.now().seconds / 86_400,
        })
    }

    fn content(&self, path: &str) -> Result<Option<bytes::Bytes>, Fault> {
        let path = Path::new(path);
        self.stat(path, Follow::Yes)?.map(|_| self.read(path)).transpose()
    }

    /// Makes the account files what `edit` makes of them. It is called again where somebody else has
    /// changed them before they could be locked. Where they are to be changed, `first` does before
    /// that what must not be left undone once they are; it gets what `edit` has returned, and the
    /// files as they are.
    ///
    /// # Errors
    /// Those of `edit` and `first`, and what stands in the way of writing.
    pub fn edit_accounts<R, E: From<Fault>>(
        &mut self,
        edit: impl Fn(&mut Accounts, &Self) -> Result<R, E>,
        first: impl FnOnce(&mut Self, &R, &Accounts) -> Result<(), E>,
    ) -> Result<R, E> {
        let mut now = self.accounts()?;
        let mut wanted = now.clone();
        let mut result = edit(&mut wanted, self)?;
        if wanted == now {
            return Ok(result);
        }
        let is_live = matches!(self.back, Back::Live);
        // Others cannot lock, and are told below what they may not write.
        let lock = (is_live && self.is_root()).then(lock).transpose()?;
        self.look_anew();
        let locked = if lock.is_some() { self.accounts()? } else { now.clone() };
        if locked != now {
            now = locked;
            wanted = now.clone();
            result = edit(&mut wanted, self)?;
        }
        first(self, &result, &now)?;
        self.write_accounts(&now, &wanted)?;
        drop(lock);
        if is_live {
            self.flush_caches();
        }
        Ok(result)
    }

    /// The line that makes a user one comes last, and the one that ends it too: a run that is killed
    /// in between finds the user as it was, and does it all again. But a group of the user's own comes
    /// after the user: a group of that name that is there before is another one.
    fn write_accounts(&mut self, now: &Accounts, wanted: &Accounts) -> Result<(), Fault> {
        let passwd = (PASSWD, Some(&now.passwd), Some(&wanted.passwd));
        let group = (GROUP, Some(&now.group), Some(&wanted.group));
        let is_new = |user: User| !now.passwd.has(&user.name);
        let has_new = wanted.passwd.entries().any(is_new);
        let last = if has_new { [passwd, group] } else { [group, passwd] };
        let first = [
            ("/etc/shadow", now.shadow.as_ref(), wanted.shadow.as_ref()),
            ("/etc/gshadow", now.gshadow.as_ref(), wanted.gshadow.as_ref()),
            ("/etc/subuid", now.subuid.as_ref(), wanted.subuid.as_ref()),
            ("/etc/subgid", now.subgid.as_ref(), wanted.subgid.as_ref()),
        ];
        let options = WriteOptions { follow: true, ..WriteOptions::default() };
        for (path, now, wanted) in first.into_iter().chain(last) {
            if let Some(wanted) = wanted.filter(|wanted| Some(*wanted) != now) {
                let (path, content) = (Path::new(path), wanted.content());
                self.write_file(path, &content, &Attributes::default(), &options)?;
            }
        }
        Ok(())
    }

    fn flush_caches(&mut self) {
        for argv in CACHES.iter().filter(|argv| Path::new(argv[0]).exists()) {
            let argv = argv.iter().map(|word| (*word).to_owned()).collect();
            // One that does not run has nothing to forget.
            drop(self.query(&Command { argv, ..Command::default() }));
        }
    }

    /// A process that runs as the user `uid`: its number and what it is called.
    pub fn process_of(&self, uid: u32) -> Option<(u32, String)> {
        let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
        processes.into_iter().find_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let status = fs::read_to_string(entry.path().join("status")).ok()?;
            let field = |name| status.lines().find_map(|line| line.strip_prefix(name));
            // The real, effective and saved user, and that of the file system.
            let mut ids = field("Uid:")?.split_ascii_whitespace();
            let is_it = ids.any(|id| id.parse() == Ok(uid));
            is_it.then(|| (pid, field("Name:").unwrap_or_default().trim().to_owned()))
        })
    }
}

fn lock() -> Result<File, Fault> {
    let path = Path::new(LOCK);
    let flags = nix::fcntl::OFlag::O_NOFOLLOW.bits();
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
    let file = options.open(path).map_err(|error| Fault::kernel("open", path, error))?;
    let begun = Instant::now();
    loop {
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::AGAIN | Errno::ACCESS) if begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(Errno::AGAIN | Errno::ACCESS) => {
                let seconds = PATIENCE.as_secs();
                let why = format!("another program has held {LOCK} for over {seconds} seconds");
                return Err(Fault::new(why).hint("it is changing users or groups; try again"));
            }
            Err(error) => return Err(Fault::kernel("lock", path, error)),
        }
    }
}
