//! Archives: unpacked, and made.

use super::bench::{Bench, last_message, letters};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

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

pub(super) fn packed(kind: &str, tar: &[u8]) -> Vec<u8> {
    match kind {
        "tar" => tar.to_vec(),
        "gz" => {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(tar).unwrap();
            out.finish().unwrap()
        }
        "zst" => zstd::stream::encode_all(tar, 1).unwrap(),
        "xz" => {
            let options = lzma_rust2::XzOptions::with_preset(1);
            let mut out = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
            out.write_all(tar).unwrap();
            out.finish().unwrap()
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
fn an_archive_is_made_once_and_again_only_when_something_in_it_is_another() {
    for format in ["gz", "bz2", "xz", "zst", "tar", "zip"] {
        let bench = Bench::new();
        fs::create_dir_all(bench.path("d/sub")).unwrap();
        fs::write(bench.path("d/one"), "1\n").unwrap();
        fs::write(bench.path("d/sub/two"), "2\n").unwrap();
        fs::write(bench.path("d/sub/no.log"), "").unwrap();
        symlink("one", bench.path("d/l")).unwrap();
        let text = format!(
            "tasks:
  - archive:
      path: ['{{{{ root }}}}/d', '{{{{ root }}}}/none']
      dest: '{{{{ root }}}}/d/out'
      format: {format}
      exclusion_patterns: ['*.log']
      mode: '0600'
    register: out
  - assert:
      that:
        - out.dest_state == 'incomplete' and out.missing == [root + '/none']
        - out.arcroot == root + '/' and out.dest == root + '/d/out'
        - out.archived | map('basename') | sort == ['l', 'one', 'sub', 'two']
"
        );
        let before = bench.snapshot();
        assert_eq!(letters(&bench.dry_run(&text)), "co", "{format}");
        assert_eq!(before, bench.snapshot());
        let report = bench.run(&text);
        assert_eq!(letters(&report), "co", "{format}: {}", last_message(&report));
        let first = fs::read(bench.path("d/out")).unwrap();
        let before = bench.snapshot();
        assert_eq!(letters(&bench.run(&text)), "oo", "{format}");
        assert_eq!(before, bench.snapshot());
        fs::write(bench.path("d/one"), "one\n").unwrap();
        assert_eq!(letters(&bench.run(&text)), "co", "{format}");
        assert_ne!(first, fs::read(bench.path("d/out")).unwrap());
        fs::create_dir(bench.path("t")).unwrap();
        let back = "tasks: [{unarchive: {src: '{{ root }}/d/out', dest: '{{ root }}/t', remote_src: yes}}]";
        assert_eq!(letters(&bench.run(back)), "c", "{format}");
        assert_eq!((bench.read("t/d/one"), bench.read("t/d/l")), ("one\n".into(), "one\n".into()));
        assert!(!bench.path("t/d/sub/no.log").exists() && !bench.path("t/d/out").exists());
    }
}

#[test]
fn one_file_is_packed_on_its_own_and_may_go_afterwards() {
    let bench = Bench::new();
    fs::write(bench.path("f"), "text\n").unwrap();
    let text = "tasks:
  - archive: {path: '{{ root }}/f', format: xz}
    register: out
  - archive: {path: '{{ root }}/f', format: xz, remove: yes}
  - archive: {path: '{{ root }}/f', format: xz}
  - assert: {that: [out.dest == root + '/f.xz', out.dest_state == 'compress', (out.archived | first) == root + '/f']}
";
    let report = bench.run(text);
    assert_eq!(letters(&report), "ccoo", "{}", last_message(&report));
    assert!(!bench.path("f").exists());
    let unpacked = std::process::Command::new("xz").arg("-dc").arg(bench.path("f.xz")).output();
    if let Ok(unpacked) = unpacked {
        assert_eq!(unpacked.stdout, b"text\n");
    }
    for (params, expected) in [
        ("path: ['{{ root }}/*.none']", "there is nothing at"),
        ("path: ['{{ root }}', '/etc']", "needs `dest`"),
        ("path: '{{ root }}', dest: '{{ root }}/x', remove: yes", "would be removed together"),
    ] {
        let report = bench.run(&format!("tasks: [{{archive: {{{params}}}}}]"));
        assert!(last_message(&report).contains(expected), "{params}: {}", last_message(&report));
    }
}
