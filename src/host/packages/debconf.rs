//! What packages have asked and what was answered: the database of debconf.
//!
//! Source: debconf.conf(5), which names the files, and their form: a paragraph for each question, with
//! `Name`, `Template`, `Value`, `Owners` and `Flags`; a line end in a value is written `\n`.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where debconf keeps what it knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Questions with their answers; passwords have a file of their own.
    pub questions: Vec<PathBuf>,
    /// What questions are like.
    pub templates: Vec<PathBuf>,
}

impl Files {
    /// Reads `/etc/debconf.conf`.
    ///
    /// Errors: where it keeps them anywhere but in files.
    pub fn read(config: &str) -> Result<Self, String> {
        let lines = config.lines().filter(|line| !line.starts_with('#'));
        let config = lines.collect::<Vec<_>>().join("\n");
        let mut all: Vec<BTreeMap<String, &str>> = Vec::new();
        for paragraph in config.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
            let fields = paragraph.lines().filter_map(|line| line.split_once(':'));
            all.push(fields.map(|(key, value)| (key.to_lowercase(), value.trim())).collect());
        }
        let named = |field: &str| {
            let name = all.first().and_then(|first| first.get(field)).copied();
            name.ok_or_else(|| format!("`{field}` is missing in it"))
        };
        Ok(Self {
            questions: paths(&all, named("config")?, 0)?,
            templates: paths(&all, named("templates")?, 0)?,
        })
    }
}

/// The files of a driver; a stack is several.
fn paths(all: &[BTreeMap<String, &str>], name: &str, depth: usize) -> Result<Vec<PathBuf>, String> {
    let driver = all.iter().find(|driver| driver.get("name") == Some(&name));
    let field = |field: &str| driver.and_then(|driver| driver.get(field)).copied();
    match (field("driver"), field("filename"), field("stack")) {
        (Some("File"), Some(path), _) => Ok(vec![path.into()]),
        // Deeper ones go round in a circle.
        (Some("Stack"), _, Some(stack)) if depth < 8 => {
            let names = stack.split(',').map(str::trim);
            let found: Result<Vec<_>, _> = names.map(|name| paths(all, name, depth + 1)).collect();
            Ok(found?.concat())
        }
        _ => Err(format!("its `{name}` is no file and no stack of files")),
    }
}

/// One question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// What it is called: `PACKAGE/WORD`.
    pub name: String,
    /// Which template says what it is like.
    pub template: String,
    /// The answer, where there is one.
    pub value: Option<String>,
    /// The packages that have asked.
    pub owners: Vec<String>,
    /// Whether somebody has answered.
    pub is_seen: bool,
}

/// Reads a file of questions. What is damaged is left out.
pub fn questions(text: &str) -> impl Iterator<Item = Question> {
    text.split("\n\n").filter_map(|paragraph| {
        let list = |value: &str| value.split(',').map(|word| word.trim().to_owned()).collect();
        let mut question = Question::default();
        for (key, value) in fields(paragraph) {
            match key {
                "Name" => question.name = value.to_owned(),
                "Template" => question.template = value.to_owned(),
                "Value" => question.value = Some(value.replace("\\n", "\n")),
                "Owners" => question.owners = list(value),
                "Flags" => question.is_seen = value.split(',').any(|flag| flag.trim() == "seen"),
                _ => {}
            }
        }
        (!question.name.is_empty()).then_some(question)
    })
}

/// What a template says of a question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// `boolean`, `string`, `password` and so on.
    pub kind: String,
    /// The answer where nobody has given one.
    pub default: String,
}

/// Reads the templates called as `is_wanted` says.
pub fn templates(text: &str, is_wanted: impl Fn(&str) -> bool) -> BTreeMap<String, Template> {
    let found = text.split("\n\n").filter_map(|paragraph| {
        let name = fields(paragraph).find(|(key, _)| *key == "Name")?.1;
        if !is_wanted(name) {
            return None;
        }
        let mut template = Template::default();
        for (key, value) in fields(paragraph) {
            match key {
                "Type" => value.clone_into(&mut template.kind),
                "Default" => template.default = value.replace("\\n", "\n"),
                _ => {}
            }
        }
        Some((name.to_owned(), template))
    });
    found.collect()
}

fn fields(paragraph: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = paragraph.lines().filter(|line| !line.starts_with(' '));
    lines.filter_map(|line| {
        let (key, value) = line.split_once(':')?;
        // One blank is a part of the form, more would be of the value.
        Some((key, value.strip_prefix(' ').unwrap_or(value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_those_that_debconf_is_set_up_with() {
        let config = "# one\n# two\n\nConfig: configdb\nTemplates: templatedb\n\n# a file\nName: config\n\
            Driver: File\nFilename: /a\n\nName: passwords\nDriver: File\nFilename: /b\n\n# both\n\n\
            Name: configdb\nDriver: Stack\nStack: config, passwords\n\nName: templatedb\nDriver: File\n\
            Filename: /c\n";
        let files = Files::read(config).unwrap();
        assert_eq!(files.questions, [PathBuf::from("/a"), "/b".into()]);
        assert_eq!(files.templates, [PathBuf::from("/c")]);
        let elsewhere = config.replacen("Driver: File", "Driver: LDAP", 1);
        assert!(Files::read(&elsewhere).unwrap_err().contains("`config`"));
        let circle = config.replace("config, passwords", "configdb");
        assert!(Files::read(&circle).unwrap_err().contains("`configdb`"));
        assert!(Files::read("").is_err());
    }

    #[test]
    fn a_question_has_its_answer_and_those_who_asked() {
        let text = "Name: a/b\nTemplate: a/b\nValue:  x\\ny: z\nOwners: a, d-i\nFlags: seen\nVariables:\n \
            choices = Value: no\n\nName: a/c\nTemplate: a/c\nOwners: a\n\nTemplate: damaged\n";
        let all: Vec<Question> = questions(text).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].value.as_deref(), Some(" x\ny: z"));
        assert_eq!(all[0].owners, ["a", "d-i"]);
        assert!(all[0].is_seen && !all[1].is_seen && all[1].value.is_none());
        let text = "Name: a/b\nDefault: yes\nDefault-de.UTF-8: ja\nType: boolean\n\nName: a/c\nType: note\n";
        let found = templates(text, |name| name == "a/b");
        let expected = Template { kind: "boolean".into(), default: "yes".into() };
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [("a/b".to_owned(), expected)]);
    }
}
