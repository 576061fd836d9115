//! `pam_limits`: what a user may use up, in `/etc/security/limits.conf`.

use super::{Failure, Module, Outcome, Task, TaskContext, file_attributes, system};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};

pub(super) static MODULE: Module = Module {
    name: "pam_limits",
    summary: "Makes sure that a limit of what a user may use up has a value.",
    acts_unless: None,
    spec: Spec {
        exclusive: &[&["use_max", "use_min"]],
        ..Spec::new(&[
            Param::new("domain", Kind::Text)
                .required()
                .says("For whom: a user, `@group`, `*` for all, or a range of numbers."),
            Param::new("limit_type", Kind::OneOf(&["-", "hard", "soft"]))
                .required()
                .says("`hard` is what root set, `soft` what users start with, `-` both."),
            Param::new("limit_item", Kind::OneOf(ITEMS)).required().says("What is limited."),
            Param::new("value", Kind::Text).required().says(
                "A number; `unlimited`, `infinity` or `-1` for none. That of `nice` and `priority` \
                 is from -20 to 19.",
            ),
            Param::new("use_max", Kind::Bool).says("Leave a greater value that is there."),
            Param::new("use_min", Kind::Bool).says("Leave a lesser value that is there."),
            Param::new("dest", Kind::Path)
                .says("The file; `/etc/security/limits.conf` where not given. It is made."),
            Param::new("comment", Kind::Text)
                .says("A comment behind the limit; one that is there stays where not given."),
            file_attributes::BACKUP,
        ])
    },
    check,
    build: |params| Box::new(PamLimits { params }),
};

const ITEMS: &[&str] = &[
    "as",
    "chroot",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "maxlogins",
    "maxsyslogins",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "priority",
    "rss",
    "rtprio",
    "sigpending",
    "stack",
];

const FILE: &str = "/etc/security/limits.conf";

/// Words for no limit.
const UNLIMITED: [&str; 3] = ["unlimited", "infinity", "-1"];

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    let mut complain =
        |name: &str, why: String| complaints.push(Diagnostic::new(why, params.place(name)));
    let known = |name| params.text(name).filter(|text: &&str| !text.contains("{{"));
    if let Some(domain) = known("domain")
        && (domain.is_empty() || domain.contains(['#', ' ', '\t', '\n']))
    {
        complain("domain", format!("`{domain}` is neither a user, `@group`, `*` nor a range"));
    }
    if let (Some(item), Some(value)) = (params.text("limit_item"), known("value"))
        && limit(item, value).is_none()
    {
        let range = if is_rank(item) { "-20 to 19" } else { "a number or `unlimited`" };
        complain("value", format!("`{value}` is no value of `{item}`: {range} is expected"));
    }
    if known("comment").is_some_and(|comment| comment.contains('\n')) {
        complain("comment", "`comment` is one line".into());
    }
    complaints
}

/// Whether the item's values say who comes first, and none stands for no limit.
fn is_rank(item: &str) -> bool {
    ["nice", "priority"].contains(&item)
}

/// A value that can be compared with others; `None` where the item cannot have it.
fn limit(item: &str, value: &str) -> Option<i64> {
    if is_rank(item) {
        return value.parse().ok().filter(|rank| (-20..=19).contains(rank));
    }
    if UNLIMITED.contains(&value) {
        return Some(i64::MAX);
    }
    value.parse().ok().filter(|number| *number >= 0)
}

struct PamLimits {
    params: Params,
}

impl Task for PamLimits {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let path = params.path("dest").unwrap_or_else(|| FILE.into());
        let old = system::read(machine, &path)?;
        let (new, line) = self.settle(old.as_deref().unwrap_or_default());
        let mut backup = None;
        if old.as_ref() != Some(&new) {
            backup = system::write(machine, &path, new, params.flag("backup", false))?;
        }
        Ok(system::with_backup(Outcome::default().with("msg", line), backup))
    }
}

impl PamLimits {
    /// The file with the limit in it, and the line that has it.
    fn settle(&self, old: &str) -> (String, String) {
        let text = |name| self.params.text(name).unwrap_or_default();
        let wanted = [text("domain"), text("limit_type"), text("limit_item")];
        let mut found = None;
        let mut lines: Vec<String> = Vec::new();
        for line in old.lines() {
            let (bare, comment) = match line.split_once('#') {
                Some((bare, comment)) => (bare, Some(comment)),
                None => (line, None),
            };
            let words: Vec<&str> = bare.split_whitespace().collect();
            let mut line = line.to_owned();
            if let [domain, limit_type, item, now] = words[..]
                && [domain, limit_type, item] == wanted
            {
                let value = self.choose(now);
                if value != now {
                    line = self.line(value, self.params.text("comment").or(comment));
                }
                found = Some(line.clone());
            }
            lines.push(line);
        }
        let line = found.unwrap_or_else(|| {
            let line = self.line(text("value"), self.params.text("comment"));
            lines.push(line.clone());
            line
        });
        (system::join(&lines), line)
    }

    fn line(&self, value: &str, comment: Option<&str>) -> String {
        let text = |name| self.params.text(name).unwrap_or_default();
        let comment = comment.filter(|comment| !comment.is_empty());
        let comment = comment.map_or(String::new(), |comment| format!("\t#{comment}"));
        let (domain, limit_type, item) = (text("domain"), text("limit_type"), text("limit_item"));
        format!("{domain}\t{limit_type}\t{item}\t{value}{comment}")
    }

    /// The value that is wanted, beside the one that is there.
    fn choose<'v>(&'v self, now: &'v str) -> &'v str {
        let params = &self.params;
        let (item, wanted) = (params.text("limit_item"), params.text("value").unwrap_or_default());
        let rank = |value| item.and_then(|item| limit(item, value));
        let (Some(have), Some(want)) = (rank(now), rank(wanted)) else { return wanted };
        let stays = params.flag("use_max", false) && have >= want
            || params.flag("use_min", false) && have <= want;
        if stays { now } else { wanted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(old: &str, value: &str, more: &[(&str, &str)]) -> String {
        let given =
            [("domain", "joe"), ("limit_type", "soft"), ("limit_item", "nofile"), ("value", value)];
        let params = system::params(&MODULE, &[&given, more].concat());
        PamLimits { params }.settle(old).0
    }

    #[test]
    fn a_limit_is_added_changed_where_it_is_and_left_alone() {
        let old =
            "#<domain> <type> <item> <value>\n*  soft core 0\njoe soft nofile 10 # his\n# End\n";
        let new = settled(old, "20", &[]);
        assert_eq!(new, old.replace("joe soft nofile 10 #", "joe\tsoft\tnofile\t20\t#"));
        assert_eq!(settled(&new, "20", &[]), new);
        assert_eq!(
            settled("", "unlimited", &[("comment", "all")]),
            "joe\tsoft\tnofile\tunlimited\t#all\n"
        );
    }

    #[test]
    fn a_greater_or_lesser_value_stays_where_that_is_wanted() {
        let old = "joe soft nofile 10\n";
        assert_eq!(settled(old, "5", &[("use_max", "yes")]), old);
        assert_eq!(settled(old, "infinity", &[("use_min", "yes")]), old);
        assert_eq!(settled(old, "5", &[("use_min", "yes")]), "joe\tsoft\tnofile\t5\n");
        assert_eq!(settled(old, "-1", &[("use_max", "yes")]), "joe\tsoft\tnofile\t-1\n");
        let none = "joe soft nofile unlimited\n";
        assert_eq!(settled(none, "5", &[("use_max", "yes")]), none);
    }

    #[test]
    fn a_value_that_the_item_cannot_have_is_refused() {
        assert_eq!(limit("nice", "-21"), None);
        assert_eq!(limit("nice", "-20"), Some(-20));
        assert_eq!(limit("nice", "unlimited"), None);
        assert_eq!(limit("nofile", "many"), None);
    }
}
