//! Packages: packed the same way every time, and never led out of their folder.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use tempfile::TempDir;

use formats::archive::{Entry, Error, Limits, check, extract, pack, read_file};

/// A block of a tar header, with a right checksum.
fn header(kind: u8, path: &str, bytes: u64) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_mode(0o644);
    header.set_size(bytes);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// An entry with its content, padded.
fn entry(kind: u8, path: &str, content: &[u8]) -> Vec<u8> {
    let mut blocks = header(kind, path, content.len() as u64);
    blocks.extend_from_slice(content);
    blocks.resize(blocks.len().next_multiple_of(512), 0);
    blocks
}

/// Entries, ended as an archive is.
fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut tar = entries.concat();
    tar.resize(tar.len() + 1024, 0);
    tar
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut content = String::new();
    for (key, value) in records {
        let rest = format!(" {key}={value}\n");
        let mut length = rest.len() + 1;
        while format!("{length}{rest}").len() != length {
            length = format!("{length}{rest}").len();
        }
        content += &format!("{length}{rest}");
    }
    entry(b'x', "././@PaxHeader", content.as_bytes())
}

fn refusal(tar: &[u8]) -> Error {
    let limits = Limits { entries_max: 8, entry_bytes_max: 1 << 20, ..Limits::default() };
    let into = TempDir::new().unwrap();
    let refusal = check(tar, &limits).expect_err("a malicious archive is refused");
    let again = extract(tar, into.path(), &limits).expect_err("extraction refuses it too");
    assert_eq!(refusal.to_string(), again.to_string());
    refusal
}

#[test]
fn every_trick_is_refused_with_the_entry_and_a_cure() {
    let file = |path: &str| entry(b'0', path, b"x");
    let mut damaged = file("a");
    damaged[0] ^= 1;
    let many: Vec<Vec<u8>> = (0..9).map(|number| file(&format!("f{number}"))).collect();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("path escape", archive(&[file("../evil")])),
        ("path escape in the middle", archive(&[file("a/../../evil")])),
        ("path escape behind ./", archive(&[file("./../evil")])),
        ("path escape in a long name", archive(&[entry(b'L', "x", b"../evil\0"), file("a")])),
        ("path escape in an extension", archive(&[pax(&[("path", "../evil")]), file("a")])),
        ("absolute path", archive(&[file("/etc/passwd")])),
        ("drive", archive(&[file("C:/evil")])),
        ("backslash", archive(&[file("..\\evil")])),
        ("empty component", archive(&[file("a//b")])),
        ("turned around", archive(&[file("a\u{202E}gpj.exe")])),
        ("control character", archive(&[file("a\nb")])),
        ("twice", archive(&[file("a"), file("a")])),
        ("twice but for case", archive(&[file("Data/a"), file("data/b")])),
        ("below a file", archive(&[file("a"), file("a/b")])),
        ("file where a folder was", archive(&[file("a/b"), file("a")])),
        ("symbolic link", archive(&[entry(b'2', "link", b"")])),
        ("hard link", archive(&[entry(b'1', "link", b"")])),
        ("character device", archive(&[entry(b'3', "null", b"")])),
        ("pipe", archive(&[entry(b'6', "pipe", b"")])),
        ("sparse file", archive(&[entry(b'S', "sparse", b"")])),
        ("sparse file by extension", archive(&[pax(&[("GNU.sparse.major", "1")]), file("a")])),
        ("another size by extension", archive(&[pax(&[("size", "9")]), file("a")])),
        ("folder with content", archive(&[entry(b'5', "folder/", b"x")])),
        ("bomb of huge declared size", archive(&[header(b'0', "bomb", 1 << 50)])),
        ("bomb of a huge extension", archive(&[header(b'x', "pax", 1 << 40)])),
        ("bomb of many entries", archive(&many)),
        ("long path", archive(&[pax(&[("path", &("d/".repeat(300) + "f"))]), file("a")])),
        ("deep path", archive(&[pax(&[("path", &("d/".repeat(40) + "f"))]), file("a")])),
        ("truncated in a file", archive(&[file("a"), file("b")])[..1100].to_vec()),
        ("truncated between files", archive(&[file("a")])[..1024].to_vec()),
        ("truncated in the end", archive(&[file("a")])[..1536].to_vec()),
        ("something behind the end", [archive(&[file("a")]), file("b")].concat()),
        ("damaged header", archive(&[damaged.clone()])),
        ("damaged second header", archive(&[file("b"), damaged])),
        ("gzip", [vec![0x1F, 0x8B, 8], vec![0; 1024]].concat()),
        ("zip", [b"PK\x03\x04".to_vec(), vec![0; 1024]].concat()),
        ("text", b"not a tar at all ".repeat(100)),
        ("nothing", vec![]),
    ];
    let mut answers = String::new();
    for (name, tar) in cases {
        let refusal = refusal(&tar);
        answers += &format!("{name}\n  {}: {refusal}\n", refusal.code());
    }
    insta::assert_snapshot!(answers);
}

#[test]
fn plain_archives_of_other_tools_are_taken() {
    let long = "a-long-folder-name/".repeat(8) + "file.txt";
    let tar = archive(&[
        entry(b'5', "./", b""),
        entry(b'g', "pax_global_header", b"19 comment=by hand\n"),
        entry(b'5', "./folder/", b""),
        entry(b'0', "./folder/a.txt", b"hello"),
        pax(&[("mtime", "1.5"), ("path", &long)]),
        entry(b'0', "cut", b"long"),
        entry(b'L', "././@LongLink", format!("b/{long}\0").as_bytes()),
        entry(b'0', "cut", b"longer"),
    ]);
    let padded = [tar, vec![0; 10240]].concat();
    let entries = check(&padded[..], &Limits::default()).unwrap();
    let paths: Vec<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["folder/a.txt", long.as_str(), format!("b/{long}").as_str()]);
    assert_eq!(read_file(&padded[..], "folder/a.txt", 5).unwrap().unwrap(), b"hello");
    assert!(read_file(&padded[..], "folder/a.txt", 4).is_err());
    assert!(read_file(&padded[..], "folder", 4).unwrap().is_none());
}

#[test]
fn extraction_follows_no_link_that_stands_in_its_folder() {
    let (outside, into) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    symlink(outside.path(), into.path().join("a")).unwrap();
    symlink(outside.path().join("new"), into.path().join("b")).unwrap();
    for path in ["a/evil", "b"] {
        let tar = archive(&[entry(b'0', path, b"x")]);
        extract(&tar[..], into.path(), &Limits::default()).expect_err("a link is not followed");
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn extraction_overwrites_nothing() {
    let into = TempDir::new().unwrap();
    fs::write(into.path().join("a"), "old").unwrap();
    let tar = archive(&[entry(b'0', "a", b"new")]);
    extract(&tar[..], into.path(), &Limits::default()).expect_err("the file stands there");
    assert_eq!(fs::read_to_string(into.path().join("a")).unwrap(), "old");
}

#[test]
fn links_and_sockets_in_a_folder_are_not_packed_in_silence() {
    let folder = TempDir::new().unwrap();
    symlink("/etc/passwd", folder.path().join("link")).unwrap();
    let refusal = pack(folder.path(), Vec::new()).expect_err("a link").to_string();
    assert!(refusal.contains("\"link\": a symbolic link"), "{refusal}");
    fs::remove_file(folder.path().join("link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    let refusal = pack(folder.path(), Vec::new()).expect_err("a socket").to_string();
    assert!(refusal.contains("\"socket\": a device"), "{refusal}");
}

#[test]
fn what_is_made_again_is_left_out() {
    let folder = TempDir::new().unwrap();
    for skipped in [".git/HEAD", "target/debug/a", "src/__pycache__/a.pyc", "a/.DS_Store", "b.txt"]
    {
        let place = folder.path().join(skipped);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, "x").unwrap();
    }
    let entries = pack(folder.path(), Vec::new()).unwrap();
    assert_eq!(entries.iter().map(|entry| &entry.path).collect::<Vec<_>>(), ["b.txt"]);
}

/// Files by path; names do not meet in case, and none is below another.
type Files = BTreeMap<String, (Vec<u8>, bool)>;

fn files() -> impl Strategy<Value = Files> {
    let content = prop_oneof![
        vec(any::<u8>(), 0..20),
        vec(any::<u8>(), 500..520),
        vec(any::<u8>(), 1020..1030)
    ];
    let path = ("([d-f]{1,3}/){0,3}", "[a-cä]{1,4}", prop_oneof![Just(0_usize), Just(120)]);
    let path =
        path.prop_map(|(folders, name, long)| format!("{folders}{name}{}", "z".repeat(long)));
    btree_map(path, (content, any::<bool>()), 0..8)
}

fn write_files(folder: &Path, files: &Files, is_reversed: bool) {
    let mut order: Vec<_> = files.iter().collect();
    if is_reversed {
        order.reverse();
    }
    for (path, (content, executable)) in order {
        let place = folder.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, content).unwrap();
        let mode = if *executable { 0o700 } else { 0o600 };
        fs::set_permissions(&place, fs::Permissions::from_mode(mode)).unwrap();
    }
}

fn packed(folder: &Path) -> (Vec<u8>, Vec<Entry>) {
    let mut tar = Vec::new();
    let entries = pack(folder, &mut tar).unwrap();
    (tar, entries)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Equal folders have equal packages, and a package unpacks to the folder it was.
    #[test]
    fn a_package_is_its_folder(files in files()) {
        let (one, two, three) =
            (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
        write_files(one.path(), &files, false);
        write_files(two.path(), &files, true);
        let (tar, entries) = packed(one.path());
        prop_assert_eq!(&packed(two.path()).0, &tar);
        let limits = Limits::default();
        prop_assert_eq!(&check(&tar[..], &limits).unwrap(), &entries);
        prop_assert_eq!(&extract(&tar[..], three.path(), &limits).unwrap(), &entries);
        prop_assert_eq!(&packed(three.path()).0, &tar);
        let found: Files = entries.iter().map(|entry| {
            let content = read_file(&tar[..], &entry.path, 1 << 20).unwrap().unwrap();
            (entry.path.clone(), (content, entry.executable))
        }).collect();
        prop_assert_eq!(found, files);
    }

    /// Every part of an archive that is cut short is refused.
    #[test]
    fn a_part_is_not_taken_for_the_whole(files in files(), cut in any::<prop::sample::Index>()) {
        let folder = TempDir::new().unwrap();
        write_files(folder.path(), &files, false);
        let (tar, _) = packed(folder.path());
        let part = &tar[..cut.index(tar.len())];
        prop_assert!(check(part, &Limits::default()).is_err());
    }

    /// A broken byte is refused, or changes what it says and nothing more.
    #[test]
    fn a_broken_byte_is_survived(files in files(), at in any::<prop::sample::Index>(), to: u8) {
        let folder = TempDir::new().unwrap();
        write_files(folder.path(), &files, false);
        let (mut tar, _) = packed(folder.path());
        let at = at.index(tar.len());
        tar[at] = to;
        let into = TempDir::new().unwrap();
        let limits = Limits { entry_bytes_max: 1 << 20, ..Limits::default() };
        let checked = check(&tar[..], &limits);
        let extracted = extract(&tar[..], into.path(), &limits);
        prop_assert_eq!(checked.ok(), extracted.ok());
    }
}
