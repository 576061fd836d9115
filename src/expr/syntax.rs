//! How a template file is written: its marks, and what becomes of its white space.

use super::jinja::Problem;
use minijinja::Error;
use minijinja::syntax::SyntaxConfig;

/// How a template file is written; the defaults are Ansible's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syntax {
    /// The line end after a block's tag is dropped.
    pub trim_blocks: bool,
    /// Blanks before a block's tag are dropped.
    pub lstrip_blocks: bool,
    /// What begins and ends an expression.
    pub variable: (String, String),
    /// What begins and ends a block's tag.
    pub block: (String, String),
    /// What begins and ends a comment.
    pub comment: (String, String),
}

/// What becomes of the line end that a text ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastLineEnd {
    Kept,
    Dropped,
}

impl Default for Syntax {
    fn default() -> Self {
        let marks = |start: &str, end: &str| (start.to_owned(), end.to_owned());
        Self {
            trim_blocks: true,
            lstrip_blocks: false,
            variable: marks("{{", "}}"),
            block: marks("{%", "%}"),
            comment: marks("{#", "#}"),
        }
    }
}

impl Syntax {
    /// The marks under their names in Jinja.
    pub fn marks(&mut self) -> [(&'static str, &mut String); 6] {
        [
            ("variable_start_string", &mut self.variable.0),
            ("variable_end_string", &mut self.variable.1),
            ("block_start_string", &mut self.block.0),
            ("block_end_string", &mut self.block.1),
            ("comment_start_string", &mut self.comment.0),
            ("comment_end_string", &mut self.comment.1),
        ]
    }

    /// The text behind Ansible's header, where the first line is one:
    /// `#jinja2: lstrip_blocks: True, variable_start_string: '[['`. What that says wins.
    pub(super) fn with_header(mut self, text: &str) -> Result<(&str, Self), Problem> {
        let Some(header) = text.strip_prefix("#jinja2:") else { return Ok((text, self)) };
        let (header, rest) = header.split_once('\n').unwrap_or((header, ""));
        for setting in header.split(',').map(str::trim).filter(|setting| !setting.is_empty()) {
            let wrong =
                |why: &str| Problem::new(format!("the header `#jinja2:` has `{setting}`, {why}"));
            let Some((name, value)) = setting.split_once(':') else {
                return Err(wrong("which is no name with a value"));
            };
            let (name, value) = (name.trim(), value.trim());
            let flag = || match value {
                "true" | "True" | "yes" => Ok(true),
                "false" | "False" | "no" => Ok(false),
                _ => Err(wrong("and `True` or `False` is expected")),
            };
            match name {
                "trim_blocks" => self.trim_blocks = flag()?,
                "lstrip_blocks" => self.lstrip_blocks = flag()?,
                _ => {
                    let mark = self.marks().into_iter().find(|(own, _)| *own == name);
                    let Some((_, mark)) = mark else { return Err(wrong("which is not known")) };
                    let quoted = ['\'', '"']
                        .iter()
                        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
                    quoted.ok_or_else(|| wrong("and text in quotes is expected"))?.clone_into(mark);
                }
            }
        }
        Ok((rest, self))
    }

    pub(super) fn config(self, last: LastLineEnd) -> Result<SyntaxConfig, Error> {
        SyntaxConfig::builder()
            .trim_blocks(self.trim_blocks)
            .lstrip_blocks(self.lstrip_blocks)
            .keep_trailing_newline(last == LastLineEnd::Kept)
            .variable_delimiters(self.variable.0, self.variable.1)
            .block_delimiters(self.block.0, self.block.1)
            .comment_delimiters(self.comment.0, self.comment.1)
            .build()
    }
}
