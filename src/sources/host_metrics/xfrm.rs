//! `xfrm`: packets that IPsec could not take or send.

use super::collector::{CollectError, Collector, Malformed};
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// Reads `/proc/net/xfrm_stat`.
pub struct Xfrm {
    file: HeldFile,
}

impl Xfrm {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self { file: HeldFile::new(roots.procfs.join("net/xfrm_stat")) }
    }
}

impl Collector for Xfrm {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.file.shared_path();
        // A kernel may be built without.
        let text = self.file.text().map_err(|_| CollectError::NoData)?;
        for line in text.lines() {
            let (name, value) = parse(line).map_err(|line| line.of(&path))?;
            let help = format!("Packets that the kernel counts as {name}.");
            let name = format!("node_xfrm_{}_packets_total", in_words(name));
            out.push(Family::single(name, MetricKind::Counter, help, value));
        }
        Ok(())
    }
}

/// `XfrmInError  1` is `InError` and 1.
fn parse(line: &str) -> Result<(&str, f64), Malformed> {
    let mut words = line.split_ascii_whitespace();
    let name = words.next().and_then(|word| word.strip_prefix("Xfrm"));
    let value = words.next().and_then(|word| word.parse().ok());
    name.zip(value).ok_or_else(|| Malformed::new(line, "`XfrmName number`"))
}

/// `InStateSeqError` as `in_state_seq_error`.
fn in_words(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_apart_into_words() {
        assert_eq!(parse("XfrmInError    1"), Ok(("InError", 1.0)));
        assert_eq!(in_words("InStateSeqError"), "in_state_seq_error");
        assert!(parse("InError 1").is_err() && parse("XfrmInError").is_err());
    }
}
