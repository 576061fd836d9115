//! `driftless test`: what it says of good, failing and wrong tests.

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::{Command, Output};

    const PROGRAM: &str = env!("CARGO_BIN_EXE_driftless");

    const CONFIG: &str = "
sources:
  app: {paths: [/var/log/app.log], parse: json, keep: level != 'debug'}
outputs:
  archive: {file: {path: /var/log/out.log}}
  web: {http: {url: 'http://127.0.0.1:1/', auth: {bearer: '{{ secrets.NOBODY_HAS_THIS }}'}}}
";

    /// Runs `driftless test` in a directory with these files.
    fn run(files: &[(&str, &str)], arguments: &[&str]) -> (Output, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mut command = Command::new(PROGRAM);
        command.arg("test").args(arguments).current_dir(&dir).env("HOME", dir.path());
        (command.output().unwrap(), dir)
    }

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_failure_says_what_was_expected_what_was_found_and_where_the_rest_went() {
        let tests = r#"
tests:
  - name: debug is left out
    inputs:
      - {at: app, records: ['{"level":"debug"}', '{"level":"error","code":7}']}
    expect:
      - {at: archive, count: 1}
  - name: all goes wrong
    inputs:
      - at: app
        records: ['{"level":"debug"}', '{"level":"error","code":7,"x":null}', 'no json']
    expect:
      - at: archive
        records: [{level: error, code: 8}, no json]
      - at: web
        contains: [{level: info}]
        each: level == 'error'
        any: [code > 7, code == 7]
      - {at: app.keep, count: 3}
      - {at: archive, none: true}
"#;
        let (output, _dir) = run(&[("logs.yml", CONFIG), ("tests/a.yml", tests)], &["."]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(text(&output.stderr), "");
        insta::assert_snapshot!(text(&output.stdout));
    }

    #[test]
    fn machines_get_the_same_as_json() {
        let tests = r#"
tests:
  - name: good
    inputs: [{at: app, records: ['{"level":"info"}']}]
    expect: [{at: archive, count: 1}]
  - name: bad
    inputs: [{at: app, records: ['{"level":"info"}']}]
    expect: [{at: archive, records: [{level: error}]}]
"#;
        let files = [("logs.yml", CONFIG), ("tests/a.yml", tests)];
        let (output, _dir) = run(&files, &["--config", ".", "--output", "json"]);
        assert_eq!(output.status.code(), Some(1));
        insta::assert_snapshot!(text(&output.stdout));
        let (output, _dir) = run(&files, &["--config", ".", "--name", "good"]);
        let all = "ok   good\n1 test: all as expected\n";
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), all));
    }

    #[test]
    fn a_wrong_file_of_tests_is_an_error_with_its_places() {
        let tests = r"
facts: {oss: {}}
tests:
  - name: one
    input: []
    expect: [{at: archive, cuont: 1}]
  - name: two
    inputs: [{at: ap, records: [x]}]
    expect: [{at: archive.failed, none: true}]
";
        let files = [("logs.yml", CONFIG), ("tests/a.yml", tests)];
        let (output, _dir) = run(&files, &["tests/a.yml"]);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), ""));
        insta::assert_snapshot!("unknown_keys", text(&output.stderr));
        let tests = r"
facts: {oss: {}}
tests:
  - name: two
    inputs: [{at: ap, records: [x]}, {records: [y]}, {at: app}]
    expect: [{at: archive}]
  - name: three
    inputs: [{at: app, records: [7], time: noon}]
    expect: [{at: app, each: 'level =='}]
";
        let (output, _dir) = run(&[files[0], ("tests/a.yml", tests)], &["tests/a.yml"]);
        insta::assert_snapshot!("wrong_values", text(&output.stderr));
        let tests = r"
facts: {oss: {}}
tests:
  - name: four
    inputs: [{at: ap, records: [x]}]
    expect: [{at: archive.failed, none: true}]
";
        let (output, _dir) = run(&[files[0], ("tests/a.yml", tests)], &["tests/a.yml"]);
        insta::assert_snapshot!("wrong_names", text(&output.stderr));
    }

    #[test]
    fn a_test_says_which_host_it_is_on_and_which_secrets_there_are() {
        let config = "
sources:
  app: {paths: [/var/log/app.log], set: {who: '{{ host }} {{ facts.os.family }}'}}
outputs:
  debian: {console: {}, when: facts.os.family == 'debian', inputs: [app]}
  all: {blackhole: {}, inputs: [app.mail]}
";
        let topology = "
transforms:
  app.mail: {type: redact, patterns: [email], action: hash, key: '{{ secrets.KEY }}', inputs: [logs.app.set]}
";
        let tests = "
host: web7
facts: {os: {family: debian}}
secrets: {KEY: 'a key for tests'}
tests:
  - name: names
    inputs: [{at: app, records: [mail of a@b.example]}]
    expect:
      - {at: debian, contains: [{who: web7 debian}]}
      - {at: app.mail, each: [\"message.startswith('mail of ')\", \"'@' not in message\"]}
";
        let files = [("logs.yml", config), ("topology.yml", topology), ("tests/a.yml", tests)];
        let (output, dir) = run(&files, &["."]);
        let said = [text(&output.stdout), text(&output.stderr)].concat();
        assert!(output.status.success(), "{said}");
        assert!(left(dir.path(), "var").is_empty(), "and nothing is written");
    }

    fn left(dir: &Path, name: &str) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|found| found == name).collect()
    }

    #[test]
    fn the_folder_of_tests_is_no_part_of_the_config() {
        let files = [("logs.yml", CONFIG), ("tests/a.yml", "nonsense: ["), ("tests/logs.yml", "x")];
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::create_dir_all(dir.path().join("tests")).unwrap();
            fs::write(dir.path().join(name), text).unwrap();
        }
        let mut command = Command::new(PROGRAM);
        command.arg("validate").arg(dir.path()).env("NOBODY_HAS_THIS", "a-secret-of-tests");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}
