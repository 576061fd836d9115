//! A git repository elsewhere: fetched into a store of its own, checked, and laid out as files.
//!
//! libgit2 keeps the store and reads packs; every byte that goes over a network goes through the
//! lines of this folder, so that TLS, proxies and credentials are those of the rest of the house.

pub mod address;
mod allowed_signers;
mod checkout;
mod daemon;
mod failure;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod http;
mod keys;
mod line;
pub mod settings;
mod signature;
mod ssh;
mod sshsig;
mod store;

pub use checkout::remove;
pub use failure::{Failure, Reason};
pub use keys::fingerprint;
pub use store::{About, Store, Tip};
