//! `driftless logs explain`: what a config does to one record of a file.

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::process::{Command, Output};

    const ACCESS: &str = concat!(
        "10.0.0.1 - - [10/Oct/2026:13:55:36 +0000] \"GET /a HTTP/1.1\" 200 5 \"-\" \"curl\"\n",
        "10.0.0.2 - - [10/Oct/2026:13:55:37 +0000] \"GET /b HTTP/1.1\" 503 7 \"-\" \"curl\"\n",
    );

    struct Host(tempfile::TempDir);

    impl Host {
        /// A directory with this `topology.yml`, in which `DIR` is the directory.
        fn new(topology: &str) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let topology = topology.replace("DIR", &dir.path().to_string_lossy());
            fs::create_dir(dir.path().join("config")).unwrap();
            fs::write(dir.path().join("config/topology.yml"), topology).unwrap();
            fs::write(dir.path().join("config/agent.yml"), "host: here\n").unwrap();
            Self(dir)
        }

        fn file(&self, name: &str, content: impl AsRef<[u8]>) {
            fs::write(self.0.path().join(name), content).unwrap();
        }

        fn explain(&self, arguments: &[&str]) -> Output {
            let mut command = Command::new(env!("CARGO_BIN_EXE_driftless"));
            command.args(["logs", "explain", "--config", "config"]).args(arguments);
            command.current_dir(&self.0).env("HOME", self.0.path());
            command.env("TOKEN_OF_THE_TEST", "very-secret-token");
            command.output().unwrap()
        }

        /// What it says, with the directory as `DIR`.
        fn text(&self, arguments: &[&str]) -> String {
            let output = self.explain(arguments);
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            said.replace(&*self.0.path().to_string_lossy(), "DIR")
        }
    }

    const WEB: &str = "
sources:
  nginx: {type: file, include: [DIR/access.log]}
transforms:
  parsed: {type: parse, format: nginx_combined, on_error: route, inputs: [nginx]}
  errors: {type: filter, keep: status >= 500, inputs: [parsed]}
  lean: {type: keep_fields, fields: [path, status], inputs: [errors]}
  once: {type: dedupe, fields: [path], inputs: [lean]}
sinks:
  files: {type: file, path: 'DIR/out/%Y-%m-%d.jsonl', encoding: ndjson, inputs: [once]}
  web:
    type: http
    url: http://127.0.0.1:1/
    auth: {bearer: '{{ secrets.TOKEN_OF_THE_TEST }}'}
    inputs: [parsed.failed, lean]
";

    #[test]
    fn each_step_says_what_it_did_and_each_sink_what_it_would_get() {
        let host = Host::new(WEB);
        host.file("access.log", [ACCESS, "nonsense\n"].concat());
        insta::assert_snapshot!("kept", host.text(&["access.log:90"]));
        insta::assert_snapshot!("left_out", host.text(&["access.log:0"]));
        let routed = host.text(&["access.log", "--line", "3"]);
        for line in [
            "parsed (parse)  ← nginx\n  → parsed.failed\n  + parse_error: \"expected a client",
            "  counted as an error\n\nweb (http)  ← parsed.failed\n",
            "\"message\":\"nonsense\"",
            "It goes to: web\n",
        ] {
            assert!(routed.contains(line), "{line}: {routed}");
        }
        assert!(!routed.contains("very-secret-token"), "{routed}");
        assert!(!host.0.path().join("out").exists(), "nothing is written");
    }

    #[test]
    fn the_record_is_cut_as_its_source_cuts_it() {
        let host = Host::new(
            "
sources:
  java: {type: file, include: [DIR/app.log], multiline: {mode: java}, metadata: [offset]}
  wide: {type: file, include: [DIR/wide.log], encoding: utf-16le}
sinks:
  out: {type: file, path: DIR/out, encoding: ndjson, inputs: [java, wide]}
",
        );
        let trace = "first\nERROR boom\njava.lang.Error: x\n\tat a.B.c(D.java:1)\n\tat e.F\nlast";
        host.file("app.log", trace);
        let json = |arguments: &[&str]| -> serde_json::Value {
            let output = host.explain(&[arguments, &["--output", "json"]].concat());
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{said}");
            serde_json::from_slice(&output.stdout).unwrap()
        };
        let inside = trace.find("e.F").unwrap();
        for arguments in
            [&[&*format!("app.log:{inside}")][..], &["app.log:6"], &["app.log", "--line", "5"]]
        {
            let found = &json(arguments)[0];
            assert_eq!((&found["begin"], &found["source"]), (&6.into(), &"java".into()));
            assert_eq!(found["end"], trace.find("last").unwrap());
            assert_eq!(found["record"]["fields"]["offset"], 6);
            let message = found["record"]["fields"]["message"].as_str().unwrap();
            assert!(message.starts_with("ERROR boom") && message.ends_with("e.F"), "{message}");
            let body = found["steps"][0]["requests"][0]["body"].as_str().unwrap();
            assert!(body.contains("ERROR boom\\njava"), "{body}");
        }
        let last = json(&["app.log", "--line", "6"]);
        assert_eq!(last[0]["record"]["fields"]["message"], "last", "though its end is missing");

        let wide: Vec<u8> = "é\nzwölf\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        host.file("wide.log", wide);
        let found = &json(&["wide.log:7"])[0];
        assert_eq!(found["record"]["fields"]["message"], "zwölf");
        assert_eq!((&found["begin"], &found["end"]), (&4.into(), &16.into()));

        let file = fs::File::create(host.0.path().join("app.log.1.gz")).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        gzip.write_all(trace.as_bytes()).unwrap();
        gzip.finish().unwrap();
        let found = &json(&["app.log.1.gz:20", "--source", "java"])[0];
        assert_eq!(
            (&found["begin"], found["record"]["fields"]["offset"].as_u64()),
            (&6.into(), Some(6))
        );
    }

    #[test]
    fn what_cannot_be_explained_says_why() {
        let host = Host::new(WEB);
        host.file("access.log", ACCESS);
        host.file("other.log", "x\n");
        for arguments in [
            &["access.log"][..],
            &["access.log:5000"],
            &["access.log", "--line", "3"],
            &["other.log:0"],
            &["gone.log:0", "--source", "nginx"],
            &["access.log:0", "--source", "ngins"],
        ] {
            let output = host.explain(arguments);
            assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        }
        let all = [
            host.text(&["access.log"]),
            host.text(&["access.log:5000"]),
            host.text(&["access.log", "--line", "3"]),
            host.text(&["other.log:0"]),
            host.text(&["gone.log:0", "--source", "nginx"]),
            host.text(&["access.log:0", "--source", "ngins"]),
        ];
        insta::assert_snapshot!("wrong", all.concat());
    }

    #[test]
    fn a_file_named_explain_is_read_where_it_says_that_it_is_one() {
        let host = Host::new(WEB);
        host.file("explain", "a line\n");
        let mut command = Command::new(env!("CARGO_BIN_EXE_driftless"));
        command.args(["logs", "./explain"]).current_dir(&host.0).env("HOME", host.0.path());
        assert_eq!(String::from_utf8(command.output().unwrap().stdout).unwrap(), "a line\n");
    }
}
