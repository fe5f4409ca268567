//! `freehold pipeline`: publishes a chain of models, whose formats have to be equal, as one item.

use api::client::Client;
use api::items::Sharing;
use formats::manifest::{self, Manifest, Requires};
use types::{ItemKind, Name, Reference};

use super::publish::publish_and_show;
use crate::args::PipelineArguments;
use crate::exit::Failure;
use crate::output::Output;

/// Carries out the command.
pub(super) async fn run(
    arguments: PipelineArguments,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    let PipelineArguments { name, stages, summary, category, everybody } = arguments;
    let manifest = manifest_of(name, stages, summary, category);
    let folder = folder_of(&manifest)?;
    let sharing = everybody.then_some(Sharing::Everybody);
    publish_and_show(folder.path(), sharing, client, out).await
}

/// The manifest of a pipeline; without a summary, it names its stages.
pub fn manifest_of(
    name: Name,
    stages: Vec<Reference>,
    summary: String,
    category: String,
) -> Manifest {
    let summary = if summary.trim().is_empty() {
        let names: Vec<String> = stages.iter().map(ToString::to_string).collect();
        format!("{}, one after the other.", names.join(", then "))
    } else {
        summary
    };
    Manifest {
        kind: ItemKind::Pipeline,
        title: name.to_string(),
        name,
        summary,
        category,
        subcategory: String::new(),
        tags: Vec::new(),
        license: String::new(),
        documentation: None,
        channels: Vec::new(),
        stages,
        input: None,
        output: None,
        task: None,
        requires: Requires::default(),
        parameters: [].into(),
        tests: Vec::new(),
        figures: Vec::new(),
        examples: Vec::new(),
    }
}

/// A folder that is the package, and goes away by itself.
pub fn folder_of(manifest: &Manifest) -> Result<tempfile::TempDir, Failure> {
    manifest::check(manifest).map_err(|error| Failure::usage(error.to_string()))?;
    let unwritable =
        |error: std::io::Error| Failure::refused(format!("could not make a package: {error}"));
    let folder = tempfile::tempdir().map_err(unwritable)?;
    let path = folder.path().join(manifest::FILE_NAME);
    std::fs::write(path, manifest::write(manifest)).map_err(unwritable)?;
    Ok(folder)
}
