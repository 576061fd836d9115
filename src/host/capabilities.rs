//! The rights that a program file gives to whoever runs it (capabilities(7)).
//!
//! The kernel keeps them in the extended attribute `security.capability`, in the layout of its
//! `include/uapi/linux/capability.h` (`struct vfs_cap_data`): a revision with the bit for
//! *effective*, then bits of *permitted* and *inheritable*, 32 at a time, all little-endian;
//! revision 3 has the root user of a user namespace behind that.

/// The names of the kernel's capabilities; a capability's number is its place.
pub const NAMES: [&str; 41] = [
    "cap_chown",
    "cap_dac_override",
    "cap_dac_read_search",
    "cap_fowner",
    "cap_fsetid",
    "cap_kill",
    "cap_setgid",
    "cap_setuid",
    "cap_setpcap",
    "cap_linux_immutable",
    "cap_net_bind_service",
    "cap_net_broadcast",
    "cap_net_admin",
    "cap_net_raw",
    "cap_ipc_lock",
    "cap_ipc_owner",
    "cap_sys_module",
    "cap_sys_rawio",
    "cap_sys_chroot",
    "cap_sys_ptrace",
    "cap_sys_pacct",
    "cap_sys_admin",
    "cap_sys_boot",
    "cap_sys_nice",
    "cap_sys_resource",
    "cap_sys_time",
    "cap_sys_tty_config",
    "cap_mknod",
    "cap_lease",
    "cap_audit_write",
    "cap_audit_control",
    "cap_setfcap",
    "cap_mac_override",
    "cap_mac_admin",
    "cap_syslog",
    "cap_wake_alarm",
    "cap_block_suspend",
    "cap_audit_read",
    "cap_perfmon",
    "cap_bpf",
    "cap_checkpoint_restore",
];

const REVISION_MASK: u32 = 0xff00_0000;
const REVISION_1: u32 = 0x0100_0000;
const REVISION_2: u32 = 0x0200_0000;
const REVISION_3: u32 = 0x0300_0000;
const EFFECTIVE: u32 = 1;

/// In which of the three sets a capability is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// The program has it from its start.
    pub effective: bool,
    /// The program passes it on.
    pub inheritable: bool,
    /// The program may take it.
    pub permitted: bool,
}

impl Flags {
    /// Whether it is in none.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// `eip`.
    pub fn letters(self) -> String {
        let letters = [(self.effective, 'e'), (self.inheritable, 'i'), (self.permitted, 'p')];
        letters.into_iter().filter(|(set, _)| *set).map(|(_, letter)| letter).collect()
    }
}

/// The rights of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// What is permitted and inheritable is effective from the start; all of it or nothing.
    effective: bool,
    permitted: u64,
    inheritable: u64,
    /// The root user of the user namespace that they count in.
    root: Option<u32>,
}

impl Capabilities {
    /// Reads the attribute's bytes. The error says what is wrong with them.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let (words, rest) = bytes.as_chunks::<4>();
        let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let first = words.first().copied().unwrap_or_default();
        let wide = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
        let (permitted, inheritable, root) = match (first & REVISION_MASK, &words[..]) {
            (REVISION_1, [_, permitted, inheritable]) => {
                (u64::from(*permitted), u64::from(*inheritable), None)
            }
            (REVISION_2, [_, p0, i0, p1, i1]) => (wide(*p0, *p1), wide(*i0, *i1), None),
            (REVISION_3, [_, p0, i0, p1, i1, root]) => {
                (wide(*p0, *p1), wide(*i0, *i1), Some(*root))
            }
            _ => {
                return Err(format!(
                    "{} bytes of revision {:#x} are not known",
                    bytes.len(),
                    first >> 24
                ));
            }
        };
        if !rest.is_empty() {
            return Err(format!("{} bytes are too many", bytes.len()));
        }
        Ok(Self { effective: first & EFFECTIVE != 0, permitted, inheritable, root })
    }

    /// The attribute's bytes.
    pub fn encode(self) -> Vec<u8> {
        let revision = if self.root.is_some() { REVISION_3 } else { REVISION_2 };
        let half = |bits: u64, shift: u32| (bits >> shift) as u32;
        let words = [
            revision | u32::from(self.effective),
            half(self.permitted, 0),
            half(self.inheritable, 0),
            half(self.permitted, 32),
            half(self.inheritable, 32),
        ];
        words.into_iter().chain(self.root).flat_map(u32::to_le_bytes).collect()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        (self.permitted | self.inheritable) == 0
    }

    /// The sets that the capability of this number is in.
    pub fn get(self, number: u32) -> Flags {
        let has = |bits: u64| bits & 1_u64.unbounded_shl(number) != 0;
        let (permitted, inheritable) = (has(self.permitted), has(self.inheritable));
        let effective = self.effective && (permitted || inheritable);
        Flags { effective, inheritable, permitted }
    }

    /// The same with the capability of this number in these sets. The kernel has one bit for the
    /// effective set of all: it is that of what was set last, so that [`Self::agrees`] should hold
    /// beforehand.
    #[must_use]
    pub fn with(mut self, number: u32, flags: Flags) -> Self {
        let bit = 1_u64.unbounded_shl(number);
        let put = |bits: u64, on: bool| if on { bits | bit } else { bits & !bit };
        self.permitted = put(self.permitted, flags.permitted);
        self.inheritable = put(self.inheritable, flags.inheritable);
        if flags.permitted || flags.inheritable {
            self.effective = flags.effective;
        }
        self.effective &= !self.is_empty();
        self
    }

    /// Whether the capability of this number can be in these sets beside all others: the others
    /// must be effective where it is, and not where it is not.
    pub fn agrees(self, number: u32, flags: Flags) -> bool {
        let others = self.with(number, Flags::default());
        let alone = !(flags.permitted || flags.inheritable);
        alone || others.is_empty() || others.effective == flags.effective
    }

    /// As `getcap` shows them: `cap_net_admin,cap_net_raw=ep`.
    pub fn text(self) -> String {
        let all = (0..64).map(|number| (number, self.get(number)));
        let all: Vec<_> = all.filter(|(_, flags)| !flags.is_empty()).collect();
        let mut kinds: Vec<Flags> = Vec::new();
        for (_, flags) in &all {
            if !kinds.contains(flags) {
                kinds.push(*flags);
            }
        }
        let group = |kind: &Flags| {
            let names = all.iter().filter(|(_, flags)| flags == kind);
            let names: Vec<_> = names.map(|(number, _)| name(*number)).collect();
            format!("{}={}", names.join(","), kind.letters())
        };
        kinds.iter().map(group).collect::<Vec<_>>().join(" ")
    }
}

/// The name of the capability of this number; one that is newer than this program has none.
pub fn name(number: u32) -> String {
    let known = NAMES.get(number as usize);
    known.map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

/// The number of the capability called `name`; digits are a number.
pub fn number(name: &str) -> Option<u32> {
    let known = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name));
    match known {
        Some(at) => u32::try_from(at).ok(),
        None => name.parse().ok().filter(|number| *number < 64),
    }
}

/// Any bytes in place of rights.
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile {
    use super::Capabilities;

    pub(crate) fn rights(bytes: &[u8]) {
        if let Ok(rights) = Capabilities::decode(bytes) {
            assert_eq!(Capabilities::decode(&rights.encode()), Ok(rights));
            assert_eq!(rights.text().is_empty(), rights.is_empty());
        }
    }

    pub(crate) fn all() -> Vec<Vec<u8>> {
        let plain = Capabilities { effective: true, permitted: 1 << 13, ..Capabilities::default() };
        let nested = Capabilities { inheritable: 1 << 40, root: Some(1000), ..plain };
        vec![plain.encode(), nested.encode(), b"\0\0\0\x01\x01\0\0\0\0\0\0\0".to_vec()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EP: Flags = Flags { effective: true, permitted: true, inheritable: false };

    #[test]
    fn rights_read_as_they_were_written_and_show_as_getcap_shows_them() {
        let raw = Capabilities::default().with(13, EP).with(10, EP);
        assert_eq!(raw.text(), "cap_net_bind_service,cap_net_raw=ep");
        assert_eq!(Capabilities::decode(&raw.encode()), Ok(raw));
        let gone = raw.with(13, Flags::default()).with(10, Flags::default());
        assert!(gone.is_empty() && gone == Capabilities::default());
        let high = Capabilities::default().with(40, EP);
        assert_eq!(Capabilities::decode(&high.encode()), Ok(high));
    }

    #[test]
    fn one_capability_cannot_be_effective_beside_another_that_is_not() {
        let raw = Capabilities::default().with(13, EP);
        let only_permitted = Flags { effective: false, ..EP };
        assert!(raw.agrees(10, EP) && !raw.agrees(10, only_permitted));
        assert!(raw.agrees(13, only_permitted), "its own may change");
        assert!(raw.agrees(13, Flags::default()));
    }

    #[test]
    fn damaged_rights_are_refused() {
        for wrong in [
            &b""[..],
            b"\0\0\0\x02",
            b"\0\0\0\x04\0\0\0\0",
            b"\x01\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        ] {
            assert!(Capabilities::decode(wrong).is_err(), "{wrong:?}");
        }
    }
}
