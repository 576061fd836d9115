//! Once: what a sink has brought to its place is not brought there again after a crash.
//!
//! A source that reads files reads again, after a crash, from the mark that its checkpoint has for
//! a sink. What the sink wrote since then comes a second time. A sink that wants it to count once
//! keeps a [`Journal`] of what it brings where, beside the checkpoint, and leaves out what comes
//! again.
//!
//! # How a sink uses it
//!
//! 1. `SinkConfig::delivers_once` says `true`, so that the engine finds out for which sources it
//!    holds ([`ways`]), `validate` says for which it does not, and requests keep the [`Extents`] of
//!    what is in them: the bytes of each file that the records are.
//! 2. `build` makes a [`Journal`] ([`Journal::new`], which does no I/O) and shares it between the
//!    encoder and the sender.
//! 3. `Deliver::prepare`, which the runner awaits before anything else in each run, calls
//!    [`Journal::open`]. It gives the entries of which it is not known whether they came to their
//!    place ([`Left`]): the sink looks there, and calls [`Journal::done`] where all of it is,
//!    [`Journal::void`] where nothing is, or leaves the entry open: then the records of it are told
//!    apart when they come again, so that the same can be made of them once more.
//! 4. `encode` asks [`Journal::replays`] about each batch: `None`, at the cost of a lookup, for one
//!    that holds nothing that came before. Otherwise [`Replays::of`] says of each record whether it
//!    is new, delivered (left out: it then counts as delivered) or of an open entry.
//!    [`Journal::without_delivered`] does that for sinks that leave nothing open.
//! 5. `deliver` calls [`Journal::begin`] with [`Request::extents`](super::request::Request::extents)
//!    and a note of its own (a place, a manifest) before it sends the first byte, and
//!    [`Journal::done`] once the place has it all. An attempt that left nothing behind is
//!    [`Journal::void`]; one of which nobody knows stays as it is.
//!
//! An entry goes once the checkpoints of all its sources are past it: sources say so in
//! [`Deliveries`]. Whatever goes wrong with the journal (damage, a full disk) is said and counted,
//! and costs no more than that records may come twice.

mod codec;
mod extents;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod journal;
mod marks;
mod spans;
#[cfg(test)]
mod tests;
mod ways;

pub use extents::Extents;
pub(super) use extents::Size as ExtentsSize;
pub use journal::{Fate, Journal, Left, Replays, Safe};
pub use marks::Deliveries;
pub use spans::Spans;
pub(super) use ways::clear_ways;
pub use ways::{Obstacle, Way, ways};
