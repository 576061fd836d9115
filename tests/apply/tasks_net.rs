//! Tasks that fetch and send, against a real server.

use super::bench::{Bench, last_message, letters};
use super::tasks_archive::packed;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, symlink};

/// A server that answers what each test here needs; its port.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || answer(&stream));
        }
    });
    port
}

fn answer(mut stream: &std::net::TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let Some(first) = lines.first() else { return };
    let header = |name: &str| {
        let start = format!("{name}: ");
        let found = lines.iter().find(|line| line.to_lowercase().starts_with(&start));
        found.map(|line| line[start.len()..].to_owned())
    };
    let length = header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    let path = first.split(' ').nth(1).unwrap();
    let sums =
        "e59ff97941044f85df5297e1c302d260 md5\n9a900f538965a426994e1e90600920aff0b4e8d2  *f\n";
    let (status, extra, text) = match path {
        "/f" if header("if-modified-since").is_some() => ("304 Not Modified", "", String::new()),
        "/f" | "/always" => ("200 OK", "", "bytes\n".into()),
        "/named" => {
            ("200 OK", "Content-Disposition: attachment; filename=\"../real\"\r\n", "x".into())
        }
        "/sums" => (
            "200 OK",
            "",
            sums.replace(
                "9a900f538965a426994e1e90600920aff0b4e8d2",
                "8f3c1fa9ec4a0d2f3b6c1e4d4f4a7f3d0e6b9c11",
            ),
        ),
        "/echoed" => ("307 Temporary Redirect", "Location: /echo\r\n", String::new()),
        "/elsewhere" => ("302 Found", "Location: /f\r\n", String::new()),
        "/json" => (
            "200 OK",
            "Content-Type: application/json\r\nX-Own: yes\r\nSet-Cookie: a=b; Path=/\r\n",
            "{\"a\": [1]}".into(),
        ),
        "/echo" => {
            let kind = header("content-type").unwrap_or_default();
            let login = header("authorization").unwrap_or_default();
            let own = header("x-once").unwrap_or_default();
            let login = format!("{login}{own}");
            let method = first.split(' ').next().unwrap();
            ("201 Created", "", format!("{method}|{kind}|{login}|{body}"))
        }
        _ => ("404 Not Found", "", "no".into()),
    };
    let length = text.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{extra}\r\n"
    );
    drop(stream.write_all(format!("{head}{text}").as_bytes()));
}

#[test]
fn a_file_is_fetched_once_and_again_only_when_the_server_has_another() {
    let (bench, port) = (Bench::new(), server());
    let text = format!(
        "tasks: [{{get_url: {{url: 'http://127.0.0.1:{port}/f', dest: '{{{{ root }}}}/x', mode: '0640'}}}}]"
    );
    let before = bench.snapshot();
    assert_eq!(letters(&bench.dry_run(&text)), "c");
    assert_eq!(before, bench.snapshot());
    assert_eq!(letters(&bench.run(&text)), "c");
    assert_eq!(bench.read("x"), "bytes\n");
    assert_eq!(fs::metadata(bench.path("x")).unwrap().mode() & 0o777, 0o640);
    let before = bench.snapshot();
    assert_eq!(letters(&bench.run(&text)), "o");
    let always = text.replace("/f'", "/always'").replace("mode:", "force: yes, mode:");
    assert_eq!(letters(&bench.run(&always)), "o", "the same bytes are not written again");
    assert_eq!(before, bench.snapshot());
}

#[test]
fn a_file_with_another_sum_is_not_taken() {
    let (bench, port) = (Bench::new(), server());
    let run = |more: &str| {
        let report = bench.run(&format!("tasks: [{{get_url: {{url: 'http://127.0.0.1:{port}/f', dest: '{{{{ root }}}}/x', {more}}}}}]"));
        (letters(&report), last_message(&report).to_owned())
    };
    let right = "sha256:d85c6a9cbf9a29ee2b1c9a9d7e2c0c4c4d3b0fbd1d9c1e8cb6c4bd6e7b1a5a5f";
    let (state, message) = run(&format!("checksum: '{right}'"));
    assert_eq!(state, "f");
    let found = message.split(' ').find(|word| word.len() > 60).unwrap().trim_end_matches(',');
    assert!(!bench.path("x").exists());
    let right = format!("checksum: 'sha256:{found}'");
    assert_eq!(run(&right).0, "c");
    assert_eq!(run(&right).0, "o");
    let (state, message) = run(&format!("checksum: 'sha1:http://127.0.0.1:{port}/sums'"));
    assert_eq!(state, "f", "{message}");
    assert!(message.contains("8f3c1fa9ec4a0d2f3b6c1e4d4f4a7f3d0e6b9c11 is expected"), "{message}");
    let wrong = "tasks: [{get_url: {url: 'http://h/f', dest: /x, checksum: 'sha1:nope'}}]";
    assert_eq!(bench.parse(wrong).1.len(), 1);
}

#[test]
fn a_name_that_a_server_gives_stays_in_the_directory() {
    let (bench, port) = (Bench::new(), server());
    fs::create_dir(bench.path("d")).unwrap();
    for (from, name) in [("named", "real"), ("f", "f"), ("elsewhere", "elsewhere")] {
        bench.run(&format!("tasks: [{{get_url: {{url: 'http://127.0.0.1:{port}/{from}', dest: '{{{{ root }}}}/d'}}}}]"));
        assert!(bench.path("d").join(name).is_file(), "{name}");
    }
    let report = bench.run(&format!("tasks: [{{get_url: {{url: 'http://127.0.0.1:{port}/no?token=1', dest: '{{{{ root }}}}/d'}}}}]"));
    assert!(last_message(&report).ends_with("/no: the server answers 404 Not Found"));
}

#[test]
fn an_answer_is_returned_as_ansible_returns_it() {
    let (bench, port) = (Bench::new(), server());
    let tasks = format!(
        "tasks:
  - uri: {{url: 'http://127.0.0.1:{port}/json', return_content: yes}}
    register: json
  - uri: {{url: 'http://127.0.0.1:{port}/echo', method: POST, body: {{a: 1}}, body_format: json, status_code: [200, 201], return_content: yes, user: me, password: pw}}
    register: echo
  - uri: {{url: 'http://127.0.0.1:{port}/echo', method: PUT, body: {{a: 'x y', b: [1, 2]}}, body_format: form-urlencoded, status_code: 201, return_content: yes}}
    register: form
  - uri: {{url: 'http://127.0.0.1:{port}/echoed', method: PUT, body: b, headers: {{X-Once: secret}}, unredirected_headers: [X-once], follow_redirects: all, status_code: 201, return_content: yes}}
    register: once
  - uri: {{url: 'http://127.0.0.1:{port}/none'}}
    register: missing
    ignore_errors: yes
  - uri: {{url: 'http://127.0.0.1:{port}/elsewhere', dest: '{{{{ root }}}}/x'}}
    register: file
  - assert:
      that:
        - json.status == 200 and json.json.a == [1] and json.x_own == 'yes' and json.cookies.a == 'b'
        - json.content_type == 'application/json' and not json.redirected and json is not changed
        - echo.status == 201 and echo.content == 'POST|application/json|Basic bWU6cHc=|{{\"a\":1}}'
        - form.content == 'PUT|application/x-www-form-urlencoded||a=x+y&b=1&b=2'
        - once.content == 'PUT|||b' and once.redirected
        - missing is failed and missing.status == 404 and missing.content == 'no'
        - missing.msg is match('Status code was 404 and not .200.')
        - file is changed and file.redirected and file.path == root + '/x'
"
    );
    let report = bench.run(&tasks);
    assert_eq!(letters(&report), "ooooico", "{}", last_message(&report));
    assert_eq!(bench.read("x"), "bytes\n");
    let post = format!("tasks: [{{uri: {{url: 'http://127.0.0.1:{port}/echo', method: POST}}}}]");
    assert_eq!(letters(&bench.dry_run(&post)), "u", "a dry run sends nothing");
}

#[test]
fn a_file_is_kept_by_host_name() {
    let bench = Bench::new();
    fs::write(bench.path("f"), "x").unwrap();
    symlink("f", bench.path("l")).unwrap();
    let tasks = "tasks:
  - fetch: {src: '{{ root }}/l', dest: '{{ root }}/kept'}
    register: out
  - fetch: {src: '{{ root }}/f', dest: '{{ root }}/flat/', flat: yes}
  - fetch: {src: '{{ root }}/none', dest: '{{ root }}/kept', fail_on_missing: no}
  - assert: {that: [\"out.dest == root + '/kept/web1' + root + '/l'\", out.checksum == out.remote_checksum]}
";
    let report = bench.run(tasks);
    assert_eq!(letters(&report), "ccoo", "{}", last_message(&report));
    assert_eq!(bench.read("flat/f"), "x");
    assert_eq!(letters(&bench.run(tasks)), "oooo");
}

/// Runs git in `directory`, as nobody in particular.
fn git(directory: &std::path::Path, words: &str) -> String {
    let output = std::process::Command::new("git")
        .args([
            "-c",
            "user.name=me",
            "-c",
            "user.email=me@example.com",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(words.split(' '))
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_checkout_follows_its_repository() {
    let bench = Bench::new();
    let origin = bench.path("origin");
    fs::create_dir(&origin).unwrap();
    git(&origin, "init -q");
    let commit = |text: &str| {
        fs::write(origin.join("f"), text).unwrap();
        git(&origin, "add f");
        git(&origin, &format!("commit -q -m {text}"));
        git(&origin, "rev-parse HEAD")
    };
    let first = commit("one");
    git(&origin, "tag -a v1 -m v1");
    let second = commit("two");
    let run = |more: &str| {
        let text = format!(
            "tasks: [{{git: {{repo: '{{{{ root }}}}/origin', dest: '{{{{ root }}}}/d'{more}}}, register: out}}, {{debug: {{msg: '{{{{ out.after }}}}'}}}}]"
        );
        let report = bench.run(&text);
        let after = (letters(&report)[..1].to_owned(), last_message(&report).to_owned());
        (after.0, after.1)
    };
    let is = |state: &str, commit: &str| (state.to_owned(), commit.to_owned());
    assert_eq!(
        letters(
            &bench.dry_run("tasks: [{git: {repo: '{{ root }}/origin', dest: '{{ root }}/d'}}]")
        ),
        "u"
    );
    assert!(!bench.path("d").exists());
    assert_eq!(run(""), is("c", &second));
    let before = bench.snapshot();
    assert_eq!(run(""), is("o", &second));
    assert_eq!(before, bench.snapshot(), "looking leaves no trace");
    assert_eq!(run(", version: v1"), is("c", &first));
    assert_eq!((bench.read("d/f").as_str(), run(", version: v1").0.as_str()), ("one", "o"));
    assert_eq!(run(&format!(", version: {second}")), is("c", &second));
    let third = commit("three");
    assert_eq!(run(", version: main"), is("c", &third));
    assert_eq!(bench.read("d/f"), "three");
    fs::write(bench.path("d/f"), "mine").unwrap();
    let (state, message) = run(", version: main");
    assert!(state == "f" && message.ends_with("holds changes of its own"), "{message}");
    assert_eq!(run(", version: main, force: yes"), is("c", &third));
    assert_eq!(bench.read("d/f"), "three");
    let (state, message) = run(", version: nope");
    assert_eq!((state.as_str(), message.as_str()), ("f", "the repository has no version `nope`"));
}

/// Runs an example with `replaced` in place of what it names; twice, the second time to no effect.
fn example_holds(bench: &mut Bench, name: &str, replaced: &[(&str, String)]) {
    let example =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config-examples").join(name);
    let mut text = fs::read_to_string(example.join("apply.yml")).unwrap();
    for (old, new) in replaced {
        assert!(text.contains(old), "{name} has no `{old}`");
        text = text.replace(old, new);
    }
    bench.stand_in(&example);
    let report = bench.run(&text);
    assert!(!letters(&report).contains('f'), "{:#?}", report.tasks.last());
    let again = bench.run(&text);
    assert!(!letters(&again).contains(['c', 'f']), "{}", letters(&again));
}

#[test]
fn the_example_of_what_comes_from_elsewhere_does_what_it_says_and_then_nothing() {
    let (mut bench, port) = (Bench::new(), server());
    let origin = bench.path("demo/origin");
    fs::create_dir_all(&origin).unwrap();
    git(&origin, "init -q");
    fs::write(origin.join("f"), "1\n").unwrap();
    git(&origin, "add f");
    git(&origin, "commit -q -m one");
    git(&origin, "tag -a v1 -m v1");
    let demo = bench.path("demo").display().to_string();
    let places = [("/srv/demo", demo), ("127.0.0.1:8099", format!("127.0.0.1:{port}"))];
    example_holds(&mut bench, "apply-fetch", &places);
    assert_eq!(bench.read("demo/known"), "bytes\n");
    assert_eq!(bench.read("demo/app/f"), "1\n");
}

#[test]
fn a_form_with_a_file_and_a_server_on_a_socket_are_asked_as_any_other() {
    let (bench, port) = (Bench::new(), server());
    let socket = bench.path("socket");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = [0; 4096];
            let count = stream.read(&mut asked).unwrap();
            let first = String::from_utf8_lossy(&asked[..count]).lines().next().unwrap().to_owned();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{first}", first.len());
            stream.write_all(head.as_bytes()).unwrap();
        }
    });
    let text = format!(
        "tasks:
  - uri:
      url: http://127.0.0.1:{port}/echo
      method: POST
      body_format: form-multipart
      body: {{a: 'x y', f: {{filename: motd, mime_type: text/css}}, g: {{content: '1', filename: /n/g.txt}}}}
      status_code: 201
      return_content: yes
    register: form
  - uri: {{url: 'http://any/path', unix_socket: '{{{{ root }}}}/socket', return_content: yes}}
    register: socket
  - assert:
      that:
        - form.content is match('POST.multipart/form-data; boundary=[0-9a-f]{{64}}')
        - \"'name=\\\"a\\\"' in form.content and 'x y' in form.content\"
        - \"'filename=\\\"motd\\\"' in form.content and 'hello' in form.content\"
        - \"'Content-Type: text/css' in form.content\"
        - \"'filename=\\\"g.txt\\\"' in form.content\"
        - socket.content == 'GET /path HTTP/1.1'
"
    );
    let report = bench.run(&text);
    assert!(!letters(&report).contains('f'), "{}", last_message(&report));
}

#[test]
fn an_answer_that_the_server_packed_is_unpacked_unless_it_is_to_stay_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = [0; 4096];
            let count = stream.read(&mut asked).unwrap();
            let wants = String::from_utf8_lossy(&asked[..count]).contains("accept-encoding: gzip");
            let body = packed("gz", if wants { b"packed" } else { b"as it is" });
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(&[head.into_bytes(), body].concat()).unwrap();
        }
    });
    let bench = Bench::new();
    let get = |more: &str| {
        let text = format!(
            "tasks: [{{get_url: {{url: 'http://127.0.0.1:{port}/x', dest: '{{{{ root }}}}/x', force: yes{more}}}}}]"
        );
        assert_eq!(letters(&bench.run(&text)), "c");
        fs::read(bench.path("x")).unwrap()
    };
    assert_eq!(get(""), b"packed");
    assert_eq!(get(", decompress: no"), packed("gz", b"as it is"));
}
