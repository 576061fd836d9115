//! How many files this process may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What is enough for anything here. No more is taken: programs that are started inherit the
/// limit, and some go through all numbers up to it.
const ENOUGH: u64 = 65_536;

/// Raises the soft limit as far as the hard one allows, up to 65,536. A higher one stays.
///
/// # Errors
/// The kernel's, where it refuses.
pub fn allow_many() -> std::io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = hard.min(ENOUGH);
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_never_lowered() {
        let (before, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        allow_many().unwrap();
        let (after, still) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert!(after >= before && after >= hard.min(ENOUGH) && still == hard);
    }
}
