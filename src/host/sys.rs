//! Calls into the C library that no safe wrapper covers: the only unsafe code of Driftless.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::libc;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// Abbreviation and seconds east of UTC of the local time zone at `epoch_seconds`.
pub(super) fn local_zone(epoch_seconds: u64) -> (String, i64) {
    let utc = ("UTC".to_owned(), 0);
    let Ok(time) = libc::time_t::try_from(epoch_seconds) else { return utc };
    // SAFETY: `tm` is plain data for which all zeros is a value, and `localtime_r` writes only to
    // it. It returns null where the year does not fit, which is checked.
    let (filled, tm) = unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        (!libc::localtime_r(&raw const time, &raw mut tm).is_null(), tm)
    };
    if !filled || tm.tm_zone.is_null() {
        return utc;
    }
    // SAFETY: the C library keeps the names of zones as terminated strings until the zone is set
    // anew, which nothing in this process does.
    let name = unsafe { CStr::from_ptr(tm.tm_zone) };
    (name.to_string_lossy().into_owned(), tm.tm_gmtoff)
}

/// What a file system says of a path beyond its mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    /// `chattr +i`: nobody may change, rename or remove it.
    pub(super) immutable: bool,
    /// `chattr +a`: it may only grow.
    pub(super) append_only: bool,
    /// Something is mounted on it.
    pub(super) mount_point: bool,
    /// `chattr +c`: the file system compresses it.
    pub(super) compressed: bool,
    /// `chattr +d`: left out of dumps.
    pub(super) no_dump: bool,
    /// The file system encrypts it.
    pub(super) encrypted: bool,
}

fn c_path(path: &Path) -> Result<CString, Errno> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}

/// The flags of `path` itself, links not followed.
pub(super) fn flags(path: &Path) -> Result<Flags, Errno> {
    let path = c_path(path)?;
    // SAFETY: `statx` is plain data for which all zeros is a value; the call writes only to it,
    // and `path` is a terminated string that outlives the call.
    let (done, found) = unsafe {
        let mut found: libc::statx = std::mem::zeroed();
        let done = libc::statx(
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::AT_SYMLINK_NOFOLLOW,
            0,
            &raw mut found,
        );
        (done, found)
    };
    Errno::result(done)?;
    let has = |bit: i32| found.stx_attributes & u64::from(bit.unsigned_abs()) != 0;
    Ok(Flags {
        immutable: has(libc::STATX_ATTR_IMMUTABLE),
        append_only: has(libc::STATX_ATTR_APPEND),
        mount_point: has(libc::STATX_ATTR_MOUNT_ROOT),
        compressed: has(libc::STATX_ATTR_COMPRESSED),
        no_dump: has(libc::STATX_ATTR_NODUMP),
        encrypted: has(libc::STATX_ATTR_ENCRYPTED),
    })
}

/// Bytes that were written to a socket and that the other side does not have yet.
pub(super) fn output_queue(socket: BorrowedFd<'_>) -> Result<u64, Errno> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the kernel writes one int to `bytes`, which outlives the call, and the descriptor
    // stays open for as long as it is borrowed.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    Errno::result(done).map(|_| u64::try_from(bytes).unwrap_or(0))
}

/// Has `work` called in the child that becomes `command`, just before it does. `work` must do
/// nothing but system calls: no allocation, no lock.
pub(super) fn before_exec(
    command: &mut Command,
    work: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) {
    // SAFETY: the callers in this module's parent pass closures that only make system calls, which
    // are safe between fork and exec.
    unsafe { command.pre_exec(work) };
}

/// Which version of Landlock the kernel has; `None` where it has none, or it is switched off.
pub(super) fn landlock_version() -> Option<u32> {
    const ASK: u32 = 1;
    // SAFETY: asked for its version, the kernel reads none of our memory.
    let version = unsafe {
        let nothing = std::ptr::null::<LandlockRules>();
        libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0_usize, ASK)
    };
    u32::try_from(version).ok().filter(|version| *version > 0)
}

/// What a set of Landlock's rules denies, unless a rule allows it: bits of `linux/landlock.h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(super) struct LandlockRules {
    /// Kinds of access to files.
    pub(super) files: u64,
    /// Kinds of access to the network.
    pub(super) network: u64,
    /// What reaches only processes that are shut in too.
    pub(super) scopes: u64,
}

/// A new set of rules that binds nobody yet.
pub(super) fn landlock_rules(denied: LandlockRules) -> Result<OwnedFd, Errno> {
    // SAFETY: the kernel reads exactly the size given of `denied`, which outlives the call; where it
    // knows fewer members it accepts the others as long as they are zero.
    let made = unsafe {
        let size = size_of::<LandlockRules>();
        libc::syscall(libc::SYS_landlock_create_ruleset, &raw const denied, size, 0_u32)
    };
    let made = i32::try_from(Errno::result(made)?).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel has just opened it for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(made) })
}

/// Allows `access` to the file `below`, or to what is below that directory.
pub(super) fn landlock_allow(
    rules: BorrowedFd<'_>,
    below: BorrowedFd<'_>,
    access: u64,
) -> Result<(), Errno> {
    const BENEATH: u32 = 1;
    #[repr(C, packed)]
    struct Rule {
        access: u64,
        below: i32,
    }
    let rule = Rule { access, below: below.as_raw_fd() };
    // SAFETY: the kernel reads one `Rule`, packed as it expects it; both descriptors are open.
    let done = unsafe {
        let rules = rules.as_raw_fd();
        libc::syscall(libc::SYS_landlock_add_rule, rules, BENEATH, &raw const rule, 0_u32)
    };
    Errno::result(done).map(drop)
}

/// Has the kernel say over this netlink socket why it refuses something, and not only that it does.
pub(super) fn ask_for_reasons(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    let (on, size): (libc::c_int, libc::socklen_t) = (1, 4);
    // SAFETY: the call reads the number that `on` points to, whose size it is told, and writes nothing.
    let done = unsafe {
        let (level, option) = (libc::SOL_NETLINK, libc::NETLINK_EXT_ACK);
        libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), size)
    };
    Errno::result(done).map(drop)
}

/// Binds this thread, and all that it starts, to `rules` for good.
pub(super) fn landlock_enter(rules: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: the call takes a descriptor, which is open, and reads no memory.
    let done = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0_u32) };
    Errno::result(done).map(drop)
}

/// Has `program` judge every further system call of this thread and of all that it starts.
pub(super) fn filter_calls(program: &[libc::sock_filter]) -> Result<(), Errno> {
    let len = libc::c_ushort::try_from(program.len()).map_err(|_| Errno::EINVAL)?;
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    // SAFETY: the kernel reads `len` instructions, copies them and writes nothing.
    let done = unsafe {
        let operation = libc::SECCOMP_SET_MODE_FILTER;
        libc::syscall(libc::SYS_seccomp, operation, 0_u32, &raw const program)
    };
    Errno::result(done).map(drop)
}

/// Gives up all capabilities but those of the bits `kept`.
pub(super) fn keep_capabilities(kept: u64) -> Result<(), Errno> {
    const VERSION: u32 = 0x2008_0522;
    #[derive(Clone, Copy, Default)]
    #[repr(C)]
    struct Words {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    // Version and process; 0 is this thread.
    let mut header = [VERSION, 0];
    let mut words = [Words::default(); 2];
    // SAFETY: for this version the kernel writes two `Words`, which is what there is.
    let read = unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), words.as_mut_ptr()) };
    Errno::result(read)?;
    for (word, kept) in words.iter_mut().zip([kept & u64::from(u32::MAX), kept >> 32]) {
        let kept = u32::try_from(kept).unwrap_or(0);
        word.permitted &= kept;
        word.effective = word.permitted;
        word.inheritable &= kept;
    }
    // SAFETY: as above; the kernel only reads them.
    let done = unsafe { libc::syscall(libc::SYS_capset, header.as_mut_ptr(), words.as_ptr()) };
    Errno::result(done).map(drop)
}

/// The kernel's clock discipline as it is now, and its word on whether the clock is right
/// (`TIME_ERROR` where it is not). Nothing is set.
pub(super) fn clock_discipline() -> Result<(libc::timex, i32), Errno> {
    // SAFETY: `timex` is plain data for which all zeros is a value; with no modes set, the call
    // only writes to it.
    let (state, told) = unsafe {
        let mut told: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut told), told)
    };
    Errno::result(state).map(|state| (told, state))
}

/// Has libgit2 read the settings of a repository itself and of nothing else, and speak `scheme`
/// by `transport`. To be called before anything else of libgit2 is.
pub(super) fn set_up_libgit2(
    scheme: &str,
    transport: fn(&git2::Remote<'_>) -> Result<git2::transport::Transport, git2::Error>,
) -> Result<(), git2::Error> {
    use git2::ConfigLevel::{Global, ProgramData, System, XDG};
    for level in [ProgramData, System, XDG, Global] {
        // SAFETY: the library reads these paths without a lock when it opens a repository; the one
        // caller does this once, and opens none before.
        unsafe { git2::opts::set_search_path(level, "")? };
    }
    // SAFETY: as above, for the list of transports, which is read when something is fetched.
    unsafe { git2::transport::register(scheme, transport) }
}

/// Lets go of the pages from `start` to `end`, which are mapped from a file, privately, and were
/// never written to.
pub(super) fn forget_file_pages(start: usize, end: usize) -> Result<(), Errno> {
    let length = end.saturating_sub(start);
    let place = std::ptr::with_exposed_provenance_mut::<libc::c_void>(start);
    // SAFETY: a page of such a mapping reads the same before and after, since it comes back from
    // the file when it is touched. The one caller gives the kernel's own words on where the
    // program's code is mapped, which stays there for as long as it runs.
    Errno::result(unsafe { libc::madvise(place, length, libc::MADV_DONTNEED) }).map(drop)
}
