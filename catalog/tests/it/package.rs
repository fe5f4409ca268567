//! Packages: read, tested and checked, each refusal with its file and cure.

use std::io::{Cursor, Read};
use std::os::unix::fs::PermissionsExt as _;

use catalog::package;
use formats::archive;

const ALGORITHM: &str = "kind = \"algorithm\"\nname = \"trainer\"\nsummary = \"Trains.\"\n\
    category = \"test\"\nchannels = [\"training\"]\n[task]\nruntime = \"job\"\nentry = \"train\"\n";

/// Writes files into a folder and packs it.
fn pack(files: &[(&str, &str, u32)]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    for (path, text, mode) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(*mode)).unwrap();
    }
    let mut tar = Vec::new();
    archive::pack(folder.path(), &mut tar).unwrap();
    tar
}

/// What becomes of a package: the lines of its check, or the refusal.
fn read(tar: &[u8]) -> String {
    let open = || -> Box<dyn Read> { Box::new(Cursor::new(tar.to_vec())) };
    let done = package::read_manifest(&open)
        .and_then(|manifest| package::test(&open, manifest))
        .and_then(|mut inspection| package::check(&open, &mut inspection));
    match done {
        Ok(lines) => format!("ok: {}", lines.join("; ")),
        Err(refusal) => format!("{}: {}", refusal.code, refusal.message),
    }
}

#[test]
fn every_refusal_names_the_file_and_the_cure() {
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("no manifest", pack(&[("train", "#!/bin/sh\n", 0o755)])),
        ("a manifest that is none", pack(&[("freehold.toml", "kind = 3", 0o644)])),
        (
            "a program that cannot run",
            pack(&[("freehold.toml", ALGORITHM, 0o644), ("train", "", 0o644)]),
        ),
        ("a program that is not there", pack(&[("freehold.toml", ALGORITHM, 0o644)])),
        (
            "a program that is fine",
            pack(&[("freehold.toml", ALGORITHM, 0o644), ("train", "#!/bin/sh\n", 0o755)]),
        ),
        (
            "a model that is no graph",
            pack(&[
                (
                    "freehold.toml",
                    "kind = \"model\"\nname = \"m\"\nsummary = \"M.\"\ncategory = \"test\"\n\
                     [task]\nruntime = \"onnx\"\nentry = \"model.onnx\"\n",
                    0o644,
                ),
                ("model.onnx", "not a graph", 0o644),
            ]),
        ),
        (
            "a data set without data",
            pack(&[(
                "freehold.toml",
                "kind = \"dataset\"\nname = \"d\"\nsummary = \"D.\"\ncategory = \"test\"\n",
                0o644,
            )]),
        ),
        ("bytes that are no archive", b"PK\x03\x04 a zip file".to_vec()),
    ];
    let mut text = String::new();
    for (name, tar) in cases {
        text += &format!("{name}\n  {}\n", read(&tar));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_cut_package_is_refused_and_never_panics() {
    let tar = pack(&[("freehold.toml", ALGORITHM, 0o644), ("train", "#!/bin/sh\n", 0o755)]);
    for cut in (0..tar.len()).step_by(97) {
        let _ = read(&tar[..cut]);
    }
}
