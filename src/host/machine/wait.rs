//! Waiting: for time to pass, for a port to answer, for a person.

use super::Machine;
use super::fault::Fault;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

/// Whether what a person types is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// It is.
    On,
    /// It is not: it may be a password.
    Off,
}

/// How long a task may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    time: Duration,
    end: Instant,
}

impl Limit {
    pub(super) fn left(self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// The complaint that it is over.
    pub(super) fn is_over(self) -> Fault {
        let seconds = self.time.as_secs_f64();
        Fault::new(format!("it was not done within the {seconds} seconds that `timeout` gives it"))
    }
}

impl Machine {
    /// From now on gives programs and waits this much time; without limit where there is `None`.
    pub fn limit_time(&mut self, limit: Option<Duration>) {
        self.limit = limit.map(|time| Limit { time, end: Instant::now() + time });
    }

    /// Lets time pass. A dry run does not wait.
    ///
    /// Errors: the task's own time is up before.
    pub fn sleep(&self, time: Duration) -> Result<(), Fault> {
        if self.is_dry_run() {
            return Ok(());
        }
        let left = self.limit.map_or(Duration::MAX, Limit::left);
        std::thread::sleep(time.min(left));
        self.look_anew();
        match self.limit {
            Some(limit) if left < time => Err(limit.is_over()),
            _ => Ok(()),
        }
    }

    /// A connection to a TCP port; `None` where nothing answers within `timeout`.
    ///
    /// Errors: the host's name is not known.
    pub fn connect(
        &self,
        host: &str,
        port: u16,
        timeout: Duration,
    ) -> Result<Option<Connection>, Fault> {
        let addresses = (host, port)
            .to_socket_addrs()
            .map_err(|error| Fault::new(format!("there is no host `{host}`: {error}")))?;
        for address in addresses {
            if let Ok(stream) = TcpStream::connect_timeout(&address, timeout) {
                return Ok(Some(Connection(stream)));
            }
        }
        Ok(None)
    }

    /// How many TCP connections others have with the port `port` of this host.
    ///
    /// Errors: the kernel's table of connections cannot be read.
    pub fn connections(&self, port: u16) -> Result<usize, Fault> {
        let mut count = 0;
        for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
            let text = match std::fs::read_to_string(table) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                text => text.map_err(|e| Fault::kernel("read", std::path::Path::new(table), e))?,
            };
            let wanted = format!(":{port:04X}");
            let is_open = |line: &&str| {
                let mut fields = line.split_whitespace().skip(1);
                let (own, state) = (fields.next(), fields.nth(1));
                // All states in which something may still be said: not listening, not closed.
                own.is_some_and(|own| own.ends_with(&wanted))
                    && matches!(state, Some("01" | "02" | "03" | "04" | "05" | "06"))
            };
            count += text.lines().skip(1).filter(is_open).count();
        }
        Ok(count)
    }

    /// What a person at the terminal answers to `prompt`, without the line's end.
    ///
    /// Errors: there is no terminal.
    pub fn ask(&self, prompt: &str, echo: Echo) -> Result<String, Fault> {
        let fault =
            |_| Fault::new("there is no terminal to ask at").hint("say how long, with `seconds`");
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(fault)?;
        let before = tcgetattr(&terminal).ok();
        if let (Echo::Off, Some(before)) = (echo, &before) {
            let mut quiet = before.clone();
            quiet.local_flags.remove(LocalFlags::ECHO);
            tcsetattr(&terminal, SetArg::TCSANOW, &quiet).map_err(|e| fault(e.into()))?;
        }
        let mut line = String::new();
        let asked = (&terminal)
            .write_all(prompt.as_bytes())
            .and_then(|()| BufReader::new(&terminal).read_line(&mut line));
        if let (Echo::Off, Some(before)) = (echo, &before) {
            tcsetattr(&terminal, SetArg::TCSANOW, before).map_err(|e| fault(e.into()))?;
        }
        asked.map_err(fault)?;
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// An open connection that is listened to.
#[derive(Debug)]
pub struct Connection(TcpStream);

impl Connection {
    /// Listens until `enough` says so of all that was heard, the other side is done, or `timeout`
    /// has passed.
    pub fn listen(&mut self, timeout: Duration, enough: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        /// A server that says more than this does not say what is waited for.
        const MOST_BYTES: usize = 1 << 20;
        let end = Instant::now() + timeout;
        let mut heard = Vec::new();
        let mut piece = [0_u8; 4096];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.0.set_read_timeout(Some(left)).is_err() {
                return false;
            }
            match self.0.read(&mut piece) {
                Ok(count) if count > 0 => heard.extend_from_slice(&piece[..count]),
                _ => return false,
            }
            if enough(&heard) {
                return true;
            }
            if heard.len() > MOST_BYTES {
                return false;
            }
        }
    }
}
