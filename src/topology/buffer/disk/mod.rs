//! What a disk buffer is on disk: a folder with segments of frames and a cursor.
//!
//! ```text
//! data_dir/buffers/NAME/
//!   00000000000000000000.segment    frames 0 to 511, closed by an end
//!   00000000000000000512.segment    frames from 512 on, still growing
//!   cursor                          up to where each sink has it
//!   lock                            held by the process that uses it
//!   damaged/                        segments in which something could not be read
//! ```

mod cursor;
mod frame;
mod reading;
mod scan;
mod store;
#[cfg(test)]
mod tests;
mod waiting;

pub(super) use cursor::Cursor;
#[cfg(any(test, fuzzing))]
pub(super) use frame::sealed;
pub(super) use reading::{Frame, Next, Reading};
pub(super) use store::{Limits, Refusal, Store, segments_in};
pub(super) use waiting::{Waiting, waiting};

/// Room that a frame needs before its body.
pub(super) const HEADER_BYTES: usize = frame::HEADER_BYTES;
