//! `mdadm`: how the software RAIDs are: their disks, their state, how far a rebuild has come.

use std::path::PathBuf;

use super::collector::{CollectError, Collector, Malformed};
use super::families::{Families, labels};
use crate::event::metric::Family;
use crate::host::roots::Roots;
use crate::host::{proc::HeldFile, sysfs};

/// The states that an array can be in, as the label `state` has them.
const STATES: [&str; 5] = ["active", "inactive", "recovering", "resync", "check"];

/// Reads `/proc/mdstat` and `/sys/block/mdN/md`.
pub struct Mdadm {
    mdstat: HeldFile,
    block: PathBuf,
}

impl Mdadm {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        let mdstat = HeldFile::new(roots.procfs.join("mdstat"));
        Self { mdstat, block: roots.sysfs.join("block") }
    }

    fn add_levels(&self, families: &mut Families) {
        for device in sysfs::names(&self.block) {
            let folder = self.block.join(&device).join("md");
            if !device.starts_with("md") || !folder.is_dir() {
                continue;
            }
            let number = |file| sysfs::number::<f64>(folder.join(file)).unwrap_or(0.0);
            let device = || labels([("device", &device)]);
            families.gauge(
                "node_md_degraded",
                "Disks that an array lacks.",
                device(),
                number("degraded"),
            );
            families.gauge(
                "node_md_raid_disks",
                "Disks that an array is laid out for.",
                device(),
                number("raid_disks"),
            );
        }
    }
}

impl Collector for Mdadm {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.mdstat.shared_path();
        let text = self.mdstat.text().map_err(|_| CollectError::NoData)?;
        let mut families = Families::default();
        for array in parse(&text).map_err(|line| line.of(&path))? {
            add(&array, &mut families);
        }
        self.add_levels(&mut families);
        out.extend(Vec::from(families));
        Ok(())
    }
}

fn add(array: &Array<'_>, families: &mut Families) {
    let device = || labels([("device", array.name)]);
    let mut gauge =
        |name, help, labels, value: u64| families.gauge(name, help, labels, value as f64);
    gauge("node_md_blocks", "Size of an array, in blocks of 1 KiB.", device(), array.blocks);
    gauge("node_md_blocks_synced", "Blocks that are in step.", device(), array.synced);
    gauge("node_md_disks_required", "Disks that an array needs.", device(), array.required);
    for (state, disks) in
        [("active", array.active), ("failed", array.failed), ("spare", array.spare)]
    {
        let labels = labels([("device", array.name), ("state", state)]);
        gauge("node_md_disks", "Disks of an array, by state.", labels, disks);
    }
    for state in STATES {
        let labels = labels([("device", array.name), ("state", state)]);
        let is = u64::from(state == array.state);
        gauge("node_md_state", "Whether an array is in this state: 1 yes, 0 no.", labels, is);
    }
}

/// One array, as two or more lines of `/proc/mdstat` have it.
#[derive(Debug, PartialEq)]
struct Array<'a> {
    name: &'a str,
    /// One of [`STATES`].
    state: &'a str,
    required: u64,
    active: u64,
    failed: u64,
    spare: u64,
    blocks: u64,
    synced: u64,
}

fn parse(text: &str) -> Result<Vec<Array<'_>>, Malformed> {
    let lines: Vec<&str> = text.lines().collect();
    let mut arrays = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let continues = line.starts_with([' ', '\t']) || line.is_empty();
        if continues || line.starts_with("Personalities") || line.starts_with("unused") {
            continue;
        }
        let rest = lines.get(at + 1..).unwrap_or_default();
        let end = rest.iter().position(|line| line.trim().is_empty()).unwrap_or(rest.len());
        arrays.push(parse_array(line, rest.get(..end).unwrap_or_default())?);
    }
    Ok(arrays)
}

/// `NAME : STATE ...`, then the array's size and its disks (`[NEEDED/ACTIVE]`), then what is being
/// done to it.
fn parse_array<'a>(line: &'a str, rest: &[&'a str]) -> Result<Array<'a>, Malformed> {
    let malformed = |line| Malformed::new(line, "an array with its state and size");
    let mut words = line.split_ascii_whitespace();
    let name = words.next().ok_or_else(|| malformed(line))?;
    let state = words.nth(1).ok_or_else(|| malformed(line))?;
    let (size, doing) = rest.split_first().ok_or_else(|| malformed(line))?;
    let blocks = size.split_ascii_whitespace().next().and_then(|word| word.parse().ok());
    let blocks = blocks.ok_or_else(|| malformed(size))?;
    let count = |what| line.matches(what).count() as u64;
    let (required, active) = if ["raid0", "linear"].iter().any(|level| line.contains(level)) {
        // Such arrays have no count of their own; each disk has a number in brackets.
        (count("["), count("["))
    } else if state == "inactive" {
        (0, 0)
    } else {
        disks(size).ok_or_else(|| malformed(size))?
    };
    let mut array = Array {
        name,
        state: STATES.iter().find(|known| **known == state).copied().unwrap_or(state),
        required,
        active,
        failed: count("(F)"),
        spare: count("(S)"),
        blocks,
        synced: blocks,
    };
    for line in doing {
        let states = [("recovery", "recovering"), ("resync", "resync"), ("check", "check")];
        if let Some((_, state)) = states.iter().find(|(word, _)| line.contains(word)) {
            array.state = state;
            array.synced = done(line).unwrap_or(0);
        }
    }
    Ok(array)
}

/// `[NEEDED/ACTIVE]`, the first bracket with a slash in it.
fn disks(line: &str) -> Option<(u64, u64)> {
    line.split('[').skip(1).find_map(|part| {
        let (needed, active) = part.split_once(']')?.0.split_once('/')?;
        Some((needed.parse().ok()?, active.parse().ok()?))
    })
}

/// The first number of `(DONE/ALL)`; there is none while the work is put off.
fn done(line: &str) -> Option<u64> {
    line.split_once('(')?.1.split_once('/')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Personalities : [raid1] [raid0]\n\
        md6 : active raid1 sdb2[2](F) sdc[1](S) sda2[0]\n      \
        195310144 blocks [2/1] [U_]\n      \
        [=>...]  recovery =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec\n\n\
        md9 : active raid1 sdc2[0] sdb2[1]\n      \
        523968 blocks super 1.2 [2/2] [UU]\n      resync=DELAYED\n\n\
        md7 : active raid0 sda1[0] sdb1[1]\n       314159265 blocks 64k chunks\n\n\
        unused devices: <none>\n";

    #[test]
    fn a_rebuild_shows_how_far_it_has_come() {
        let arrays = parse(TEXT).unwrap();
        let [six, nine, seven] = &arrays[..] else { panic!("{arrays:?}") };
        assert_eq!((six.state, six.synced, six.active, six.failed, six.spare), {
            ("recovering", 16_775_552, 1, 1, 1)
        });
        assert_eq!((nine.state, nine.synced, nine.required), ("resync", 0, 2));
        assert_eq!((seven.state, seven.required, seven.blocks), ("active", 2, 314_159_265));
    }

    #[test]
    fn an_array_without_its_size_is_told() {
        assert!(parse("md0 : active raid1 sda[0]\n").is_err());
        assert!(parse("md0 : active raid1 sda[0]\n    many blocks\n").is_err());
    }
}
