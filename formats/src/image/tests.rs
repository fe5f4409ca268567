use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

/// A layer's entry, as a builder of images would write it.
#[derive(Clone, Debug)]
enum Entry {
    Folder(&'static str),
    File(&'static str, u32, &'static str),
    Link(&'static str, String),
    Hard(&'static str, String),
}

use Entry::{File as Plain, Folder, Hard, Link};

fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let (kind, path, mode, text, target) = match entry {
            Folder(path) => (tar::EntryType::Directory, path, 0o755, "", ""),
            Plain(path, mode, text) => (tar::EntryType::Regular, path, *mode, *text, ""),
            Link(path, target) => (tar::EntryType::Symlink, path, 0o777, "", target.as_str()),
            Hard(path, target) => (tar::EntryType::Link, path, 0o644, "", target.as_str()),
        };
        let mut header = tar::Header::new_ustar();
        // As raw bytes: what a careful writer would refuse to write is wanted here.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(text.len() as u64);
        header.set_cksum();
        builder.append(&header, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

struct Layout(TempDir);

impl Layout {
    fn new(layers: &[Vec<u8>], run: &Value) -> Self {
        let layout = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(layout.0.path().join("blobs/sha256")).unwrap();
        fs::write(layout.0.path().join(LAYOUT_FILE), "{\"imageLayoutVersion\":\"1.0.0\"}").unwrap();
        let layers: Vec<Value> = layers.iter().map(|layer| layout.blob(layer)).collect();
        let config = layout.blob(json!({ "os": "linux", "config": run }).to_string().as_bytes());
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers });
        let mut manifest = layout.blob(manifest.to_string().as_bytes());
        manifest["platform"] = json!({ "os": "linux", "architecture": "amd64" });
        layout.index(&json!({ "manifests": [
            { "digest": "sha256:none", "platform": { "os": "windows", "architecture": "amd64" } },
            manifest,
        ] }));
        layout
    }

    fn index(&self, index: &Value) {
        fs::write(self.0.path().join("index.json"), index.to_string()).unwrap();
    }

    fn blob(&self, bytes: &[u8]) -> Value {
        let digest = hex(bytes);
        fs::write(blob(self.0.path(), &digest), bytes).unwrap();
        json!({ "digest": format!("sha256:{digest}"), "size": bytes.len() })
    }

    fn open(&self) -> Result<Image, Error> {
        open(self.0.path(), "amd64")
    }
}

fn run() -> Value {
    json!({ "Entrypoint": ["/bin/run"] })
}

/// What these layers make.
fn unpacked(layers: &[Vec<u8>]) -> TempDir {
    let into = tempfile::tempdir().unwrap();
    Layout::new(layers, &run()).open().unwrap().unpack(into.path(), &Limits::default()).unwrap();
    into
}

#[test]
fn layers_change_what_is_below_them() {
    use std::io::Write as _;
    let to = |text: &str| text.to_owned();
    let lowest = tar(&[
        Folder("usr/"),
        Folder("usr/bin/"),
        Plain("usr/bin/run", 0o4755, "one"),
        Link("bin", to("usr/bin")),
        Hard("usr/bin/walk", to("usr/bin/run")),
        Plain("./etc/a", 0o600, "a"),
        Plain("etc/b", 0o644, "b"),
        Plain("var/old/x", 0o644, "x"),
        Plain("var/gone/deep/x", 0o644, "x"),
    ]);
    let middle = tar(&[
        // Through the link of the layer below.
        Plain("bin/jump", 0o755, "jump"),
        Plain("etc/.wh.a", 0o644, ""),
        Plain("var/old/y", 0o644, "y"),
        Plain("var/old/.wh..wh..opq", 0o644, ""),
        Plain("var/.wh.gone", 0o644, ""),
    ]);
    let highest = tar(&[Plain("etc/b", 0o644, "b2"), Folder("usr/bin/jump")]);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&middle).unwrap();
    let packed = packed.finish().unwrap();
    let squeezed = zstd::encode_all(&highest[..], 1).unwrap();
    let into = unpacked(&[lowest, packed, squeezed]);
    let at = |path: &str| into.path().join(path);
    let text = |path: &str| fs::read_to_string(at(path)).unwrap();
    assert_eq!(
        (text("usr/bin/run"), text("bin/walk"), text("etc/b")),
        (to("one"), to("one"), to("b2"))
    );
    // No set-user bit is left, and everybody may read.
    assert_eq!(fs::metadata(at("usr/bin/run")).unwrap().permissions().mode() & 0o7777, 0o755);
    assert_eq!(fs::read_link(at("bin")).unwrap(), Path::new("usr/bin"));
    assert!(at("usr/bin/jump").is_dir() && !at("etc/a").exists() && !at("var/gone").exists());
    assert_eq!(fs::read_dir(at("var/old")).unwrap().count(), 1);
    assert_eq!(text("var/old/y"), "y");
    assert!(!at("var/old/.wh..wh..opq").exists());
}

#[test]
fn a_configuration_says_what_to_run_and_how() {
    let said = json!({
        "Entrypoint": ["/bin/run", "-v"], "Cmd": ["now"], "WorkingDir": "/app",
        "Env": ["PATH=/bin", "EMPTY", "A=b=c"], "User": "1000",
    });
    let image = Layout::new(&[], &said).open().unwrap();
    let env = [("PATH", "/bin"), ("EMPTY", ""), ("A", "b=c")];
    let expected = Config {
        entrypoint: ["/bin/run", "-v"].map(str::to_owned).into(),
        arguments: vec!["now".to_owned()],
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        folder: "/app".to_owned(),
    };
    assert_eq!(image.config, expected);
    let image = Layout::new(&[], &json!({ "Cmd": ["run"] })).open().unwrap();
    assert_eq!((image.config.folder.as_str(), image.config.arguments.len()), ("/", 1));
    for (said, words) in [
        (json!({}), "neither an entry point nor a command"),
        (json!({ "Cmd": ["a"], "WorkingDir": "app" }), "not absolute"),
        (json!({ "Cmd": ["a\0b"] }), "zero byte"),
        (json!({ "Cmd": 7 }), "not understood"),
        (json!({ "Cmd": vec!["a"; WORDS_MAX + 1] }), "more than 4096 words"),
    ] {
        let refused = Layout::new(&[], &said).open().unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}

#[test]
fn an_image_for_another_machine_or_with_other_content_is_refused() {
    let layer = tar(&[Plain("a", 0o644, "a")]);
    let layout = Layout::new(std::slice::from_ref(&layer), &run());
    let other = open(layout.0.path(), "riscv64").unwrap_err().to_string();
    assert!(other.contains("no image for linux/riscv64"), "{other}");
    let image = layout.open().unwrap();
    let digest = hex(&layer);
    let changed = tar(&[Plain("a", 0o644, "b")]);
    fs::write(blob(layout.0.path(), &digest), changed).unwrap();
    let into = tempfile::tempdir().unwrap();
    let refused = image.unpack(into.path(), &Limits::default()).unwrap_err().to_string();
    assert!(refused.contains("not what its name says"), "{refused}");
    // An index that names itself ends.
    let index = json!({ "manifests": [{ "mediaType": "index", "digest": "sha256:../../x" }] });
    layout.index(&index);
    assert!(layout.open().unwrap_err().to_string().contains("64 hexadecimal digits"));
}

#[test]
fn too_many_layers_are_refused() {
    let layer = tar(&[Plain("a", 0o644, "a")]);
    let layers = |count: usize| Layout::new(&vec![layer.clone(); count], &run()).open();
    assert!(layers(LAYERS_MAX).is_ok());
    let refused = layers(LAYERS_MAX + 1).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
    assert!(refused.to_string().contains("more than 128 layers"), "{refused}");
}

#[test]
fn every_limit_holds() {
    let many = tar(&[Plain("a", 0o644, "aaaa"), Plain("b", 0o644, "bbbb"), Folder("c/d/e")]);
    let layout = Layout::new(&[many], &run());
    let (image, whole) = (layout.open().unwrap(), Limits::default());
    for (limits, words) in [
        (Limits { entries_max: 2, ..whole }, "more than 2 files and folders"),
        (Limits { total_bytes_max: 7, ..whole }, "more than 7 bytes"),
        (Limits { depth_max: 2, ..whole }, "too deep"),
        (Limits { path_bytes_max: 4, ..whole }, "too long"),
    ] {
        let into = tempfile::tempdir().unwrap();
        let refused = image.unpack(into.path(), &limits).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::TooLarge);
        assert!(refused.to_string().contains(words), "{refused}");
    }
    let long = "x".repeat(2 << 20);
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_pax_extensions([("comment", long.as_bytes())]).unwrap();
    let refused = check_layer(&builder.into_inner().unwrap(), &whole).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
}

#[test]
fn folders_that_lead_ever_deeper_through_links_end() {
    let mut layers =
        vec![tar(&[Plain("a/a/a/a/a/a/x", 0o644, ""), Link("l0", "a/a/a/a/a/a".to_owned())])];
    let names = ["l1", "l2", "l3", "l4", "l5", "l6", "l7", "l8"];
    let paths = [
        "l0/b/b/b", "l1/b/b/b", "l2/b/b/b", "l3/b/b/b", "l4/b/b/b", "l5/b/b/b", "l6/b/b/b",
        "l7/b/b/b",
    ];
    for (name, path) in names.into_iter().zip(paths) {
        layers.push(tar(&[Folder(path), Link(name, path.to_owned())]));
    }
    let into = tempfile::tempdir().unwrap();
    let limits = Limits { depth_max: 16, ..Limits::default() };
    let refused = Layout::new(&layers, &run()).open().unwrap().unpack(into.path(), &limits);
    assert!(refused.unwrap_err().to_string().contains("too deep"));
}

/// What stands outside, all of it.
fn outside(folder: &Path) -> Vec<(PathBuf, Option<String>)> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path.clone());
            }
            all.push((path.clone(), fs::read_to_string(&path).ok()));
        }
    }
    all.sort();
    all
}

const PATHS: [&str; 14] = [
    "a",
    "a/b",
    "a/b/c",
    "link",
    "link/x",
    "link/victim",
    "a/up",
    "a/up/x",
    "../x",
    "/x",
    "link/.wh.victim",
    ".wh.a",
    "a/.wh..wh..opq",
    "link/.wh..wh..opq",
];

fn entries() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
    proptest::collection::vec((0..4_usize, 0..PATHS.len(), 0..6_usize), 0..12)
}

proptest! {
    /// Whatever layers say, what stands outside stays as it was; and what was taken once is taken
    /// again, with the same result.
    #[test]
    fn nothing_outside_is_touched(layers in proptest::collection::vec(entries(), 1..4)) {
        let world = tempfile::tempdir().unwrap();
        let beside = world.path().join("beside");
        fs::create_dir(&beside).unwrap();
        fs::write(beside.join("victim"), "whole").unwrap();
        let targets = [
            beside.display().to_string(), "../beside".to_owned(), "../../beside".to_owned(),
            "/".to_owned(), "a".to_owned(), "link".to_owned(),
        ];
        let make = |&(kind, path, target): &(usize, usize, usize)| match kind {
            0 => Folder(PATHS[path]),
            1 => Plain(PATHS[path], 0o755, "evil"),
            2 => Link(PATHS[path], targets[target].clone()),
            _ => Hard(PATHS[path], format!("{}/victim", targets[target])),
        };
        let layers: Vec<Vec<u8>> = layers
            .iter()
            .map(|layer| tar(&layer.iter().map(make).collect::<Vec<_>>()))
            .collect();
        let before = outside(&beside);
        let image = Layout::new(&layers, &run());
        let image = image.open().map(|opened| (opened, image)).unwrap();
        let mut made = Vec::new();
        for name in ["root", "again"] {
            let into = world.path().join(name);
            fs::create_dir(&into).unwrap();
            let taken = image.0.unpack(&into, &Limits::default()).is_ok();
            made.push((taken, fs::read_dir(&into).unwrap().count()));
            fs::remove_dir_all(&into).unwrap();
        }
        prop_assert_eq!(made[0], made[1]);
        prop_assert_eq!(outside(&beside), before);
        prop_assert_eq!(fs::read_dir(world.path()).unwrap().count(), 1);
    }

    /// Bytes that are no layer are refused or read, and nothing worse.
    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..2_048), at in 0..1_024_usize) {
        let _ = check_layer(&bytes, &Limits::default());
        let mut layer = tar(&[Plain("a/b", 0o755, "text"), Link("l", "a".to_owned())]);
        for (place, byte) in layer.iter_mut().skip(at).zip(bytes.drain(..)).take(8) {
            *place = byte;
        }
        if let Ok(changes) = check_layer(&layer, &Limits::default()) {
            for change in changes {
                let (Change::Folder(path) | Change::File(path, _) | Change::Link(path, _)
                    | Change::HardLink(path, _) | Change::Remove(path) | Change::Empty(path)) = change;
                prop_assert!(!path.split('/').any(|part| part == ".." || part == "."), "{}", path);
                prop_assert!(!path.starts_with('/'), "{}", path);
            }
        }
    }
}
