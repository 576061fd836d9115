//! The password of a user, and how long it and the account are good for.

use super::super::{Failure, values};
use crate::host::accounts::Accounts;
use crate::host::accounts::entries::{Shadow, User};
use crate::sinks::apply::params::Params;

const SECONDS_A_DAY: f64 = 86_400.0;

/// Parameters that `/etc/shadow` answers.
const OF_SHADOW: [&str; 5] = [
    "expires",
    "password_expire_max",
    "password_expire_min",
    "password_expire_warn",
    "password_expire_account_disable",
];

/// Whether the parameters ask for anything here.
pub(super) fn is_asked(params: &Params) -> bool {
    OF_SHADOW.iter().chain(&["password", "password_lock"]).any(|name| params.has(name))
}

/// Whether `text` looks like what crypt(3) makes of a password, or like no password at all.
pub(super) fn is_hash(text: &str) -> bool {
    let bare = text.trim_start_matches(['!', '*']);
    if bare.is_empty() {
        return true;
    }
    let mut parts = bare.strip_prefix('$').unwrap_or_default().split('$');
    let (Some(kind), Some(sum)) = (parts.next(), parts.next_back()) else { return false };
    let length = match kind {
        "1" => Some(22),
        "5" | "y" => Some(43),
        "6" => Some(86),
        _ => None,
    };
    let is_of_crypt = |byte: u8| byte.is_ascii_alphanumeric() || b"./=".contains(&byte);
    text == bare
        && sum.bytes().all(is_of_crypt)
        && length.map_or(!sum.is_empty(), |length| sum.len() == length)
}

/// What a new user gets.
pub(super) fn begin(params: &Params, files: &mut Accounts, user: &mut User) -> Result<(), Failure> {
    let lock = if params.flag("password_lock", false) { "!" } else { "" };
    let password = params.text("password").map_or("!".into(), |hash| format!("{lock}{hash}"));
    let mut shadow = files.new_shadow(&user.name, &password, params.flag("system", false));
    ask(params, &mut shadow)?;
    if files.shadow.is_some() {
        files.put_shadow(&shadow);
        return Ok(());
    }
    user.password = password;
    check_shadow(params)
}

/// What a user that is there gets.
pub(super) fn settle(
    params: &Params,
    files: &mut Accounts,
    user: &mut User,
    news: &mut Vec<String>,
) -> Result<(), Failure> {
    let is_always = params.text("update_password") != Some("on_create");
    let given = params.text("password").filter(|_| is_always);
    let lock = params.has("password_lock").then(|| params.flag("password_lock", false));
    if files.shadow.is_none() {
        check_shadow(params)?;
        if let Some(hash) = changed(&user.password, given, lock) {
            user.password = hash;
            news.push("another password".into());
        }
        return Ok(());
    }
    let old = files.shadow_of(&user.name);
    let asks = OF_SHADOW.iter().any(|name| params.has(name));
    if old.is_none() && !asks && given.is_none() && lock.is_none() {
        return Ok(());
    }
    // One that has no entry there yet takes its password along.
    let mut shadow = old.clone().unwrap_or_else(|| {
        let password = std::mem::replace(&mut user.password, "x".into());
        let password = if password == "x" { "!".to_owned() } else { password };
        let fresh = files.new_shadow(&user.name, &password, false);
        Shadow { inactive: None, ..fresh }
    });
    if let Some(hash) = changed(&shadow.password, given, lock) {
        let bare = |hash: &str| hash.trim_start_matches('!').to_owned();
        if bare(&hash) == bare(&shadow.password) {
            let how = if hash.starts_with('!') { "locked" } else { "unlocked" };
            news.push(format!("password {how}"));
        } else {
            shadow.changed = Some(files.today).filter(|today| *today > 0);
            news.push("another password".into());
        }
        shadow.password = hash;
    }
    ask(params, &mut shadow)?;
    if let Some(old) = &old {
        tell(old, &shadow, news);
    }
    if old.as_ref() != Some(&shadow) {
        files.put_shadow(&shadow);
    }
    Ok(())
}

/// The hash in place of `now`; `None` where that can stay.
fn changed(now: &str, given: Option<&str>, lock: Option<bool>) -> Option<String> {
    let bare = |hash: &str| hash.trim_start_matches('!').to_owned();
    if let Some(given) = given.filter(|given| bare(given) != bare(now)) {
        let mark = if lock == Some(true) { "!" } else { "" };
        return Some(format!("{mark}{given}"));
    }
    match (lock, now.strip_prefix('!')) {
        (Some(true), None) => Some(format!("!{now}")),
        // Without the mark, one without a password could be used by anybody.
        (Some(false), Some(open)) if !open.is_empty() => Some(open.to_owned()),
        _ => None,
    }
}

/// Days, as the parameters ask for them; a negative number is none.
fn ask(params: &Params, shadow: &mut Shadow) -> Result<(), Failure> {
    let days = |name, field: &mut Option<i64>| {
        if let Some(days) = params.int(name) {
            *field = Some(days).filter(|days| *days >= 0);
        }
    };
    days("password_expire_min", &mut shadow.min);
    days("password_expire_max", &mut shadow.max);
    days("password_expire_warn", &mut shadow.warn);
    days("password_expire_account_disable", &mut shadow.inactive);
    if let Some(seconds) = values::number(params, "expires")? {
        let day = (seconds / SECONDS_A_DAY).floor();
        shadow.expires = (day >= 0.0).then_some(day as i64);
    }
    Ok(())
}

fn tell(old: &Shadow, new: &Shadow, news: &mut Vec<String>) {
    let shown = |days: Option<i64>| days.map_or("(none)".to_owned(), |days| days.to_string());
    for (what, old, new) in [
        ("days before a change", old.min, new.min),
        ("days to a change", old.max, new.max),
        ("days of warning", old.warn, new.warn),
        ("days of grace", old.inactive, new.inactive),
        ("ends on day", old.expires, new.expires),
    ] {
        if old != new {
            news.push(format!("{what} {} → {}", shown(old), shown(new)));
        }
    }
}

fn check_shadow(params: &Params) -> Result<(), Failure> {
    match OF_SHADOW.iter().find(|name| params.has(name)) {
        Some(name) => Err(Failure::new(format!(
            "`{name}` is kept in /etc/shadow, and this host has no such file"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_hash_is_told_from_hashes() {
        let sha = format!("$6$rounds=5000$salt${}", "a".repeat(86));
        for hash in ["!", "*", "*************", &sha, "$2b$12$abc/.def"] {
            assert!(is_hash(hash), "{hash}");
        }
        for text in ["secret", "$6$salt$short", "$6", &format!("{sha}+"), "a*b", "!$6$salt$x"] {
            assert!(!is_hash(text), "{text}");
        }
    }

    #[test]
    fn a_password_is_locked_and_unlocked_without_another_one() {
        assert_eq!(changed("h", None, Some(true)), Some("!h".into()));
        assert_eq!(changed("!h", None, Some(true)), None);
        assert_eq!(changed("!h", Some("h"), None), None, "the lock stays");
        assert_eq!(changed("!h", Some("h"), Some(false)), Some("h".into()));
        assert_eq!(changed("!h", Some("i"), None), Some("i".into()));
        assert_eq!(changed("h", Some("i"), Some(true)), Some("!i".into()));
        assert_eq!(changed("!", None, Some(false)), None, "nobody gets in without a password");
    }
}
