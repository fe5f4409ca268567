//! Drafting a manifest by looking at a folder: `freehold init`.
//!
//! What decides, in this order: a model (`.onnx`), a program (an executable file), a notebook
//! (`.ipynb`), a table (`.csv`). Of several, the one nearest the top, then the first by name.
//!
//! Always true: the draft keeps every rule, so it can be published as it is, and improved by hand.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use types::{Format, ItemKind, Name, Runtime};

use crate::archive::SKIPPED;
use crate::{onnx, table};

use super::{Error, FILE_NAME, Manifest, Requires, Task, check};

/// Folders below the first that are looked into.
const DEPTH_MAX: usize = 3;
/// Files looked at.
const FILES_MAX: usize = 10_000;
/// Read of a README or licence.
const HEAD_BYTES_MAX: u64 = 16 << 10;
/// Rows a model's worker may put together when the model takes any number.
const BATCH_MAX: u32 = 32;

/// Drafts a manifest for a folder.
///
/// # Errors
///
/// [`Error::NothingFound`] when nothing tells what the folder is; [`Error::Draft`] when what tells
/// it cannot be read.
pub fn draft(folder: &Path) -> Result<Manifest, Error> {
    let files = list(folder)?;
    let ends = |end: &str| {
        files.iter().find(|file| file.path.to_lowercase().ends_with(end)).map(|file| &file.path)
    };
    let mut manifest = start(folder, &files);
    if let Some(path) = ends(".onnx") {
        draft_model(folder, path, &mut manifest)?;
    } else if let Some(path) = program(folder, &files) {
        manifest.kind = ItemKind::Algorithm;
        manifest.channels = vec!["train".to_owned()];
        manifest.requires.memory_mib = 512;
        let (runtime, timeout_ms) = (Runtime::Job, 3_600_000);
        manifest.task = Some(Task { runtime, entry: path, args: vec![], timeout_ms, batch_max: 1 });
    } else if ends(".ipynb").is_some() {
        manifest.kind = ItemKind::Notebook;
    } else if let Some(path) = ends(".csv") {
        let problem = |problem: String| Error::Draft { file: path.clone(), problem };
        let file = File::open(folder.join(path)).map_err(|error| problem(error.to_string()))?;
        let columns = table::sniff(file).map_err(|error| problem(error.to_string()))?;
        manifest.output = Some(Format::Table { columns });
    } else {
        return Err(Error::NothingFound { folder: folder.display().to_string() });
    }
    check(&manifest)?;
    Ok(manifest)
}

/// A file of the folder.
struct Found {
    path: String,
    depth: usize,
    is_executable: bool,
}

/// Plain files, nearest the top first, then by name.
fn list(folder: &Path) -> Result<Vec<Found>, Error> {
    let mut files = Vec::new();
    let mut folders: Vec<(PathBuf, String, usize)> = vec![(folder.to_owned(), String::new(), 0)];
    while let Some((place, prefix, depth)) = folders.pop() {
        let unreadable = |error: std::io::Error| Error::Draft {
            file: place.display().to_string(),
            problem: error.to_string(),
        };
        for child in fs::read_dir(&place).map_err(unreadable)? {
            let child = child.map_err(unreadable)?;
            let metadata = fs::symlink_metadata(child.path()).map_err(unreadable)?;
            let Ok(name) = child.file_name().into_string() else { continue };
            if SKIPPED.contains(&name.as_str()) || name.starts_with('.') {
                continue;
            }
            let path = format!("{prefix}{name}");
            if metadata.is_dir() && depth < DEPTH_MAX {
                folders.push((child.path(), format!("{path}/"), depth + 1));
            }
            if metadata.is_file() && path != FILE_NAME && files.len() < FILES_MAX {
                let is_executable = metadata.permissions().mode() & 0o111 != 0;
                files.push(Found { path, depth, is_executable });
            }
        }
    }
    files.sort_by(|left, right| (left.depth, &left.path).cmp(&(right.depth, &right.path)));
    Ok(files)
}

/// What names and texts in the folder tell, as a data set.
fn start(folder: &Path, files: &[Found]) -> Manifest {
    let whole = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let folder_name = whole.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name_from(&folder_name.unwrap_or_default());
    let at_top = |start: &str| {
        let matches =
            |file: &&Found| file.depth == 0 && file.path.to_lowercase().starts_with(start);
        files.iter().find(matches).map(|file| file.path.clone())
    };
    let documentation = at_top("readme").filter(|path| path.to_lowercase().ends_with(".md"));
    let readme = documentation.as_ref().map(|path| head(&folder.join(path))).unwrap_or_default();
    let license = at_top("licen").map(|path| head(&folder.join(path))).unwrap_or_default();
    let heading = readme.lines().find_map(|line| line.strip_prefix("# "));
    let title = heading.map_or_else(|| name.to_string(), |heading| cut(heading, 120));
    let prose = readme.lines().map(str::trim).find(|line| {
        line.chars().next().is_some_and(|first| first.is_alphanumeric() || first == '*')
    });
    let summary = prose.map_or_else(|| format!("{title}."), |line| cut(line, 400));
    Manifest {
        kind: ItemKind::Dataset,
        name,
        title,
        summary,
        category: "other".to_owned(),
        subcategory: String::new(),
        tags: vec![],
        license: license_from(&license).to_owned(),
        documentation,
        channels: vec![],
        stages: vec![],
        input: None,
        output: None,
        task: None,
        requires: Requires::default(),
        parameters: [].into(),
        tests: vec![],
        figures: vec![],
        examples: vec![],
    }
}

fn draft_model(folder: &Path, path: &str, manifest: &mut Manifest) -> Result<(), Error> {
    let problem = |problem: String| Error::Draft { file: path.to_owned(), problem };
    let place = folder.join(path);
    let metadata = fs::metadata(&place).map_err(|error| problem(error.to_string()))?;
    let model_bytes = metadata.len();
    if model_bytes > onnx::BYTES_MAX {
        return Err(problem(onnx::Error::TooLarge { bytes: model_bytes }.to_string()));
    }
    let bytes = fs::read(place).map_err(|error| problem(error.to_string()))?;
    let model = onnx::read(bytes).map_err(|error| problem(error.to_string()))?;
    let tensors = model.inputs.iter().chain(&model.outputs);
    let any_rows = tensors.clone().count() > 0
        && tensors.clone().all(|tensor| tensor.shape.first() == Some(&-1));
    manifest.kind = ItemKind::Model;
    manifest.input = Some(Format::Tensors { tensors: model.inputs });
    manifest.output = Some(Format::Tensors { tensors: model.outputs });
    // The worker itself, the weights, and a copy of them that the engine prepares.
    manifest.requires.memory_mib = (128 + 3 * (model_bytes >> 20)).max(256);
    manifest.task = Some(Task {
        runtime: Runtime::Onnx,
        entry: path.to_owned(),
        args: vec![],
        timeout_ms: 10_000,
        batch_max: if any_rows { BATCH_MAX } else { 1 },
    });
    Ok(())
}

/// The executable file that trains, or else the first.
fn program(folder: &Path, files: &[Found]) -> Option<String> {
    let runs = |file: &&Found| {
        file.is_executable && {
            let mut start = [0; 4];
            let read =
                File::open(folder.join(&file.path)).and_then(|mut file| file.read(&mut start));
            read.is_ok() && (start.starts_with(b"#!") || start == *b"\x7fELF")
        }
    };
    let mut programs = files.iter().filter(runs).peekable();
    let first = programs.peek().map(|file| file.path.clone());
    programs.find(|file| file.path.contains("train")).map(|file| file.path.clone()).or(first)
}

/// The start of a text file; empty where there is none.
fn head(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD_BYTES_MAX).read_to_end(&mut bytes));
    read.map(|_| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn cut(line: &str, chars_max: usize) -> String {
    let plain = line.trim().chars().filter(|found| !found.is_control());
    plain.take(chars_max).collect()
}

/// The nearest name to a text.
fn name_from(text: &str) -> Name {
    let mut plain = String::new();
    for found in text.chars().flat_map(char::to_lowercase) {
        if found.is_ascii_alphanumeric() {
            plain.push(found);
        } else if !plain.is_empty() && !plain.ends_with('-') {
            plain.push('-');
        }
    }
    plain.truncate(types::names::NAME_BYTES_MAX);
    let plain = plain.trim_end_matches('-');
    let name = plain.parse().or_else(|_| "item".parse());
    name.expect("the word item is a name")
}

fn license_from(text: &str) -> &'static str {
    let start: String = text.chars().take(400).collect();
    if start.contains("MIT License") || start.contains("Permission is hereby granted, free of") {
        "MIT"
    } else if start.contains("Apache License") && start.contains("Version 2.0") {
        "Apache-2.0"
    } else {
        ""
    }
}
