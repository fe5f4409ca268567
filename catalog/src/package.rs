//! Packages: what a producer sent, read without trusting it.
//!
//! A package is read again for every question, as a stream; only its manifest, its documentation
//! and its model's graph are ever held in memory.
//!
//! Always true: a refusal names the file and the cure. Nothing is written, nothing is run.

use std::collections::BTreeSet;
use std::io::Read;

use formats::archive::{self, Entry, Limits};
use formats::manifest::{self, Manifest, TestInput};
use formats::onnx;
use types::{Format, ItemKind, Runtime};

/// Largest model file that is read to check its graph. Weights beyond it go to external data.
pub const MODEL_BYTES_MAX: u64 = 2 << 30;
/// Most bytes of documentation that are kept; a README fits, a book does not.
pub const DOCUMENTATION_BYTES_MAX: u64 = 256 << 10;
/// Largest notebook that is read to check it.
pub const NOTEBOOK_BYTES_MAX: u64 = 64 << 20;

/// Opens the package from its beginning.
pub type Open<'a> = dyn Fn() -> Box<dyn Read + 'a> + 'a;

/// Why a package is not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The word programs match on.
    pub code: &'static str,
    /// What is wrong in which file, and the cure.
    pub message: String,
    /// Whether trying again may help: the package could not be read now.
    pub transient: bool,
}

impl Refusal {
    fn invalid(message: impl Into<String>) -> Self {
        Self { code: "invalid_package", message: message.into(), transient: false }
    }

    fn model(message: impl Into<String>) -> Self {
        Self { code: "model_invalid", message: message.into(), transient: false }
    }
}

impl From<archive::Error> for Refusal {
    fn from(error: archive::Error) -> Self {
        let transient =
            matches!(error.kind(), types::ErrorKind::Internal | types::ErrorKind::Unavailable);
        Self { code: "invalid_package", message: error.to_string(), transient }
    }
}

/// What a package says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspection {
    /// The manifest, with the formats of its model filled in where it gave none.
    pub manifest: Manifest,
    /// Every file, sorted by path.
    pub files: Vec<Entry>,
    /// The Markdown that the manifest names; empty where it names none.
    pub documentation: String,
}

/// Reads the manifest.
///
/// # Errors
///
/// [`Refusal`] when there is none, or it breaks a rule.
pub fn read_manifest(open: &Open<'_>) -> Result<Manifest, Refusal> {
    let bytes = archive::read_file(open(), manifest::FILE_NAME, manifest::BYTES_MAX)?;
    let bytes = bytes.ok_or_else(|| {
        Refusal::invalid(format!(
            "the package has no {} at its root; `freehold init FOLDER` writes one",
            manifest::FILE_NAME
        ))
    })?;
    let text = String::from_utf8(bytes).map_err(|_| {
        Refusal::invalid(format!("{} is not UTF-8; save it as UTF-8", manifest::FILE_NAME))
    })?;
    manifest::parse(&text).map_err(|error| Refusal {
        code: "invalid_manifest",
        message: error.to_string(),
        transient: false,
    })
}

/// Reads the whole archive: sizes, digests, paths, and that every file the manifest names is
/// there.
///
/// # Errors
///
/// [`Refusal`] for an archive that would escape, explode or contradict its manifest.
pub fn test(open: &Open<'_>, manifest: Manifest) -> Result<Inspection, Refusal> {
    let files = archive::check(open(), &Limits::default())?;
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    for (key, path) in named_files(&manifest) {
        let folder = format!("{path}/");
        let there = paths.contains(path) || paths.iter().any(|file| file.starts_with(&folder));
        if !there {
            return Err(Refusal::invalid(format!(
                "{}: `{key}` names {path:?}, which is not in the package; add the file or correct the path",
                manifest::FILE_NAME
            )));
        }
    }
    if manifest.kind == ItemKind::Dataset && files.len() < 2 {
        return Err(Refusal::invalid(
            "a data set needs at least one file beside its manifest; add the data",
        ));
    }
    let documentation = match &manifest.documentation {
        None => String::new(),
        Some(path) => read_text(open, path)?,
    };
    Ok(Inspection { manifest, files, documentation })
}

/// Checks what the package holds, by its kind: a model's graph, a job's program, a notebook.
/// Returns lines for the publish log.
///
/// # Errors
///
/// [`Refusal`] with code `model_invalid` or `invalid_package`.
pub fn check(open: &Open<'_>, inspection: &mut Inspection) -> Result<Vec<String>, Refusal> {
    match inspection.manifest.kind {
        ItemKind::Model => check_model(open, inspection),
        ItemKind::Algorithm => check_program(inspection),
        ItemKind::Notebook => check_notebook(open, inspection),
        ItemKind::Dataset | ItemKind::Pipeline => Ok(vec!["nothing to check".to_owned()]),
    }
}

fn check_model(open: &Open<'_>, inspection: &mut Inspection) -> Result<Vec<String>, Refusal> {
    let Some(task) = inspection.manifest.task.clone() else {
        return Err(Refusal::invalid("a model needs a [task] with its entry; add one"));
    };
    if task.runtime != Runtime::Onnx {
        return Err(Refusal::invalid("a model's task.runtime has to be \"onnx\""));
    }
    let bytes = archive::read_file(open(), &task.entry, MODEL_BYTES_MAX)?;
    let bytes = bytes.unwrap_or_default();
    let model =
        onnx::read(bytes).map_err(|error| Refusal::model(format!("{}: {error}", task.entry)))?;
    let findings = onnx::findings(&model, &task.entry, &inspection.files);
    let (fatal, notes): (Vec<_>, Vec<_>) = findings.iter().partition(|finding| finding.fatal);
    if !fatal.is_empty() {
        let lines: Vec<String> = fatal.iter().map(ToString::to_string).collect();
        return Err(Refusal::model(format!("{}: {}", task.entry, lines.join("; "))));
    }
    let input = Format::Tensors { tensors: model.inputs.clone() };
    let output = Format::Tensors { tensors: model.outputs.clone() };
    adopt("input", &mut inspection.manifest.input, input, &task.entry)?;
    adopt("output", &mut inspection.manifest.output, output, &task.entry)?;
    let mut lines = vec![format!(
        "{}: a valid graph of {} nodes, {} inputs, {} outputs",
        task.entry,
        model.nodes,
        model.inputs.len(),
        model.outputs.len()
    )];
    lines.extend(notes.iter().map(|note| format!("{}: {note}", task.entry)));
    Ok(lines)
}

/// Takes the graph's format where the manifest gives none; refuses a manifest that contradicts it.
fn adopt(key: &str, said: &mut Option<Format>, found: Format, entry: &str) -> Result<(), Refusal> {
    match said {
        Some(Format::Tensors { .. }) => {
            let said = said.as_ref().expect("it was just seen");
            policy::linking::equal(said, &found).map_err(|mismatches| {
                let lines: Vec<String> = mismatches.iter().map(ToString::to_string).collect();
                Refusal::model(format!(
                    "{}: `{key}` differs from {entry}: {}; leave `{key}` out to take the graph's",
                    manifest::FILE_NAME,
                    lines.join("; ")
                ))
            })
        }
        Some(_) => Err(Refusal::model(format!(
            "{}: the `{key}` of a model is its tensors; leave `{key}` out to take them from {entry}",
            manifest::FILE_NAME
        ))),
        None => {
            *said = Some(found);
            Ok(())
        }
    }
}

fn check_program(inspection: &Inspection) -> Result<Vec<String>, Refusal> {
    let Some(task) = &inspection.manifest.task else {
        return Err(Refusal::invalid("an algorithm needs a [task] with its entry; add one"));
    };
    let file = inspection.files.iter().find(|file| file.path == task.entry);
    match file {
        Some(file) if file.executable => Ok(vec![format!("{}: an executable file", task.entry)]),
        Some(_) => Err(Refusal::invalid(format!(
            "{0}: the program is not executable; run `chmod +x {0}` and publish again",
            task.entry
        ))),
        None => Err(Refusal::invalid(format!(
            "`task.entry` names {:?}, which is a folder; name the program in it",
            task.entry
        ))),
    }
}

fn check_notebook(open: &Open<'_>, inspection: &Inspection) -> Result<Vec<String>, Refusal> {
    let mut lines = Vec::new();
    let is_notebook = |path: &str| {
        std::path::Path::new(path).extension().is_some_and(|end| end.eq_ignore_ascii_case("ipynb"))
    };
    for file in inspection.files.iter().filter(|file| is_notebook(&file.path)) {
        let bytes = archive::read_file(open(), &file.path, NOTEBOOK_BYTES_MAX)?;
        let document: serde_json::Value = serde_json::from_slice(&bytes.unwrap_or_default())
            .map_err(|error| {
                Refusal::invalid(format!("{}: not a notebook ({error}); save it again", file.path))
            })?;
        let cells = document.get("cells").and_then(serde_json::Value::as_array);
        let cells = cells.ok_or_else(|| {
            Refusal::invalid(format!("{}: no cells; save it as nbformat 4", file.path))
        })?;
        lines.push(format!("{}: a notebook of {} cells", file.path, cells.len()));
    }
    if lines.is_empty() {
        return Err(Refusal::invalid("a notebook item needs an .ipynb file; add one"));
    }
    Ok(lines)
}

fn read_text(open: &Open<'_>, path: &str) -> Result<String, Refusal> {
    let bytes = archive::read_file(open(), path, DOCUMENTATION_BYTES_MAX)?.unwrap_or_default();
    String::from_utf8(bytes)
        .map_err(|_| Refusal::invalid(format!("{path}: not UTF-8; save it as UTF-8")))
}

/// The files that a manifest names, each with the key that names it.
fn named_files(manifest: &Manifest) -> Vec<(&'static str, &str)> {
    let mut named = Vec::new();
    if let Some(path) = &manifest.documentation {
        named.push(("documentation", path.as_str()));
    }
    if let Some(task) = &manifest.task {
        named.push(("task.entry", task.entry.as_str()));
    }
    for test in &manifest.tests {
        match &test.input {
            TestInput::Request(_) => {}
            TestInput::File(path) => named.push(("tests.input.file", path.as_str())),
            TestInput::Job { channels, .. } => {
                named.extend(channels.values().map(|path| ("tests.input.job", path.as_str())));
            }
        }
    }
    named
}
