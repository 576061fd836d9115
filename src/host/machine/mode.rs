//! Permissions as tasks ask for them: octal digits or `chmod`'s symbols.

use super::meta::Kind;

/// Permissions that a file should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Exactly these bits.
    Exact(u32),
    /// Steps from the bits that it has.
    Symbolic(Vec<Step>),
    /// Those of the file that is copied.
    Preserve,
}

/// One step such as `g-w` or `u=rwX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// `u`, `g`, `o` as bits 4, 2, 1; 0 where nobody was named: all, less the umask.
    who: u8,
    operator: Operator,
    /// Of `rwxXst`.
    what: String,
    /// `u`, `g` or `o`, where the right side copies another's bits.
    like: Option<char>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Set,
    Add,
    Drop,
}

impl Mode {
    /// Reads `0644`, `644`, `0o644` (octal, as text), `u=rwX,g=rX,o=` or `preserve`. The error
    /// says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "preserve" {
            return Ok(Self::Preserve);
        }
        if text.is_empty() {
            return Err("the mode is empty".into());
        }
        let digits = text.strip_prefix("0o").unwrap_or(text);
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return match u32::from_str_radix(digits, 8) {
                Ok(bits) if bits <= 0o7777 => Ok(Self::Exact(bits)),
                Ok(_) => Err(format!("the mode `{text}` is above 07777")),
                Err(_) => Err(format!("the mode `{text}` holds a digit that octal does not have")),
            };
        }
        let mut steps = Vec::new();
        for clause in text.split(',') {
            parse_clause(clause.trim(), &mut steps).ok_or_else(|| {
                format!("the mode `{text}` is neither octal nor like `u=rwX,g=rX,o=`")
            })?;
        }
        Ok(Self::Symbolic(steps))
    }

    /// The bits for something of `kind` that has `now`.
    pub fn resolve(&self, now: u32, kind: Kind, umask: u32) -> u32 {
        match self {
            Self::Exact(bits) => *bits,
            Self::Preserve => now,
            Self::Symbolic(steps) => {
                steps.iter().fold(now, |now, step| step.apply(now, kind, umask))
            }
        }
    }
}

fn parse_clause(clause: &str, steps: &mut Vec<Step>) -> Option<()> {
    let start = clause.find(['=', '+', '-'])?;
    let who = clause[..start].chars().try_fold(0, |who, c| {
        Some(
            who | match c {
                'u' => 4,
                'g' => 2,
                'o' => 1,
                'a' => 7,
                _ => return None,
            },
        )
    })?;
    let mut rest = &clause[start..];
    while !rest.is_empty() {
        let operator = match rest.as_bytes()[0] {
            b'=' => Operator::Set,
            b'+' => Operator::Add,
            b'-' => Operator::Drop,
            _ => return None,
        };
        let end = rest[1..].find(['=', '+', '-']).map_or(rest.len(), |at| at + 1);
        let what = &rest[1..end];
        let like = matches!(what, "u" | "g" | "o").then(|| what.chars().next()).flatten();
        if like.is_none() && !what.chars().all(|c| "rwxXst".contains(c)) {
            return None;
        }
        let what = if like.is_some() { String::new() } else { what.to_owned() };
        steps.push(Step { who, operator, what, like });
        rest = &rest[end..];
    }
    Some(())
}

impl Step {
    fn apply(&self, now: u32, kind: Kind, umask: u32) -> u32 {
        let directory = kind == Kind::Directory;
        let searchable = directory || now & 0o111 != 0;
        let copied = self.like.map_or(0, |like| match like {
            'u' => now >> 6 & 7,
            'g' => now >> 3 & 7,
            _ => now & 7,
        });
        let rwx = copied
            | self.what.chars().fold(0, |bits, c| match c {
                'r' => bits | 4,
                'w' => bits | 2,
                'x' => bits | 1,
                'X' if searchable => bits | 1,
                _ => bits,
            });
        let who = if self.who == 0 { 7 } else { self.who };
        let mut bits = 0;
        let mut mask = 0;
        for (named, shift, set_id) in [(4, 6, 0o4000), (2, 3, 0o2000), (1, 0, 0)] {
            if who & named != 0 {
                bits |= rwx << shift;
                mask |= 7 << shift;
                if self.what.contains('s') {
                    bits |= set_id;
                }
                // `u=rwx` on a directory leaves its set-id bits alone, as chmod does.
                if !directory {
                    mask |= set_id;
                }
            }
        }
        if self.what.contains('t') {
            bits |= 0o1000;
        }
        if self.who == 0 {
            bits &= !umask;
        }
        match self.operator {
            Operator::Set => now & !mask | bits,
            Operator::Add => now | bits,
            Operator::Drop => now & !bits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_mean_what_chmod_means_by_them() {
        use Kind::{Directory, File};
        for (text, now, kind, then) in [
            ("u=rwX,g=rX,o=", 0o644, File, 0o640),
            ("u=rwX,g=rX,o=", 0o700, Directory, 0o750),
            ("u=rwX,g=rX,o=", 0o100, File, 0o750),
            ("+x", 0o644, File, 0o755),
            ("a-w", 0o666, File, 0o444),
            ("g=u", 0o640, File, 0o660),
            ("u+s,o+t", 0o755, File, 0o5755),
            ("u=rw", 0o4755, File, 0o655),
            ("g=rx", 0o2775, Directory, 0o2755),
            ("u-x+w", 0o500, File, 0o600),
            ("+w", 0o444, File, 0o644),
        ] {
            let mode = Mode::parse(text).unwrap();
            assert_eq!(mode.resolve(now, kind, 0o022), then, "{text} from {now:o}");
        }
    }

    #[test]
    fn octal_is_read_as_octal_and_nothing_else() {
        assert_eq!(Mode::parse("0644"), Ok(Mode::Exact(0o644)));
        assert_eq!(Mode::parse("1777"), Ok(Mode::Exact(0o1777)));
        assert_eq!(Mode::parse("0o600"), Ok(Mode::Exact(0o600)));
        for wrong in ["", "0o9", "rw", "10644", "77777", "u=rwz", "u", "8"] {
            assert!(Mode::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
