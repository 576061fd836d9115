//! Which tasks of a set run.

/// Which tasks run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only those with one of these tags; all where empty.
    pub tags: Vec<String>,
    /// Not those with one of these.
    pub skip_tags: Vec<String>,
    /// None before the one with this name.
    pub start_at: Option<String>,
}

impl Selection {
    /// Whether nothing is left out but what nobody has asked for.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a task with these tags runs. `always` and `never` mean what they say unless a tag
    /// is named; `all`, `tagged` and `untagged` stand for sets of tasks.
    pub fn includes(&self, tags: &[String]) -> bool {
        let has = |tag: &str| tags.iter().any(|other| other == tag);
        let meant = |wanted: &str| match wanted {
            "all" => !has("never"),
            "tagged" => !tags.is_empty() && !has("never"),
            "untagged" => tags.is_empty(),
            tag => has(tag),
        };
        let wanted = match self.tags[..] {
            [] => !has("never"),
            _ => has("always") || self.tags.iter().any(|tag| meant(tag)),
        };
        let unwanted = |tag: &String| match tag.as_str() {
            "all" => !has("always"),
            "tagged" => !tags.is_empty(),
            "untagged" => tags.is_empty(),
            tag => has(tag),
        };
        wanted && !self.skip_tags.iter().any(unwanted)
    }
}
