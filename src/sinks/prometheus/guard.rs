//! Who may scrape.

use crate::event::secret::SecretText;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderMap};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Passwords that were right, so that the slow hash is not computed at each scrape.
const REMEMBERED: usize = 100;

/// Stands for the hash of a user that there is not: to refuse one takes as long as to refuse a
/// wrong password.
const NOBODY: &str = "$2b$10$61He2hG/6NpIL..ocs3NMe4ja5rMWG.bKKEuO1nm9PI6CzNPBcVnW";

/// Lets in those who know a user's password.
pub(super) struct Guard {
    users: BTreeMap<String, SecretText>,
    known: Mutex<HashSet<[u8; 32]>>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

impl Guard {
    /// A guard that lets in these users, by the bcrypt hashes of their passwords; everybody where
    /// there is none.
    pub(super) fn new(users: &BTreeMap<String, SecretText>) -> Result<Self, String> {
        for (user, hash) in users {
            if Hash::parse(hash.expose()).is_none() {
                return Err(format!(
                    "`users`: what stands for `{user}` is no bcrypt hash; `htpasswd -nB {user}` \\
                     makes one"
                ));
            }
        }
        Ok(Self { users: users.clone(), known: Mutex::default() })
    }

    /// Whether a request with these headers may pass.
    pub(super) async fn admits(&self, headers: &HeaderMap) -> bool {
        if self.users.is_empty() {
            return true;
        }
        let Some((user, password)) = credentials(headers) else { return false };
        let hash = self.users.get(&user).map(|hash| hash.expose().to_owned());
        let is_user = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODY.to_owned());
        let mut digest = Sha256::new();
        for part in [&user, &hash, &password] {
            digest.update((part.len() as u64).to_ne_bytes());
            digest.update(part);
        }
        let digest: [u8; 32] = digest.finalize().into();
        if is_user && self.known().contains(&digest) {
            return true;
        }
        let verify = move || Hash::parse(&hash).is_some_and(|hash| hash.is_of(&password));
        let is_right = tokio::task::spawn_blocking(verify).await.unwrap_or(false) && is_user;
        if is_right {
            let mut known = self.known();
            if known.len() >= REMEMBERED {
                known.clear();
            }
            known.insert(digest);
        }
        is_right
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashSet<[u8; 32]>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A bcrypt hash, taken apart.
struct Hash {
    rounds: u32,
    salt: [u8; 16],
    sum: Vec<u8>,
}

impl Hash {
    /// More would take minutes for each wrong password.
    const ROUNDS: std::ops::RangeInclusive<u32> = 4..=16;
    /// The format leaves out the last of the algorithm's 24 bytes.
    const SUM_BYTES: usize = 23;

    /// `$2b$ROUNDS$`, then 22 characters of salt and 31 of sum.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix('$')?.split('$');
        let (kind, rounds, rest) = (parts.next()?, parts.next()?, parts.next()?);
        let (salt, sum) = rest.split_at_checked(22)?;
        let rounds = rounds.parse().ok().filter(|rounds| Self::ROUNDS.contains(rounds))?;
        let salt = bcrypt::BASE_64.decode(salt).ok()?.try_into().ok()?;
        let sum = bcrypt::BASE_64.decode(sum).ok()?;
        let is_whole = sum.len() == Self::SUM_BYTES && parts.next().is_none();
        let is_known = matches!(kind, "2a" | "2b" | "2x" | "2y");
        (is_whole && is_known).then_some(Self { rounds, salt, sum })
    }

    fn is_of(&self, password: &str) -> bool {
        // The algorithm takes the zero byte at the end of C's strings in, and 72 bytes in all.
        let mut bytes = password.as_bytes().to_vec();
        bytes.push(0);
        bytes.truncate(72);
        let sum = bcrypt::bcrypt(self.rounds, self.salt, &bytes);
        // Looks at all bytes, so that its time tells nothing.
        sum.iter().zip(&self.sum).fold(0, |all, (one, other)| all | (one ^ other)) == 0
    }
}

/// User and password of basic authentication.
fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let value = format!("Basic {}", STANDARD.encode(value));
        HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])
    }

    #[tokio::test]
    async fn only_a_user_with_the_right_password_is_let_in() {
        let hash = "$2b$04$abcdefghijklmnopqrstuujZkTwHUiJ9XdZPwKfcfDo7dMp5DjlTu".to_owned();
        let users = BTreeMap::from([("alice".to_owned(), SecretText::new(hash))]);
        let guard = Guard::new(&users).unwrap();
        for _ in 0..2 {
            assert!(guard.admits(&headers("alice:wonderland")).await);
            assert!(!guard.admits(&headers("alice:looking-glass")).await);
            assert!(!guard.admits(&headers("bob:wonderland")).await);
            assert!(!guard.admits(&HeaderMap::new()).await);
        }
        assert_eq!(guard.known().len(), 1, "what was wrong is not remembered");
        assert!(Guard::new(&BTreeMap::new()).unwrap().admits(&HeaderMap::new()).await);
    }

    #[test]
    fn a_password_in_place_of_its_hash_is_refused_and_not_shown() {
        let users = BTreeMap::from([("alice".to_owned(), SecretText::new("hunter22".into()))]);
        let told = Guard::new(&users).unwrap_err();
        assert!(told.contains("`alice`") && !told.contains("hunter22"), "{told}");
    }
}
