//! Patterns for the names of fields.

/// A field's name, or a pattern in which `*` stands for any number of characters: `k8s.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern(String);

impl NamePattern {
    /// The pattern that `text` is.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The name, where it is one and no pattern.
    pub fn exact(&self) -> Option<&str> {
        (!self.0.contains('*')).then_some(self.0.as_str())
    }

    /// Whether it fits the name.
    pub fn fits(&self, name: &str) -> bool {
        let Some((begin, rest)) = self.0.split_once('*') else { return self.0 == name };
        let Some(mut name) = name.strip_prefix(begin) else { return false };
        let mut parts = rest.split('*');
        let end = parts.next_back().unwrap_or_default();
        for part in parts {
            // The first place will do: what is left for the rest is longest then.
            let Some(at) = name.find(part) else { return false };
            name = &name[at + part.len()..];
        }
        name.ends_with(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        let fits = |pattern: &str, name: &str| NamePattern::new(pattern).fits(name);
        for (pattern, name) in [
            ("a", "a"),
            ("a.*", "a.b.c"),
            ("*", ""),
            ("*_id", "x_id"),
            ("a*b*c", "axbxbxc"),
            ("*", "x"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("a", "ab"), ("a.*", "ab"), ("*_id", "x_ids"), ("a*b*c", "acb"), ("ab*ba", "aba")]
        {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
