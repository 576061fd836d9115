//! The line to a repository elsewhere: what libgit2 says to it and hears of it.

use super::address::Address;
use super::daemon::Daemon;
use super::failure::tame;
use super::http::Http;
use super::settings::Settings;
use super::ssh::ssh;
use crate::host::git_library;
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::time::Instant;

/// What libgit2 knows a line by. It never hears an address, so that none gets into its files.
pub(super) const SCHEME: &str = "driftless";

/// More than this is not fetched in one go.
const MOST_BYTES: u64 = 2 << 30;

thread_local! {
    /// The line that this thread is about to fetch over. The library asks for a transport by a
    /// plain function, on the thread that fetches.
    static NEXT: RefCell<Option<Line>> = const { RefCell::new(None) };
}

/// A line that is not open yet.
pub(super) enum Line {
    Http(Http),
    Daemon(Daemon),
    Ssh { argv: Vec<String>, deadline: Instant },
}

impl Line {
    /// The line to this repository; `None` where it is on this host.
    pub(super) fn to(settings: &Settings, deadline: Instant) -> Result<Option<Self>, String> {
        Ok(match &settings.url {
            Address::Http(url) => Some(Self::Http(Http::new(url.clone(), settings, deadline)?)),
            Address::Daemon { host, port, path } => {
                let (host, path) = (host.clone(), path.clone());
                Some(Self::Daemon(Daemon { host, port: *port, path, deadline }))
            }
            Address::Ssh { user, host, port, path } => {
                let user = user.as_deref();
                Some(Self::Ssh { argv: ssh(&settings.ssh, user, host, *port, path), deadline })
            }
            Address::Local(_) => None,
        })
    }

    /// Sets the library up to fetch over lines. To be done before it opens anything.
    pub(super) fn prepare() -> Result<(), String> {
        git_library::set_up(SCHEME, |remote| {
            let Some(line) = NEXT.take() else {
                return Err(git2::Error::from_str("there is no line to fetch over"));
            };
            let is_stateless = matches!(line, Self::Http(_));
            Transport::smart(remote, is_stateless, line)
        })
    }

    /// Has the next fetch of this thread go over this line.
    pub(super) fn use_next(self) {
        NEXT.set(Some(self));
    }
}

impl SmartSubtransport for Line {
    fn action(
        &self,
        _: &str,
        service: Service,
    ) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let opened = match (self, service) {
            (Self::Http(http), Service::UploadPackLs) => http.advertisement().map(stream),
            (Self::Http(http), Service::UploadPack) => Ok(stream(http.exchange())),
            (Self::Daemon(daemon), Service::UploadPackLs) => daemon.open().map(stream),
            (Self::Ssh { argv, deadline }, Service::UploadPackLs) => {
                super::ssh::open(argv, *deadline).map(stream)
            }
            (_, Service::UploadPack | Service::ReceivePack | Service::ReceivePackLs) => {
                Err("nothing but fetching is done".into())
            }
        };
        opened.map_err(|why| git2::Error::from_str(&tame(&why)))
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

fn stream(inner: impl Read + Write + Send + 'static) -> Box<dyn SmartSubtransportStream> {
    Box::new(Bounded { inner, left: MOST_BYTES })
}

/// A stream that says no more than it may, and whose errors the library can take.
struct Bounded<S> {
    inner: S,
    left: u64,
}

impl<S: Read> Read for Bounded<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer).map_err(|error| told(&error))?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other("the repository sends more than 2 GiB at a time"))?;
        Ok(count)
    }
}

impl<S: Write> Write for Bounded<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes).map_err(|error| told(&error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush().map_err(|error| told(&error))
    }
}

/// The library takes the text of an error for a C string.
fn told(error: &io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            io::Error::other("no answer in time")
        }
        _ => io::Error::other(tame(&error.to_string())),
    }
}
