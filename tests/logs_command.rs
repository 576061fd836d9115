//! `driftless logs` as somebody at a terminal uses it.

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::{BufRead, BufReader, Write};
    use std::path::Path;
    use std::process::{Command, Output, Stdio};
    use std::time::{Duration, Instant};

    const ACCESS: &str = concat!(
        "10.0.0.1 - - [10/Oct/2026:13:55:36 +0000] \"GET /a HTTP/1.1\" 200 5 \"-\" \"curl\"\n",
        "10.0.0.2 - - [10/Oct/2026:13:55:37 +0000] \"GET /b HTTP/1.1\" 503 7 \"-\" \"curl\"\n",
    );

    fn logs(dir: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_driftless"));
        // Whatever it were to keep between runs would show here.
        command.arg("logs").current_dir(dir).env("HOME", dir).env("XDG_STATE_HOME", dir);
        command.stdin(Stdio::null());
        command
    }

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    fn run(content: &str, arguments: &[&str]) -> Output {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("in.log"), content).unwrap();
        let output = logs(dir.path()).arg("in.log").args(arguments).output().unwrap();
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "a run for the moment leaves nothing behind: {left:?}");
        output
    }

    #[test]
    fn lines_come_out_as_they_went_in() {
        let content = "one\r\ntwo\n\nlast\n";
        let output = run(content, &[]);
        assert_eq!((text(&output.stdout), output.status.code()), (content, Some(0)));
    }

    #[test]
    fn what_is_kept_and_left_out_is_up_to_conditions() {
        let arguments = ["--keep", "message is search('(?i)error')", "--drop", "'b' in message"];
        let output = run("error a\nERROR b\nfine\nan error\n", &arguments);
        assert_eq!(text(&output.stdout), "error a\nan error\n");
    }

    #[test]
    fn fields_are_parsed_filtered_and_chosen() {
        let arguments =
            ["--parse", "nginx_combined", "--keep", "status >= 500", "--fields", "path,status"];
        let output = run(ACCESS, &arguments);
        assert_eq!(text(&output.stdout), "{\"path\":\"/b\",\"status\":503}\n");
        let own = ["--parse", "regex:(?P<verb>[A-Z]+) (?P<path>/\\S*)", "--fields", "verb"];
        let output = run(ACCESS, &own);
        assert_eq!(text(&output.stdout), "{\"verb\":\"GET\"}\n{\"verb\":\"GET\"}\n");
        let grok = ["--parse", "grok:%{IP:client} .*\" %{INT:status:int}", "--fields", "status"];
        let output = run(ACCESS, &grok);
        assert_eq!(text(&output.stdout), "{\"status\":200}\n{\"status\":503}\n");
        let output = run("1,x\n2,y\n", &["--parse", "csv:n,s", "--keep", "n > 1"]);
        assert_eq!(text(&output.stdout), "2,y\n");
    }

    #[test]
    fn every_format_has_a_name_that_the_command_takes() {
        for (format, line, field, value) in [
            ("json", r#"{"a":1}"#, "a", "1"),
            ("logfmt", "a=1 b=2", "a", "1"),
            ("key_value", "a=1 b=2", "b", "2"),
            ("ltsv", "a:1\tb:2", "b", "2"),
            ("syslog", "<34>Oct 11 22:14:15 host su: x", "hostname", "\"host\""),
            ("nginx_error", "2021/04/01 13:02:31 [warn] 3#4: x", "pid", "3"),
            ("apache_error", "[Sun Dec 04 04:47:44 2005] [error] x", "severity", "\"error\""),
            ("apache_common", "a - - [10/Oct/2000:13:55:36 -0700] \"-\" 200 5", "status", "200"),
            ("haproxy", "1.1.1.1:5 [06/Feb/2009:12:14:14.655] f: x", "client_port", "5"),
            ("klog", "I0505 17:59:40.692994 28 klog.go:70] x", "line", "70"),
            ("glog", "I20210131 14:48:54.411655 15 a.cc:9] x", "id", "15"),
            ("cri", "2016-10-06T00:17:09Z stdout P x", "partial", "true"),
            ("docker", r#"{"log":"x\n"}"#, "partial", "false"),
            ("linux_audit", "type=X msg=audit(1364481363.243:2): a=1", "serial", "2"),
            ("cef", "CEF:0|a|b|1|2|n|5|src=x", "src", "\"x\""),
            ("iis", "#Fields: a b\n1 2", "b", "2"),
            ("aws_vpc_flow", "2 1 e a b 1 2 6 20 4 14 15 ACCEPT OK", "packets", "20"),
        ] {
            let output = run(&format!("{line}\n"), &["--parse", format, "--fields", field]);
            let expected = format!("{{\"{field}\":{value}}}\n");
            assert_eq!(text(&output.stdout), expected, "{format}: {}", text(&output.stderr));
        }
    }

    #[test]
    fn a_mistake_is_shown_where_it_was_made() {
        let output = run("x\n", &["--keep", "status >=="]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("--keep:1:1"), "{}", text(&output.stderr));
        let output = run("x\n", &["--to", "ftp://host/"]);
        assert!(text(&output.stderr).contains("expected stdout, file:PATH"));
        let dir = tempfile::tempdir().unwrap();
        let output = logs(dir.path()).arg("missing.log").output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("there is no such file"));
    }

    #[test]
    fn a_name_full_of_pattern_characters_is_a_file_when_it_exists() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a[1]{b}.log"), "odd\n").unwrap();
        fs::write(dir.path().join("a1b.log"), "other\n").unwrap();
        let output = logs(dir.path()).arg("a[1]{b}.log").output().unwrap();
        assert_eq!(text(&output.stdout), "odd\n");
    }

    #[test]
    fn standard_input_goes_to_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = logs(dir.path())
            .args(["-", "--drop", "'no' in message", "--to", "file:out.log"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"yes\nno\nagain\n").unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(fs::read_to_string(dir.path().join("out.log")).unwrap(), "yes\nagain\n");
    }

    #[test]
    fn lines_of_standard_input_that_belong_together_are_one_record() {
        let dir = tempfile::tempdir().unwrap();
        let arguments = ["-", "--multiline", "python", "--keep", "'Traceback' in message"];
        let mut child = logs(dir.path())
            .args(arguments)
            .args(["--encoding", "ndjson"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let trace = "Traceback (most recent call last):\n  File \"a\", line 1\nOSError: no";
        write!(child.stdin.take().unwrap(), "fine\nit broke\n{trace}\nfine\n{trace}").unwrap();
        let output = child.wait_with_output().unwrap();
        let records: Vec<serde_json::Value> =
            text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let messages: Vec<&str> =
            records.iter().map(|record| record["message"].as_str().unwrap()).collect();
        assert_eq!(messages, [format!("it broke\n{trace}"), format!("fine\n{trace}")]);
    }

    #[test]
    fn a_reader_that_has_seen_enough_ends_it_quietly() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("in.log"), "line\n".repeat(2_000_000)).unwrap();
        let mut child = logs(dir.path())
            .arg("in.log")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((first.as_str(), output.status.code()), ("line\n", Some(0)));
        assert_eq!(text(&output.stderr), "", "that nobody reads any more is nothing to tell");
    }

    #[test]
    fn following_shows_only_what_is_new_until_it_is_interrupted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in.log");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"old\n").unwrap();
        let mut child =
            logs(dir.path()).args(["-f", "in.log"]).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = std::sync::mpsc::channel();
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                sender.send(line).unwrap();
            }
        });
        // Nothing tells when it has begun to listen, so it is told something new until it hears.
        let deadline = Instant::now() + Duration::from_secs(20);
        let heard = loop {
            assert!(Instant::now() < deadline, "nothing was shown");
            file.write_all(b"new\n").unwrap();
            if let Ok(line) = lines.recv_timeout(Duration::from_millis(100)) {
                break line;
            }
        };
        assert_eq!(heard, "new");
        let id = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
        assert!(child.wait().unwrap().success());
    }
}
