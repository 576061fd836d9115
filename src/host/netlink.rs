//! Asks the kernel about its network over netlink: one question, one answer for all interfaces. What
//! is to be different there is asked for in the same way.

use super::sys;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendmsg,
    setsockopt, socket,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

/// Which part of the kernel is asked.
#[derive(Clone, Copy, Debug)]
pub enum Subject {
    /// Interfaces, addresses, routes, queues.
    Route,
    /// Sockets.
    Sockets,
    /// Whatever has a family of its own, such as wireless interfaces.
    Generic,
}

/// The kernel answers at once; one that does not is no reason to wait for ever.
const PATIENCE_SECONDS: i64 = 2;

/// A change may have to wait for packets that are on their way, and for others that change something.
const PATIENCE_WITH_CHANGES_SECONDS: i64 = 30;

/// An answer comes in pieces of at most this size.
const PIECE_BYTES: usize = 64 << 10;

const HEADER_BYTES: usize = 16;
const REQUEST: u16 = 0x1;
const ACKNOWLEDGE: u16 = 0x4;
const DUMP: u16 = 0x300;
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// A socket to the kernel, opened at the first question and held from then on.
#[derive(Debug)]
pub struct Netlink {
    subject: Subject,
    socket: Option<OwnedFd>,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Netlink {
    /// Opens nothing yet.
    pub fn new(subject: Subject) -> Self {
        Self { subject, socket: None, sequence: 0, buffer: Vec::new() }
    }

    /// Asks for all there is of `kind`, such as `RTM_GETLINK`, and shows each message's body to
    /// `show`.
    ///
    /// - Errors: those of the socket, and the kernel's refusal. The next question opens anew.
    pub fn dump(&mut self, kind: u16, body: &[u8], mut show: impl FnMut(&[u8])) -> io::Result<()> {
        self.ask(kind, DUMP, body, PATIENCE_SECONDS, &mut show)
    }

    /// Has the kernel change something: `kind` is such as `RTM_NEWLINK`, `flags` are those beyond what
    /// every request has, such as [`CREATE`].
    ///
    /// - Errors: those of the socket, and the kernel's refusal, with its reason where it gives one.
    pub fn change(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        self.ask(kind, flags | ACKNOWLEDGE, body, PATIENCE_WITH_CHANGES_SECONDS, &mut |_| {})
    }

    fn ask(
        &mut self,
        kind: u16,
        flags: u16,
        body: &[u8],
        patience_seconds: i64,
        show: &mut impl FnMut(&[u8]),
    ) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => open(self.subject, patience_seconds)?,
        };
        self.sequence = self.sequence.wrapping_add(1);
        let question = question(kind, flags, self.sequence, body);
        let to = NetlinkAddr::new(0, 0);
        let parts = [IoSlice::new(&question)];
        sendmsg(socket.as_raw_fd(), &parts, &[], MsgFlags::empty(), Some(&to))?;
        self.buffer.resize(PIECE_BYTES, 0);
        loop {
            let length = match recv(socket.as_raw_fd(), &mut self.buffer, MsgFlags::empty()) {
                Err(Errno::EINTR) => continue,
                length => length?,
            };
            let piece = self.buffer.get(..length).unwrap_or_default();
            if read_piece(piece, self.sequence, show)? {
                self.socket = Some(socket); // kept only if all of it worked
                return Ok(());
            }
        }
    }
}

fn open(subject: Subject, patience_seconds: i64) -> io::Result<OwnedFd> {
    let protocol = match subject {
        Subject::Route => SockProtocol::NetlinkRoute,
        Subject::Sockets => SockProtocol::NetlinkSockDiag,
        Subject::Generic => SockProtocol::NetlinkGeneric,
    };
    let socket =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, Some(protocol))?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    setsockopt(&socket, ReceiveTimeout, &TimeVal::seconds(patience_seconds))?;
    // Kernels before 4.12 give no reasons.
    sys::ask_for_reasons(socket.as_fd()).ok();
    Ok(socket)
}

fn question(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER_BYTES + body.len()).unwrap_or(0);
    let mut out = Vec::with_capacity(HEADER_BYTES + body.len());
    out.extend_from_slice(&length.to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(&(REQUEST | flags).to_ne_bytes());
    out.extend_from_slice(&sequence.to_ne_bytes());
    out.extend_from_slice(&[0; 4]); // the kernel knows who asks
    out.extend_from_slice(body);
    out
}

/// Shows the messages of one piece, and says whether the answer ends with it. What answers an
/// earlier question is passed over.
fn read_piece(piece: &[u8], sequence: u32, show: &mut impl FnMut(&[u8])) -> io::Result<bool> {
    let mut rest = piece;
    while let Some((length, kind)) = u32_at(rest, 0).zip(u16_at(rest, 4)) {
        let length = length as usize;
        let Some(body) = rest.get(HEADER_BYTES..length) else { break };
        if u32_at(rest, 8) == Some(sequence) {
            match kind {
                DONE => return Ok(true),
                ERROR => {
                    let flags = u16_at(rest, 6).unwrap_or(0);
                    return refusal(flags, body).map_or(Ok(true), Err);
                }
                _ => show(body),
            }
        }
        rest = rest.get(aligned(length)..).unwrap_or_default();
    }
    Ok(false)
}

/// What the kernel has against a request; `None` where it has done it.
fn refusal(flags: u16, body: &[u8]) -> Option<io::Error> {
    /// The request is not told again.
    const CAPPED: u16 = 0x100;
    /// Reasons follow.
    const HAS_REASONS: u16 = 0x200;
    const MESSAGE: u16 = 1;
    const CODE_BYTES: usize = 4;
    let code = u32_at(body, 0).unwrap_or(0).cast_signed();
    if code == 0 {
        return None;
    }
    let error = io::Error::from_raw_os_error(code.saturating_neg());
    let request_bytes = match flags & CAPPED {
        0 => u32_at(body, CODE_BYTES).unwrap_or(0) as usize,
        _ => HEADER_BYTES,
    };
    let reasons = body.get(CODE_BYTES.saturating_add(aligned(request_bytes))..);
    let reasons = reasons.filter(|_| flags & HAS_REASONS != 0).unwrap_or_default();
    let Some((_, reason)) = attributes(reasons).find(|(kind, _)| *kind == MESSAGE) else {
        return Some(error);
    };
    let named = error.to_string();
    let named = named.split(" (os error").next().unwrap_or(&named);
    Some(io::Error::new(error.kind(), format!("{named} ({})", text(reason).trim_end_matches('.'))))
}

/// Flags of requests that make something: what is there already is an error, what is there already is
/// replaced, what is not there is made.
pub const EXCLUSIVE: u16 = 0x200;
/// See [`EXCLUSIVE`].
pub const REPLACE: u16 = 0x100;
/// See [`EXCLUSIVE`].
pub const CREATE: u16 = 0x400;

/// Adds an attribute to a message, or to a nested attribute. One that is too long for its length to be
/// told, which none is that the kernel takes, is left out.
pub fn push_attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    const NAME_BYTES: usize = 4;
    let Ok(length) = u16::try_from(NAME_BYTES.saturating_add(value.len())) else { return };
    out.extend_from_slice(&length.to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(value);
    out.resize(aligned(out.len()), 0);
}

fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

/// The attributes of a message or of a nested attribute: kind and value.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    /// Bits of a kind that say how the value is written.
    const FLAGS: u16 = 0xc000;
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let value = rest.get(4..length)?;
        let kind = u16_at(rest, 2)? & !FLAGS;
        rest = rest.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// A number of two bytes in this machine's order; `None` past the end.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// A number of four bytes in this machine's order; `None` past the end.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// A number of eight bytes in this machine's order; `None` past the end.
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// The text of an attribute, without the zero at its end.
pub fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_kernel_tells_of_the_loopback_interface_time_and_again() {
        const GET_LINK: u16 = 18;
        let mut netlink = Netlink::new(Subject::Route);
        for _ in 0..2 {
            let mut names = Vec::new();
            let show = |body: &[u8]| {
                let attributes = attributes(body.get(16..).unwrap_or_default());
                names.extend(attributes.filter(|(kind, _)| *kind == 3).map(|(_, name)| text(name)));
            };
            netlink.dump(GET_LINK, &[0; 16], show).unwrap();
            assert!(names.iter().any(|name| name == "lo"), "{names:?}");
        }
    }

    #[test]
    fn a_refusal_is_an_error_and_the_next_question_is_answered() {
        let mut netlink = Netlink::new(Subject::Route);
        assert!(netlink.dump(9999, &[0; 16], |_| {}).is_err());
        assert!(netlink.dump(18, &[0; 16], |_| {}).is_ok());
    }

    #[test]
    fn the_kernel_says_why_it_refuses_a_change() {
        const NEW_LINK: u16 = 16;
        // Without a name and a number there is nothing to change.
        let error = Netlink::new(Subject::Route).change(NEW_LINK, 0, &[0; 16]).unwrap_err();
        assert!(!error.to_string().is_empty() && error.kind() != io::ErrorKind::TimedOut);
        let mut told = (-22_i32).to_ne_bytes().to_vec();
        told.extend(question(NEW_LINK, 0, 1, &[0; 16]));
        push_attribute(&mut told, 2, &[0; 4]);
        push_attribute(&mut told, 1, b"mtu greater than device maximum\0");
        let error = refusal(0x200, &told).unwrap();
        assert_eq!(error.to_string(), "Invalid argument (mtu greater than device maximum)");
        assert_eq!(refusal(0, &told).unwrap().raw_os_error(), Some(22));
    }

    proptest! {
        #[test]
        fn no_answer_breaks_anything(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut seen = 0;
            read_piece(&bytes, 0, &mut |body: &[u8]| seen += attributes(body).count()).ok();
            prop_assert!(seen <= bytes.len());
            // The same as a refusal, which none need be.
            let flags = bytes.first().map_or(0, |byte| u16::from(*byte) << 8);
            refusal(flags, &bytes).map(|error| error.to_string());
        }

        #[test]
        fn attributes_are_read_as_they_were_written(
            written in proptest::collection::vec((0_u16..0x4000, proptest::collection::vec(any::<u8>(), 0..20)), 0..9),
        ) {
            let mut bytes = Vec::new();
            for (kind, value) in &written {
                push_attribute(&mut bytes, *kind, value);
            }
            let read: Vec<_> = attributes(&bytes).map(|(kind, value)| (kind, value.to_vec())).collect();
            prop_assert_eq!(read, written);
        }
    }
}
