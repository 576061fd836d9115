//! The program's own code in memory.

use super::sys;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

/// Lets go of the pages of the program's own code, of which a start uses a great deal that nothing
/// needs afterwards. What is needed comes back from its file, page by page. Where it cannot be
/// done, nothing is lost.
///
/// - Source: `/proc/self/maps`.
pub fn give_back() {
    let Ok(program) = fs::read_link("/proc/self/exe") else { return };
    let Ok(maps) = fs::read("/proc/self/maps") else { return };
    for (start, end) in maps.split(|byte| *byte == b'\n').filter_map(|line| {
        let (range, path) = mapping(line)?;
        (path == program.as_os_str().as_bytes()).then_some(range)
    }) {
        sys::forget_file_pages(start, end).ok();
    }
}

/// Where the program's code is mapped (`r-xp`), or what stands before it in its file (`r--p` from
/// offset 0), and of which file. Nothing ever writes to either: what the loader relocates lies
/// behind them.
fn mapping(line: &[u8]) -> Option<((usize, usize), &[u8])> {
    let mut words = line.splitn(6, |byte| *byte == b' ');
    let mut word = || words.next();
    let (range, rights, offset) = (word()?, word()?, word()?);
    let (_, _, path) = (word()?, word()?, word()?.trim_ascii_start());
    let is_start = offset.iter().all(|digit| *digit == b'0');
    if !(rights == b"r-xp" || (rights == b"r--p" && is_start)) {
        return None;
    }
    let (start, end) = std::str::from_utf8(range).ok()?.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    Some(((address(start)?, address(end)?), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nothing_writes_to_is_given_back() {
        let told = |line: &'static str| mapping(line.as_bytes());
        let code = "55d0-55f0 r-xp 00123000 fe:00 42                         /usr/bin/a b";
        assert_eq!(told(code), Some(((0x55d0, 0x55f0), &b"/usr/bin/a b"[..])));
        let head = "1000-2000 r--p 00000000 fe:00 42   /bin/x";
        assert_eq!(told(head), Some(((0x1000, 0x2000), &b"/bin/x"[..])));
        for other in [
            "1000-2000 r--p 00a00000 fe:00 42   /bin/x",
            "1000-2000 rw-p 00000000 fe:00 42   /bin/x",
            "1000-2000 r-xp 00000000 00:00 0",
            "1000 r-xp 00000000 fe:00 42 /bin/x",
            "",
        ] {
            assert_eq!(told(other), None, "{other}");
        }
    }

    #[test]
    fn the_program_goes_on_after_it_has_let_go_of_its_code() {
        let resident = || {
            let text = fs::read_to_string("/proc/self/status").unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
            line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
        };
        let before = resident();
        give_back();
        let after = resident();
        assert!(after < before, "{after} kB of {before} kB are there");
    }
}
