//! Ansible's host patterns, asked about this one host.

use crate::event::fault::Diagnostic;
use crate::event::tree::Node;
use crate::expr::jinja::Engine;
use globset::Glob;

/// This host's names, all of which a pattern may mean.
#[derive(Clone, Copy, Debug)]
pub struct Host<'a> {
    /// The node's name.
    pub name: &'a str,
    /// The groups that it belongs to.
    pub groups: &'a [String],
}

impl Host<'_> {
    /// Whether `pattern` means this host: names, groups and patterns with `,` or `:` between them, a
    /// `!` before those that are left out and a `&` before those that must fit as well; after a `~`
    /// stands a regex.
    ///
    /// # Errors
    /// Why a part of it is no pattern.
    pub fn is_meant(&self, pattern: &str) -> Result<bool, String> {
        let (mut included, mut has_names) = (false, false);
        let (mut excluded, mut lacking) = (false, false);
        for part in parts(pattern) {
            match part.as_bytes().first() {
                Some(b'!') => excluded |= self.fits(&part[1..])?,
                Some(b'&') => lacking |= !self.fits(&part[1..])?,
                _ => {
                    has_names = true;
                    included |= self.fits(part)?;
                }
            }
        }
        Ok((included || !has_names) && !excluded && !lacking)
    }

    fn fits(&self, part: &str) -> Result<bool, String> {
        if matches!(part, "all" | "*" | "localhost" | "127.0.0.1" | "::1") {
            return Ok(true);
        }
        // A part of a group, by number: this host stands for all of it.
        let part = match part.split_once('[') {
            Some((name, range)) if self.groups.iter().any(|group| group == name) => {
                return Ok(range.trim_end_matches(']').starts_with(['0', ':', '-']));
            }
            _ => part,
        };
        let mut names = self.groups.iter().map(String::as_str).chain([self.name, "all"]);
        if let Some(regex) = part.strip_prefix('~') {
            let regex = regex::Regex::new(&format!("^(?:{regex})"))
                .map_err(|_| format!("`{part}` is no regex"))?;
            return Ok(names.any(|name| regex.is_match(name)));
        }
        let glob = Glob::new(part).map_err(|error| format!("`{part}`: {error}"))?;
        let glob = glob.compile_matcher();
        Ok(names.any(|name| glob.is_match(name)))
    }
}

/// The parts of a pattern. A colon within a regex or an address with many colons parts nothing.
fn parts(pattern: &str) -> Vec<&str> {
    let is_address =
        pattern.matches(':').count() > 1 && pattern.parse::<std::net::Ipv6Addr>().is_ok();
    let separators: &[char] = if pattern.contains(',') || pattern.starts_with('~') || is_address {
        &[',']
    } else {
        &[',', ':']
    };
    pattern.split(separators).map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// The pattern of a play, written as one text or a list.
pub(super) fn pattern_of(hosts: &Node) -> String {
    let items = hosts.as_list().unwrap_or(std::slice::from_ref(hosts));
    items.iter().filter_map(Node::scalar_text).collect::<Vec<_>>().join(",")
}

/// What is wrong with the `hosts` of a play, as far as that is known before a run.
pub(super) fn check_pattern(hosts: &Node) -> Option<Diagnostic> {
    let complain = |why: String| Some(Diagnostic::new(why, hosts.span.clone()));
    if Engine::holds_expression(hosts) {
        return None;
    }
    let pattern = pattern_of(hosts);
    if pattern.is_empty() {
        return complain(format!("`hosts` is a pattern of hosts, and this is {}", hosts.kind()))
            .map(|complaint| complaint.hint("`all` means every host that has this config"));
    }
    match (Host { name: "", groups: &[] }).is_meant(&pattern) {
        Ok(_) => None,
        Err(why) => complain(format!("`hosts` is a pattern of hosts: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_hosts_and_groups_and_leaves_some_out() {
        let groups = ["web".to_owned(), "prod".to_owned()];
        let host = Host { name: "web1.example.com", groups: &groups };
        for (pattern, meant) in [
            ("all", true),
            ("*", true),
            ("localhost", true),
            ("web1.example.com", true),
            ("db*,web?.example.*", true),
            ("db*", false),
            ("web", true),
            ("web:&prod", true),
            ("web:&stage", false),
            ("all:!web", false),
            ("all,!web1*", false),
            ("!db*", true),
            ("~web[0-9]\\.", true),
            ("~(db|mail)[0-9]", false),
            ("web[0]", true),
        ] {
            assert_eq!(host.is_meant(pattern), Ok(meant), "{pattern}");
        }
        assert!(host.is_meant("[x").is_err());
        assert!(host.is_meant("~(").is_err());
    }
}
