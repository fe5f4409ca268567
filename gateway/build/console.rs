//! Packs what `cargo xtask console` built, so that the program holds it: each file as it is and
//! compressed, with its media type and a tag of its content, as a table in Rust.
//!
//! Always true: without a built console the table is empty, and the build goes on; Node.js is not
//! needed here.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

/// Where the console is built, below the checkout. The folder around it is always there: a missing
/// one would have this run at each build.
const PAGE: &str = "../console/dist/page";
const AROUND: &str = "../console/dist";

/// Most bytes of all files together: every gateway holds them, and a phone fetches them.
const BYTES_MAX: usize = 2 << 20;

/// Writes the table, and what it includes, into the folder of build output.
pub(crate) fn pack() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={AROUND}");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo names no OUT_DIR")?);
    let packed = out.join("console");
    fs::create_dir_all(&packed)?;
    let mut paths = Vec::new();
    if Path::new(PAGE).join("index.html").is_file() {
        walk(Path::new(PAGE), &mut paths)?;
    }
    paths.sort();
    let mut table = String::from("&[\n");
    let mut bytes = 0;
    for (number, path) in paths.iter().enumerate() {
        let body = fs::read(path)?;
        bytes += body.len();
        let name = path.strip_prefix(PAGE)?.to_str().ok_or("a name that is no text")?;
        let kind = kind(name).ok_or_else(|| format!("{name}: no media type is known for it"))?;
        let tag = hex::encode(&Sha256::digest(&body)[..16]);
        let small = compressed(&body)?;
        fs::write(packed.join(number.to_string()), &body)?;
        fs::write(packed.join(format!("{number}.gz")), &small)?;
        // By the build's own variable: a path may hold what a string escapes.
        let at = |end: &str| {
            format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/console/{number}{end}\"))")
        };
        let (plain, small) = (at(""), at(".gz"));
        writeln!(
            table,
            "File {{ name: {name:?}, kind: {kind:?}, tag: \"\\\"{tag}\\\"\", plain: {plain}, \
             gzip: {small} }},"
        )?;
    }
    if bytes > BYTES_MAX {
        return Err(format!("the console has {bytes} bytes, above {BYTES_MAX}").into());
    }
    table.push_str("]\n");
    fs::write(out.join("console.rs"), table)?;
    Ok(())
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { walk(&path, paths)? } else { paths.push(path) }
    }
    Ok(())
}

fn kind(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

fn compressed(body: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body)?;
    Ok(encoder.finish()?)
}
