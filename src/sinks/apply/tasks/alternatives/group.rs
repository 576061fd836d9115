//! A group of alternatives: the programs that can stand behind one name.
//!
//! Source: the files in `/var/lib/dpkg/alternatives`, as update-alternatives(1) keeps them: the mode,
//! the link, pairs of a follower's name and link up to an empty line; then of each choice its path,
//! its priority and a line for each follower, up to an empty line.

/// A group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    /// Whether the choice with the greatest priority counts, whatever comes and goes.
    pub(super) is_auto: bool,
    /// The link that leads to the choice: `/usr/bin/editor`.
    pub(super) link: String,
    /// What else is linked with it: name and link.
    pub(super) followers: Vec<(String, String)>,
    /// The choices, by their paths.
    pub(super) choices: Vec<Choice>,
    /// The choice that counts, where one does.
    pub(super) current: Option<String>,
}

/// What can stand behind the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// The program.
    pub(super) path: String,
    /// The greater, the better.
    pub(super) priority: i64,
    /// What is linked with it: a follower's name and a path.
    pub(super) followers: Vec<(String, String)>,
}

impl Group {
    /// Reads a file; `None` where it has another form.
    pub(super) fn parse(text: &str, current: Option<String>) -> Option<Self> {
        let mut lines = text.lines();
        let is_auto = match lines.next()? {
            "auto" => true,
            "manual" => false,
            _ => return None,
        };
        let link = lines.next()?.to_owned();
        let mut followers = Vec::new();
        while let Some(name) = lines.next().filter(|line| !line.is_empty()) {
            followers.push((name.to_owned(), lines.next()?.to_owned()));
        }
        let mut choices = Vec::new();
        while let Some(path) = lines.next().filter(|line| !line.is_empty()) {
            let priority = lines.next()?.trim().parse().ok()?;
            let mut own = Vec::new();
            for (name, _) in &followers {
                let path = lines.next()?;
                if !path.is_empty() {
                    own.push((name.clone(), path.to_owned()));
                }
            }
            choices.push(Choice { path: path.to_owned(), priority, followers: own });
        }
        Some(Self { is_auto, link, followers, choices, current })
    }

    pub(super) fn choice(&self, path: &str) -> Option<&Choice> {
        self.choices.iter().find(|choice| choice.path == path)
    }

    /// The choice with the greatest priority.
    fn best(&self) -> Option<String> {
        let mut best: Option<&Choice> = None;
        for choice in &self.choices {
            if best.is_none_or(|best| choice.priority > best.priority) {
                best = Some(choice);
            }
        }
        best.map(|best| best.path.clone())
    }

    /// The group once a choice was installed.
    pub(super) fn installed(
        mut self,
        link: &str,
        choice: Choice,
        followers: &[(String, String)],
    ) -> Self {
        if self.choices.is_empty() {
            self.is_auto = true;
        }
        self.link = link.to_owned();
        for (name, link) in followers {
            match self.followers.iter_mut().find(|(known, _)| known == name) {
                Some(known) => known.1.clone_from(link),
                None => self.followers.push((name.clone(), link.clone())),
            }
        }
        self.followers.sort();
        self.choices.retain(|known| known.path != choice.path);
        self.choices.push(choice);
        self.choices.sort_by(|one, other| one.path.cmp(&other.path));
        self.settled()
    }

    /// The group once this choice was selected.
    pub(super) fn selected(self, path: &str) -> Self {
        Self { is_auto: false, current: Some(path.to_owned()), ..self }
    }

    /// The group once it was set to look for the best choice itself.
    pub(super) fn auto(self) -> Self {
        Self { is_auto: true, ..self }.settled()
    }

    /// The group once a choice was removed.
    pub(super) fn removed(mut self, path: &str) -> Self {
        self.choices.retain(|choice| choice.path != path);
        if self.current.as_deref() == Some(path) {
            self.is_auto = true;
        }
        self.settled()
    }

    fn settled(self) -> Self {
        if self.is_auto { Self { current: self.best(), ..self } } else { self }
    }

    /// The group for people, on one line, and for [`Self::read`].
    pub(super) fn described(&self) -> String {
        if self.choices.is_empty() {
            return "none".to_owned();
        }
        let mode = if self.is_auto { "auto" } else { "manual" };
        let current = self.current.as_deref().unwrap_or("-");
        let pairs = |pairs: &[(String, String)]| -> String {
            pairs.iter().map(|(name, path)| format!(" {name}={path}")).collect()
        };
        let choice = |choice: &Choice| {
            format!("; {} {}{}", choice.path, choice.priority, pairs(&choice.followers))
        };
        let choices: String = self.choices.iter().map(choice).collect();
        format!("{mode} {current} at {}{}{choices}", self.link, pairs(&self.followers))
    }

    /// Reads what [`Self::described`] says, which is what a dry run remembers.
    pub(super) fn read(text: &str) -> Self {
        let pair = |word: &str| {
            word.split_once('=').map(|(name, path)| (name.to_owned(), path.to_owned()))
        };
        let mut parts = text.split("; ");
        let mut head = parts.next().unwrap_or_default().split(' ');
        let is_auto = head.next() != Some("manual");
        let current = head.next().filter(|path| *path != "-").map(str::to_owned);
        let link = head.nth(1).unwrap_or_default().to_owned();
        let followers = head.filter_map(pair).collect();
        let choice = |part: &str| {
            let mut words = part.split(' ');
            Some(Choice {
                path: words.next()?.to_owned(),
                priority: words.next()?.parse().ok()?,
                followers: words.filter_map(pair).collect(),
            })
        };
        Self { is_auto, link, followers, choices: parts.filter_map(choice).collect(), current }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AWK: &str = "auto\n/usr/bin/awk\nawk.1.gz\n/usr/share/man/man1/awk.1.gz\nnawk\n/usr/bin/nawk\n\n\
        /usr/bin/gawk\n10\n\n/usr/bin/gawk\n/usr/bin/mawk\n5\n/usr/share/man/man1/mawk.1.gz\n/usr/bin/mawk\n\n";

    #[test]
    fn a_group_is_read_as_its_file_has_it_and_as_it_is_told() {
        let group = Group::parse(AWK, Some("/usr/bin/gawk".into())).unwrap();
        let gawk = group.choice("/usr/bin/gawk").unwrap();
        assert_eq!((gawk.priority, gawk.followers.len()), (10, 1));
        let told = group.described();
        assert_eq!(
            told,
            "auto /usr/bin/gawk at /usr/bin/awk awk.1.gz=/usr/share/man/man1/awk.1.gz \
             nawk=/usr/bin/nawk; /usr/bin/gawk 10 nawk=/usr/bin/gawk; /usr/bin/mawk 5 \
             awk.1.gz=/usr/share/man/man1/mawk.1.gz nawk=/usr/bin/mawk"
        );
        assert_eq!(Group::read(&told), group);
        assert_eq!(Group::read("none").choices, []);
        assert_eq!(Group::parse("other\n", None), None);
    }

    #[test]
    fn the_best_choice_counts_until_one_is_selected() {
        let group = Group::parse(AWK, Some("/usr/bin/gawk".into())).unwrap();
        let less = group.clone().removed("/usr/bin/gawk");
        assert_eq!(less.current.as_deref(), Some("/usr/bin/mawk"));
        let chosen = group.selected("/usr/bin/mawk");
        assert!(!chosen.is_auto);
        let again = chosen.clone().removed("/usr/bin/mawk");
        assert!(again.is_auto && again.current.as_deref() == Some("/usr/bin/gawk"));
        assert_eq!(chosen.auto().current.as_deref(), Some("/usr/bin/gawk"));
    }
}
