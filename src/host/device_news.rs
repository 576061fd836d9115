//! Hears when the kernel gets or loses a device or a module.
//!
//! Most folders that tell of devices are empty or absent on most hosts, and opening them time and
//! again costs more than reading all that is there.

use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};

/// How long after news a host is still moving: modules of old kernels tell of themselves before
/// they have made their files, and udev notes down later what it found.
const SETTLES: Duration = Duration::from_secs(60);

/// How long nothing is believed to have changed because nothing was heard.
const BELIEVED: Duration = Duration::from_secs(300);

/// The kernel's own news; those of udev are another group.
const KERNEL: u32 = 1;

/// Listens from the first question on.
#[derive(Debug)]
pub struct DeviceNews {
    settles: Duration,
    ear: Ear,
    /// When there was news last.
    news: Instant,
    /// When somebody was last told to look.
    look: Instant,
}

#[derive(Debug)]
enum Ear {
    New,
    /// Nothing is heard here.
    Deaf,
    Open(OwnedFd),
}

impl Default for DeviceNews {
    fn default() -> Self {
        Self::settling(SETTLES)
    }
}

impl DeviceNews {
    /// Of a host that has settled so long after news.
    pub fn settling(settles: Duration) -> Self {
        let now = Instant::now();
        Self { settles, ear: Ear::New, news: now, look: now }
    }

    /// Whether what was found when this last said `false` is still so. It says `false` again once the
    /// host has settled, at least every five minutes, and always where the kernel is not heard.
    pub fn is_quiet(&mut self) -> bool {
        let now = Instant::now();
        let has_news = match &self.ear {
            Ear::New => {
                self.ear = open().map_or(Ear::Deaf, Ear::Open);
                true
            }
            Ear::Deaf => return false,
            Ear::Open(socket) => take_all(socket),
        };
        if has_news {
            self.news = now;
        }
        let has_settled = self.look.saturating_duration_since(self.news) >= self.settles;
        let is_quiet = !has_news && has_settled && now.duration_since(self.look) < BELIEVED;
        if !is_quiet {
            self.look = now;
        }
        is_quiet
    }
}

/// `None` where the kernel gives its news to others: to a user namespace within another it tells
/// of network interfaces only.
fn open() -> Option<OwnedFd> {
    let map = fs::read_to_string("/proc/self/uid_map").ok()?;
    if !map.split_ascii_whitespace().eq(["0", "0", "4294967295"]) {
        return None;
    }
    let protocol = SockProtocol::NetlinkKObjectUEvent;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, Some(protocol)).ok()?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, KERNEL)).ok()?;
    Some(socket)
}

/// Takes what has come, and says whether anything has. What it was is not looked at, and what did
/// not fit counts too.
fn take_all(socket: &OwnedFd) -> bool {
    let mut has_news = false;
    let mut start = [0_u8; 1];
    loop {
        match recv(socket.as_raw_fd(), &mut start, MsgFlags::MSG_DONTWAIT) {
            Err(Errno::EAGAIN) => return has_news,
            Err(Errno::EINTR) => {}
            Err(Errno::ENOBUFS) => has_news = true,
            Ok(length) if length > 0 => has_news = true,
            // A socket that has nothing to say any more must not keep anybody from looking.
            Ok(_) | Err(_) => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::{CloneFlags, unshare};
    use std::process::Command;

    #[test]
    fn a_new_device_is_heard_of_and_a_host_is_quiet_only_once_it_has_settled() {
        // The interface is made in a network of this thread's own, which ends with it.
        let heard = std::thread::spawn(|| {
            if unshare(CloneFlags::CLONE_NEWNET).is_err() {
                return None;
            }
            let mut news = DeviceNews::settling(Duration::ZERO);
            assert!(!news.is_quiet(), "nobody has looked yet");
            if matches!(news.ear, Ear::Deaf) {
                return None;
            }
            let deadline = Instant::now() + Duration::from_secs(20);
            while !news.is_quiet() {
                assert!(Instant::now() < deadline, "there is news all the time");
            }
            let made = Command::new("ip").args(["link", "add", "type", "veth"]).status();
            if !made.is_ok_and(|made| made.success()) {
                return None;
            }
            let is_quiet = news.is_quiet();
            news.settles = Duration::from_secs(3600);
            assert!(!news.is_quiet(), "it has not settled");
            Some(!is_quiet)
        });
        match heard.join().unwrap() {
            Some(has_heard) => assert!(has_heard),
            None => println!("skipped: no network of its own to be had here"),
        }
    }

    #[test]
    fn nothing_is_believed_for_long() {
        let mut news = DeviceNews::settling(Duration::ZERO);
        news.is_quiet();
        if let Some(before) = Instant::now().checked_sub(BELIEVED) {
            news.look = before;
            assert!(!news.is_quiet());
        }
    }
}
