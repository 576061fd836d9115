//! The statistics of the kernel's remote procedure calls: what NFS clients and servers share.

use super::collector::Malformed;

/// The procedures of NFS version 2, in the protocol's order.
pub(super) const V2: [&str; 18] = [
    "Null", "GetAttr", "SetAttr", "Root", "Lookup", "ReadLink", "Read", "WrCache", "Write",
    "Create", "Remove", "Rename", "Link", "SymLink", "MkDir", "RmDir", "ReadDir", "FsStat",
];

/// The procedures of NFS version 3, in the protocol's order.
pub(super) const V3: [&str; 22] = [
    "Null",
    "GetAttr",
    "SetAttr",
    "Lookup",
    "Access",
    "ReadLink",
    "Read",
    "Write",
    "Create",
    "MkDir",
    "SymLink",
    "MkNod",
    "Remove",
    "RmDir",
    "Rename",
    "Link",
    "ReadDir",
    "ReadDirPlus",
    "FsStat",
    "FsInfo",
    "PathConf",
    "Commit",
];

/// The lines of `/proc/net/rpc/*`: a word and its numbers, of which fractions are left out (kernels
/// before 2.6.29 write some behind the number of threads).
pub(super) fn lines(text: &str) -> impl Iterator<Item = Result<(&str, Vec<u64>), Malformed>> {
    text.lines().filter(|line| !line.trim().is_empty()).map(|line| {
        let malformed = || Malformed::new(line, "a word and numbers");
        let mut words = line.split_ascii_whitespace();
        let word = words.next().ok_or_else(malformed)?;
        let whole = words.filter(|word| !word.contains('.')).map(str::parse);
        Ok((word, whole.collect::<Result<_, _>>().map_err(|_| malformed())?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_word_and_numbers() {
        let found: Vec<_> = lines("th 8 0 0.000 0.000\n\nrpc 1 x\n").collect();
        assert_eq!(found[0], Ok(("th", vec![8, 0])));
        assert!(found[1].is_err());
    }
}
