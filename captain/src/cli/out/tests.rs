//! Results written into good folders and into traps.

use std::os::unix::fs::{PermissionsExt, symlink};

use pretty_assertions::assert_eq;
use tempfile::TempDir;

use super::*;

enum Entry {
    File(&'static str, &'static str),
    Program(&'static str, &'static str),
    Link(&'static str, &'static str),
    Hard(&'static str, &'static str),
}

/// An archive made without any check of its names.
fn pack(entries: &[Entry]) -> Vec<u8> {
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(
        Vec::new(),
        flate2::Compression::fast(),
    ));
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        let (name, kind, content, target, mode) = match *entry {
            Entry::File(name, content) => (name, tar::EntryType::Regular, content, "", 0o644),
            Entry::Program(name, content) => (name, tar::EntryType::Regular, content, "", 0o755),
            Entry::Link(name, target) => (name, tar::EntryType::Symlink, "", target, 0o777),
            Entry::Hard(name, target) => (name, tar::EntryType::Link, "", target, 0o644),
        };
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn put(folder: &Path, entries: &[Entry]) -> Result<Written, OutError> {
    unpack(&pack(entries)[..], folder, "job", false)
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn files_programs_and_inner_links_are_written() {
    let dir = TempDir::new().unwrap();
    let out = dir.path().join("new/out");
    let written = put(
        &out,
        &[
            Entry::Link("docs/link", "../src/a b.txt"),
            Entry::File("src/a b.txt", "a"),
            Entry::Program("run", "#!"),
        ],
    );
    assert_eq!(
        written.unwrap(),
        Written {
            files: 3,
            skipped: Vec::new()
        }
    );
    assert_eq!(read(&out, "docs/link"), "a");
    assert_eq!(
        std::fs::metadata(out.join("run"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o755
    );
}

#[test]
fn nothing_is_written_outside() {
    let dir = TempDir::new().unwrap();
    let out = dir.path().join("out");
    let written = put(
        &out,
        &[
            Entry::File("../evil", "x"),
            Entry::File("/tmp/evil", "x"),
            Entry::File("a/../../evil", "x"),
            Entry::File(".git/hooks/post-checkout", "x"),
            Entry::File(".flotilla.json", "x"),
            Entry::Link("abs", "/etc/passwd"),
            Entry::Link("up", "../secret"),
            Entry::Link("deep/up", "x/../../../secret"),
            Entry::Hard("hard", "/etc/passwd"),
            Entry::Link("in", "good"),
            Entry::File("good", "g"),
        ],
    )
    .unwrap();
    assert_eq!(written.skipped.len(), 9, "{:?}", written.skipped);
    assert_eq!(read(&out, "good"), "g");
    assert!(!dir.path().join("evil").exists() && !dir.path().join("secret").exists());
}

#[test]
fn a_link_in_the_way_is_replaced_not_followed() {
    let dir = TempDir::new().unwrap();
    let (out, outside) = (dir.path().join("out"), dir.path().join("outside"));
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("file"), "kept").unwrap();
    put(&out, &[Entry::File("a", "1")]).unwrap();
    symlink(&outside, out.join("dir")).unwrap();
    symlink(outside.join("file"), out.join("b")).unwrap();
    for entry in [Entry::File("dir/file", "new"), Entry::File("b", "new")] {
        assert!(matches!(
            put(&out, &[entry]).unwrap_err(),
            OutError::Foreign { .. }
        ));
    }
    let both = pack(&[Entry::File("dir/file", "new"), Entry::File("b", "new")]);
    unpack(&both[..], &out, "job", true).unwrap();
    assert_eq!(read(&outside, "file"), "kept");
    assert_eq!(read(&out, "dir/file"), "new");
    assert_eq!(read(&out, "b"), "new");
}

#[test]
fn a_later_result_replaces_an_earlier_one() {
    let dir = TempDir::new().unwrap();
    let out = dir.path().join("out");
    put(
        &out,
        &[
            Entry::File("old/deep/x", "1"),
            Entry::File("same", "1"),
            Entry::File("turn", "f"),
        ],
    )
    .unwrap();
    std::fs::write(out.join("mine"), "user").unwrap();
    put(
        &out,
        &[Entry::File("same", "2"), Entry::File("turn/into", "folder")],
    )
    .unwrap();
    assert!(!out.join("old").exists());
    assert_eq!(
        (
            read(&out, "same"),
            read(&out, "turn/into"),
            read(&out, "mine")
        ),
        ("2".into(), "folder".into(), "user".into())
    );
}

#[test]
fn what_is_the_users_stays_unless_forced() {
    let dir = TempDir::new().unwrap();
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("mine"), "user").unwrap();
    let error = put(&out, &[Entry::File("mine", "x")]).unwrap_err();
    assert!(matches!(error, OutError::Foreign { .. }), "{error}");
    assert_eq!(read(&out, "mine"), "user");
    unpack(&pack(&[Entry::File("mine", "x")])[..], &out, "job", true).unwrap();
    assert_eq!(read(&out, "mine"), "x");

    std::fs::write(out.join("mine"), "changed").unwrap();
    let error = put(&out, &[Entry::File("other", "x")]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("changed since they were written: mine"),
        "{error}"
    );
    assert_eq!(read(&out, "mine"), "changed");
}

#[test]
fn a_broken_archive_is_told() {
    let dir = TempDir::new().unwrap();
    let good = pack(&[Entry::File("a", &"x".repeat(3).leak()[..])]);
    let error = unpack(
        &good[..good.len() / 2],
        &dir.path().join("out"),
        "job",
        false,
    )
    .unwrap_err();
    assert!(
        matches!(error, OutError::Archive(_) | OutError::Io { .. }),
        "{error}"
    );
    assert!(
        out_again(&dir, &good).is_ok(),
        "what was written is known as ours"
    );
    assert!(unpack(&b"no archive"[..], &dir.path().join("two"), "job", false).is_err());
}

fn out_again(dir: &TempDir, good: &[u8]) -> Result<Written, OutError> {
    unpack(good, &dir.path().join("out"), "job", false)
}
