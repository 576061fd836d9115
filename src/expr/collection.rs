//! The collections that Ansible's names belong to. Task files may write `ansible.builtin.copy` as
//! well as `copy`, and the same goes for what a loop, a look-up, a filter or a test is called.

/// Those whose modules, look-ups, filters and tests are known here by their short names.
const COLLECTIONS: [&str; 6] = [
    "ansible.builtin",
    "ansible.legacy",
    "ansible.netcommon",
    "ansible.posix",
    "ansible.utils",
    "community.general",
];

/// Those of them that filters and tests come from.
pub(super) const OF_FILTERS: [&str; 4] =
    ["ansible.builtin", "ansible.netcommon", "ansible.utils", "community.general"];

/// A name without its collection: `copy` of `ansible.builtin.copy`. That of a collection that is
/// not known here stays whole.
pub fn short(name: &str) -> &str {
    let in_collection = |prefix: &&str| name.strip_prefix(prefix)?.strip_prefix('.');
    COLLECTIONS.iter().find_map(in_collection).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_known_collection_is_short_and_every_other_stays_whole() {
        assert_eq!(short("community.general.flattened"), "flattened");
        assert_eq!(short("ansible.builtin.copy"), "copy");
        for whole in ["copy", "community.docker.docker_container", "ansible.builtincopy"] {
            assert_eq!(short(whole), whole);
        }
        assert!(OF_FILTERS.iter().all(|collection| COLLECTIONS.contains(collection)));
    }
}
