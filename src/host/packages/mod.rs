//! Packages of Debian: what its database says is installed, what apt says that it would do, what its
//! packages have asked, and by which keys they are signed. What dnf says. Packages of Python.

pub mod database;
pub mod debconf;
pub mod dnf;
pub mod public_keys;
pub mod python;
pub mod simulation;
pub mod version;
