//! The system calls that a dry run is denied, as programs for the kernel's own little machine.

use nix::libc;
use nix::libc::sock_filter;

/// The architecture that system calls are numbered for, as the kernel's audit names it; `None`
/// where this list does not know it.
const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xc000_003e)
} else if cfg!(target_arch = "aarch64") {
    Some(0xc000_00b7)
} else if cfg!(target_arch = "riscv64") {
    Some(0xc000_00f3)
} else {
    None
};

/// Permissions, owners, attributes and times, and the state of the kernel itself.
const CHANGING: &[libc::c_long] = &[
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_utimensat,
    libc::SYS_quotactl,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_setns,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_acct,
    libc::SYS_bpf,
    libc::SYS_ptrace,
    libc::SYS_process_vm_writev,
    // The same on all architectures: io_uring_setup, fchmodat2, setxattrat, removexattrat and
    // file_setattr, newer than what the C library names. The first gets round this list.
    425,
    452,
    463,
    466,
    469,
];

/// Older spellings of these that not every architecture has.
#[cfg(target_arch = "x86_64")]
const OLDER: &[libc::c_long] = &[
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[libc::c_long] = &[];

/// Where numbers of another way to call the kernel begin (x32).
const OTHER_NUMBERS: u32 = 0x4000_0000;

/// What `chattr` and its like ask of a file: to set flags (of either word size), to set more.
const SET_FLAGS: &[u32] = &[0x4008_6602, 0x4004_6602, 0x401c_5820];

/// The filter for all of a dry run; `None` where it is not known how to write one.
pub(in crate::host) fn of_dry_runs() -> Option<Vec<sock_filter>> {
    Some(Program::new(ARCHITECTURE?).allow_the_rest())
}

/// What guards are denied beyond that: sockets of the host, by which other programs could be asked
/// to change it.
pub(in crate::host) fn of_guards() -> Option<Vec<sock_filter>> {
    let mut program = Program::new(ARCHITECTURE?);
    program.deny_argument(libc::SYS_socket, 0, &[libc::AF_UNIX.unsigned_abs()]);
    Some(program.allow_the_rest())
}

// Where the kernel lays out the call to judge: `struct seccomp_data`.
const NUMBER: u32 = 0;
const CALLER: u32 = 4;
const ARGUMENTS: u32 = 16;

struct Program(Vec<sock_filter>);

impl Program {
    fn new(architecture: u32) -> Self {
        let mut program = Self(Vec::new());
        program.load(CALLER);
        // A program of another word size has other numbers, which nobody here has looked at.
        program.step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, architecture, [1, 0]);
        program.deny();
        program.load(NUMBER);
        program.step(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, OTHER_NUMBERS, [0, 1]);
        program.deny();
        for call in CHANGING.iter().chain(OLDER) {
            program.deny_if(u32::try_from(*call).unwrap_or(OTHER_NUMBERS));
        }
        program.deny_argument(libc::SYS_ioctl, 1, SET_FLAGS);
        program
    }

    /// One instruction; `jumps` are how many to leave out where the test holds and where not.
    fn step(&mut self, code: u32, k: u32, jumps: [u8; 2]) {
        let code = u16::try_from(code).unwrap_or(0);
        self.0.push(sock_filter { code, jt: jumps[0], jf: jumps[1], k });
    }

    fn load(&mut self, at: u32) {
        self.step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at, [0, 0]);
    }

    fn deny(&mut self) {
        let errno = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();
        self.step(libc::BPF_RET | libc::BPF_K, errno, [0, 0]);
    }

    /// Denies the call where what was loaded is `value`.
    fn deny_if(&mut self, value: u32) {
        self.step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, [0, 1]);
        self.deny();
    }

    /// Denies `call` where its argument number `argument` (from 0) is one of `values`. The number
    /// of the call is loaded before and after.
    fn deny_argument(&mut self, call: libc::c_long, argument: u32, values: &[u32]) {
        let call = u32::try_from(call).unwrap_or(OTHER_NUMBERS);
        let tests = u8::try_from(values.len() * 2 + 1).unwrap_or(u8::MAX);
        self.step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call, [0, tests]);
        // The lower half comes first on all architectures that are known here.
        self.load(ARGUMENTS + 8 * argument);
        values.iter().for_each(|value| self.deny_if(*value));
        self.load(NUMBER);
    }

    fn allow_the_rest(mut self) -> Vec<sock_filter> {
        self.step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, [0, 0]);
        self.0
    }
}
