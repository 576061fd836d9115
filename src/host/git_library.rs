//! libgit2, kept apart from whatever the host's users have set for their own git.

use super::sys;
use git2::transport::Transport;
use git2::{Error, Remote};
use std::sync::OnceLock;

static SET_UP: OnceLock<Result<(), String>> = OnceLock::new();

/// Sets the library up, the first time: it reads no settings of the system or of a user
/// (`insteadOf` and proxies there would lead elsewhere), and remotes of `scheme` are spoken to by
/// what `transport` makes.
///
/// # Errors
/// What the library says.
pub fn set_up(
    scheme: &str,
    transport: fn(&Remote<'_>) -> Result<Transport, Error>,
) -> Result<(), String> {
    let done = SET_UP.get_or_init(|| {
        sys::set_up_libgit2(scheme, transport).map_err(|error| error.message().to_owned())
    });
    done.clone()
}
