//! Tasks that fetch, send and unpack, against a real server and real archives.

use super::bench::{Bench, last_message, letters};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

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
        "/elsewhere" => ("302 Found", "Location: /f\r\n", String::new()),
        "/json" => (
            "200 OK",
            "Content-Type: application/json\r\nX-Own: yes\r\nSet-Cookie: a=b; Path=/\r\n",
            "{\"a\": [1]}".into(),
        ),
        "/echo" => {
            let kind = header("content-type").unwrap_or_default();
            let login = header("authorization").unwrap_or_default();
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
        - missing is failed and missing.status == 404 and missing.content == 'no'
        - missing.msg is match('Status code was 404 and not .200.')
        - file is changed and file.redirected and file.path == root + '/x'
"
    );
    let report = bench.run(&tasks);
    assert_eq!(letters(&report), "oooico", "{}", last_message(&report));
    assert_eq!(bench.read("x"), "bytes\n");
    let post = format!("tasks: [{{uri: {{url: 'http://127.0.0.1:{port}/echo', method: POST}}}}]");
    assert_eq!(letters(&bench.dry_run(&post)), "u", "a dry run sends nothing");
}

/// A tar with a directory, files, a link, a hard link and what `more` adds.
fn tar(more: impl Fn(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind: tar::EntryType, mode, text: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(1_600_000_000);
        header.set_uid(nix::unistd::geteuid().as_raw().into());
        header.set_gid(nix::unistd::getegid().as_raw().into());
        if matches!(kind, tar::EntryType::Symlink | tar::EntryType::Link) {
            header.set_size(0);
            tar.append_link(&mut header, path, text).unwrap();
        } else {
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, path, text.as_bytes()).unwrap();
        }
    };
    add("top/", tar::EntryType::Directory, 0o750, "");
    add("top/one", tar::EntryType::Regular, 0o640, "1\n");
    add("top/sub/two", tar::EntryType::Regular, 0o755, "2\n");
    add("top/link", tar::EntryType::Symlink, 0o777, "one");
    add("top/hard", tar::EntryType::Link, 0o640, "top/one");
    more(&mut tar);
    tar.into_inner().unwrap()
}

fn packed(kind: &str, tar: &[u8]) -> Vec<u8> {
    match kind {
        "tar" => tar.to_vec(),
        "gz" => {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(tar).unwrap();
            out.finish().unwrap()
        }
        "zst" => zstd::stream::encode_all(tar, 1).unwrap(),
        "xz" => {
            let mut out = Vec::new();
            lzma_rs::xz_compress(&mut &*tar, &mut out).unwrap();
            out
        }
        _ => unreachable!("{kind}"),
    }
}

#[test]
fn an_archive_is_unpacked_once_and_repaired() {
    for kind in ["tar", "gz", "zst", "xz"] {
        let bench = Bench::new();
        fs::write(bench.path("a"), packed(kind, &tar(|_| {}))).unwrap();
        fs::create_dir(bench.path("d")).unwrap();
        let text =
            "tasks: [{unarchive: {src: '{{ root }}/a', dest: '{{ root }}/d', remote_src: yes}}]";
        let before = bench.snapshot();
        assert_eq!(letters(&bench.dry_run(text)), "c", "{kind}");
        assert_eq!(before, bench.snapshot());
        let report = bench.run(text);
        assert_eq!(letters(&report), "c", "{kind}: {}", last_message(&report));
        let top = bench.path("d/top");
        assert_eq!(
            (bench.read("d/top/one"), bench.read("d/top/sub/two")),
            ("1\n".into(), "2\n".into())
        );
        let one = fs::metadata(top.join("one")).unwrap();
        assert_eq!((one.mode() & 0o7777, one.mtime(), one.nlink()), (0o640, 1_600_000_000, 2));
        assert_eq!(fs::metadata(&top).unwrap().mode() & 0o7777, 0o750);
        assert_eq!(fs::read_link(top.join("link")).unwrap().to_str(), Some("one"));
        let before = bench.snapshot();
        assert_eq!(letters(&bench.run(text)), "o", "{kind}");
        assert_eq!(before, bench.snapshot());
        fs::set_permissions(top.join("sub/two"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(top.join("one"), "changed").unwrap();
        assert_eq!(letters(&bench.run(text)), "c");
        assert_eq!(bench.read("d/top/one"), "1\n");
    }
}

#[test]
fn a_zip_is_unpacked_too() {
    let bench = Bench::new();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().unix_permissions(0o640);
    zip.start_file("d/one", options).unwrap();
    zip.write_all(b"1\n").unwrap();
    zip.add_symlink("d/link", "one", options).unwrap();
    fs::write(bench.base.path().join("files/a.zip"), zip.finish().unwrap().into_inner()).unwrap();
    let text = "tasks: [{unarchive: {src: a.zip, dest: '{{ root }}', list_files: yes}, register: out}, {assert: {that: \"out.files == ['d/one', 'd/link'] and out.handler == 'ZipArchive'\"}}]";
    let report = bench.run(text);
    assert_eq!(letters(&report), "co", "{}", last_message(&report));
    assert_eq!((bench.read("d/one").as_str(), bench.path("d/link").is_symlink()), ("1\n", true));
    assert_eq!(letters(&bench.run(text)), "oo");
}

#[test]
fn parts_of_an_archive_are_chosen_and_stripped() {
    for (more, names) in [
        ("exclude: [sub]", "top/hard top/link top/one"),
        ("include: [top/sub]", "top/sub/two"),
        ("extra_opts: ['--strip-components=1'], exclude: [link]", "hard one sub/two"),
    ] {
        let bench = Bench::new();
        fs::write(bench.path("a"), tar(|_| {})).unwrap();
        fs::create_dir(bench.path("d")).unwrap();
        let report = bench.run(&format!(
            "tasks: [{{unarchive: {{src: '{{{{ root }}}}/a', dest: '{{{{ root }}}}/d', remote_src: yes, {more}}}}}]"
        ));
        assert_eq!(letters(&report), "c", "{}", last_message(&report));
        let mut found = Vec::new();
        let mut ahead = vec![bench.path("d")];
        while let Some(dir) = ahead.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    ahead.push(path);
                } else {
                    found.push(path.strip_prefix(bench.path("d")).unwrap().display().to_string());
                }
            }
        }
        found.sort();
        assert_eq!(found.join(" "), names, "{more}");
    }
}

#[test]
fn an_archive_that_leads_out_is_refused_before_anything_is_written() {
    /// Adds an entry with a name that the library itself would refuse.
    fn raw(tar: &mut tar::Builder<Vec<u8>>, name: &[u8], kind: tar::EntryType, target: &str) {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_mode(0o644);
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        tar.append(&header, std::io::empty()).unwrap();
    }
    use tar::EntryType as Type;
    for (name, kind, target, why) in [
        ("../out", Type::Regular, "", "leads out of it"),
        ("/abs", Type::Regular, "", "is an absolute path"),
        ("top/link/x", Type::Regular, "", "goes through the link `top/link`"),
        ("dev", Type::Char, "", "is a device"),
        ("pipe", Type::Fifo, "", "is a named pipe"),
        ("hard", Type::Link, "../../etc/shadow", "leads out of it"),
    ] {
        let bench = Bench::new();
        fs::write(bench.path("a"), tar(|tar| raw(tar, name.as_bytes(), kind, target))).unwrap();
        fs::create_dir(bench.path("d")).unwrap();
        let before = bench.snapshot();
        let report = bench.run(
            "tasks: [{unarchive: {src: '{{ root }}/a', dest: '{{ root }}/d', remote_src: yes}}]",
        );
        assert_eq!(letters(&report), "f", "{name}");
        assert!(last_message(&report).contains(why), "{name}: {}", last_message(&report));
        assert_eq!(before, bench.snapshot(), "{name}");
    }
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
