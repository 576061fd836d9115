//! A pattern whose named groups become fields.

use super::Emit;
use super::options::FieldType;
use regex::bytes::{CaptureLocations, Regex, RegexBuilder};
use std::collections::BTreeMap;

/// Memory for a compiled pattern: enough for any that a person writes, too little for one that
/// is meant to do harm.
const SIZE_LIMIT: usize = 4 << 20;

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    groups: Vec<(usize, String, FieldType)>,
    places: CaptureLocations,
}

impl Pattern {
    pub(super) fn new(pattern: &str, types: &BTreeMap<String, FieldType>) -> Result<Self, String> {
        let regex = RegexBuilder::new(pattern).size_limit(SIZE_LIMIT).build().map_err(|error| {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim();
            let reason = reason.strip_prefix("error: ").unwrap_or(reason);
            format!("`{pattern}` is not a regular expression: {reason}")
        })?;
        let groups: Vec<_> = regex
            .capture_names()
            .enumerate()
            .filter_map(|(at, name)| name.map(|name| (at, name.to_owned())))
            .map(|(at, name)| {
                let kind = types.get(&name).copied().unwrap_or_default();
                (at, name, kind)
            })
            .collect();
        if groups.is_empty() {
            return Err(format!(
                "`{pattern}` has no named group, so that there would be no field; \
                 name one: `(?<status>[0-9]+)`"
            ));
        }
        let known = |name: &str| groups.iter().any(|(_, group, _)| group == name);
        if let Some(unknown) = types.keys().find(|name| !known(name)) {
            return Err(format!("`types` names `{unknown}`, and `{pattern}` has no such group"));
        }
        let places = regex.capture_locations();
        Ok(Self { regex, groups, places })
    }

    pub(super) fn parse(
        &mut self,
        line: &[u8],
        emit: &mut Emit<'_, '_, '_>,
    ) -> Result<(), &'static str> {
        if self.regex.captures_read(&mut self.places, line).is_none() {
            return Err("a line that the pattern matches");
        }
        for (at, name, kind) in &self.groups {
            // A group that took no part gives no field.
            if let Some((start, end)) = self.places.get(*at) {
                emit.typed(name, &line[start..end], *kind);
            }
        }
        Ok(())
    }
}
