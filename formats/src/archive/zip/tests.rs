use std::io::{Cursor, Write as _};

use proptest::prelude::*;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;
use crate::archive::{check_any, extract_any};

fn zip(files: &[(&str, &[u8], u32)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content, mode) in files {
        let options = SimpleFileOptions::default().unix_permissions(*mode);
        if name.ends_with('/') {
            writer.add_directory(*name, options).unwrap();
        } else {
            writer.start_file(*name, options).unwrap();
            writer.write_all(content).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

fn read(bytes: &[u8]) -> Result<Vec<Entry>, Error> {
    check_any(Cursor::new(bytes), &Limits::default())
}

#[test]
fn files_and_modes_come_out_as_they_went_in() {
    let tool = vec![7; 300_000];
    let bytes = zip(&[
        ("app.py", b"def handler(e, c): return e", 0o600),
        ("bin/", b"", 0o755),
        ("bin/tool", &tool, 0o755),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let entries = extract_any(&bytes[..], folder.path(), &Limits::default()).unwrap();
    let told: Vec<_> = entries.iter().map(|it| (&*it.path, it.bytes, it.executable)).collect();
    assert_eq!(told, [("app.py", 27, false), ("bin/tool", 300_000, true)]);
    assert_eq!(std::fs::read(folder.path().join("bin/tool")).unwrap(), tool);
    assert_eq!(read(&bytes).unwrap(), entries);
}

#[test]
fn what_a_package_may_not_hold_is_refused() {
    for name in ["../up", "/root", "a//b", "a\\b", "a/./b"] {
        let refused = read(&zip(&[(name, b"x", 0o644)]));
        assert!(matches!(refused, Err(Error::Entry { .. })), "{name}: {refused:?}");
    }
    let case = read(&zip(&[("a", b"", 0o644), ("A", b"", 0o644)]));
    assert!(matches!(case, Err(Error::Entry { problem: Problem::Case { .. }, .. })), "{case:?}");
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_symlink("link", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    let refused = read(&writer.finish().unwrap().into_inner());
    assert!(
        matches!(refused, Err(Error::Entry { problem: Problem::SymbolicLink, .. })),
        "{refused:?}"
    );
}

#[test]
fn limits_hold_for_what_comes_out() {
    let zeros = vec![0; 100_000];
    let bytes = zip(&[("a", &zeros, 0o644), ("b", &zeros, 0o644)]);
    assert!(bytes.len() < 10_000, "it is compressed");
    for limits in [
        Limits { entry_bytes_max: 99_999, ..Limits::default() },
        Limits { total_bytes_max: 199_999, ..Limits::default() },
        Limits { entries_max: 1, ..Limits::default() },
    ] {
        let refused = check_any(Cursor::new(&bytes), &limits).unwrap_err();
        assert_eq!(refused.code(), super::super::CODE_LIMIT, "{refused}");
    }
}

proptest! {
    #[test]
    fn damage_is_told_and_harms_nothing(at in 0_usize..400, byte: u8) {
        let mut bytes = zip(&[("app.py", b"x = 1", 0o644), ("b/c", &[3; 90], 0o755)]);
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = read(&bytes);
        bytes.truncate(at);
        prop_assert!(read(&bytes).is_err());
    }
}
