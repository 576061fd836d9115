//! What the service manager that has started this process wants to hear of it: `sd_notify(3)`.

use rustix::time::{ClockId, clock_gettime};
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// One that does not read holds nothing up for longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// A service manager that listens.
#[derive(Debug)]
pub struct ServiceManager {
    socket: UnixDatagram,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one that has started this process, by what it has put into the environment:
    /// `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`. `None` where none wants to hear.
    ///
    /// # Errors
    /// Where it cannot be reached.
    pub fn of_this_process() -> io::Result<Option<Self>> {
        let Some(address) = std::env::var_os("NOTIFY_SOCKET").filter(|it| !it.is_empty()) else {
            return Ok(None);
        };
        let text = |name: &str| std::env::var(name).ok();
        let limit = watchdog(text("WATCHDOG_USEC"), text("WATCHDOG_PID"), std::process::id());
        Self::at(&address, limit).map(Some)
    }

    /// The one that listens at `address`: a path, or after an `@` a name that is no file.
    /// `watchdog` is how long it lets the process be silent.
    fn at(address: &OsStr, watchdog: Option<Duration>) -> io::Result<Self> {
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(address)?,
            _ => {
                let message = "`NOTIFY_SOCKET` is neither a path nor `@` and a name";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, watchdog })
    }

    /// How often it wants a sign of life: twice as often as it has to, as `sd_watchdog_enabled(3)`
    /// advises.
    pub fn sign_of_life_every(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }

    /// Everything is at work; `status` in words.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// The config is being loaded anew. [`Self::ready`] says that it was.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    /// The process ends, and asks for so much time to do it.
    pub fn stopping(&self, within: Duration) {
        let microseconds = within.as_micros();
        self.tell(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={microseconds}\nSTATUS=drains"));
    }

    /// A sign of life.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// What does not arrive, the service manager will miss and act on; nothing here depends on it.
    fn tell(&self, state: &str) {
        if let Err(error) = self.socket.send(state.as_bytes()) {
            tracing::debug!(%error, state, "the service manager was not told");
        }
    }
}

/// Each line is a field of its own.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// How long the process may be silent, where that is meant for it.
fn watchdog(limit: Option<String>, of: Option<String>, pid: u32) -> Option<Duration> {
    let is_meant = of.is_none_or(|of| of.parse() == Ok(pid));
    let microseconds = limit.filter(|_| is_meant)?.parse().ok().filter(|limit| *limit > 0)?;
    Some(Duration::from_micros(microseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 4096];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    #[test]
    fn it_hears_at_a_path_and_at_a_name_that_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        let manager = ServiceManager::at(path.as_os_str(), None).unwrap();
        manager.ready("3 components\nREADY=0");
        assert_eq!(heard(&listener), "READY=1\nSTATUS=3 components READY=0");
        let name = format!("driftless-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        let manager = ServiceManager::at(OsStr::new(&format!("@{name}")), None).unwrap();
        manager.reloading();
        let told = heard(&listener);
        let time = told.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(time.parse::<u64>().unwrap() > 0);
        manager.stopping(Duration::from_secs(2));
        assert_eq!(heard(&listener), "STOPPING=1\nEXTEND_TIMEOUT_USEC=2000000\nSTATUS=drains");
        assert!(ServiceManager::at(OsStr::new("relative"), None).is_err());
    }

    #[test]
    fn a_sign_of_life_is_given_twice_as_often_as_is_asked_and_only_by_who_is_meant() {
        let text = |text: &str| Some(text.to_owned());
        let limit = watchdog(text("3000000"), text("7"), 7);
        assert_eq!(limit, Some(Duration::from_secs(3)));
        assert_eq!(watchdog(text("3000000"), None, 7), limit);
        assert_eq!(watchdog(text("3000000"), text("8"), 7), None);
        for nonsense in ["", "0", "-1", "soon"] {
            assert_eq!(watchdog(text(nonsense), None, 7), None, "{nonsense}");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let _listener = UnixDatagram::bind(&path).unwrap();
        let manager = ServiceManager::at(path.as_os_str(), limit).unwrap();
        assert_eq!(manager.sign_of_life_every(), Some(Duration::from_millis(1500)));
    }
}
