//! Facts about users and groups, as the host's own files list them. Directories on the network are
//! not asked.

use serde_json::{Map, Value, json};

use super::Host;

/// `users`: by name, `uid`, `gid`, `home`, `shell`.
/// - Source: `/etc/passwd`.
pub(super) fn users(host: &Host) -> Value {
    let user = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, shell] = fields[..] else { return None };
        let (uid, gid): (u32, u32) = (uid.parse().ok()?, gid.parse().ok()?);
        Some((name.into(), json!({"uid": uid, "gid": gid, "home": home, "shell": shell})))
    };
    entries(host.file("/etc/passwd"), user)
}

/// `groups`: by name, `gid` and the `members` that are not in it by their `gid`.
/// - Source: `/etc/group`.
pub(super) fn groups(host: &Host) -> Value {
    let group = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, gid, members] = fields[..] else { return None };
        let gid: u32 = gid.parse().ok()?;
        let members: Vec<&str> = members.split(',').filter(|name| !name.is_empty()).collect();
        Some((name.into(), json!({"gid": gid, "members": members})))
    };
    entries(host.file("/etc/group"), group)
}

/// The lines that `read` understands; the others are comments and markers of network directories.
/// Of two entries of one name the first counts, as it does for the system.
fn entries(text: Option<String>, read: impl Fn(&str) -> Option<(String, Value)>) -> Value {
    let mut map = Map::new();
    for (name, value) in text.unwrap_or_default().lines().filter_map(read) {
        map.entry(name).or_insert(value);
    }
    Value::Object(map)
}
