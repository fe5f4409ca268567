//! The rules a manifest must keep, beyond the shape that its types give.
//!
//! Always true: every rule names the key it is about, what is wrong, and what to write.

use std::collections::BTreeSet;

use serde_json::Value;

use types::frame::{RANK_MAX, TENSORS_MAX};
use types::{Format, ItemKind, Name, Runtime};

use crate::archive::{self, check_path};

use super::parameters::check_parameter;
use super::{Error, Expect, Manifest, Task, TestCase, TestInput};

/// Longest title, in characters: one line of a list.
const TITLE_CHARS_MAX: usize = 120;
/// Longest summary, in characters: two or three lines of a list.
const SUMMARY_CHARS_MAX: usize = 400;
/// Longest other text, in characters.
const TEXT_CHARS_MAX: usize = 4_000;
/// Most tags, and most characters in one.
const TAGS_MAX: usize = 16;
const TAG_CHARS_MAX: usize = 40;
/// Most stages: each adds its latency.
const STAGES_MAX: usize = 16;
/// Most channels and parameters, as the `SageMaker` training contract has them.
const CHANNELS_MAX: usize = 20;
const PARAMETERS_MAX: usize = 100;
/// Most test cases, figures and examples: all run or are shown.
const LIST_MAX: usize = 100;
/// Most arguments, and bytes in one.
const ARGS_MAX: usize = 64;
const ARG_BYTES_MAX: usize = 4_096;
/// Longest time of a request, in milliseconds.
const REQUEST_MS_MAX: u64 = 600_000;
/// Longest time of a job, in milliseconds.
pub const JOB_MS_MAX: u64 = 7 * 24 * 3_600_000;
/// Largest batch.
const BATCH_MAX: u32 = 4_096;

/// A broken rule.
pub(super) struct Broken {
    pub(super) key: String,
    pub(super) problem: String,
    pub(super) cure: String,
}

pub(super) type Rule = Result<(), Broken>;

pub(super) fn broken(
    key: impl Into<String>,
    problem: impl Into<String>,
    cure: impl Into<String>,
) -> Broken {
    Broken { key: key.into(), problem: problem.into(), cure: cure.into() }
}

/// Checks the rules of a manifest that did not come as text.
///
/// # Errors
///
/// The first rule that is broken, with its key.
pub fn check(manifest: &Manifest) -> Result<(), Error> {
    check_rules(manifest).map_err(|Broken { key, problem, cure }| Error::Invalid {
        line: None,
        key,
        problem,
        cure,
    })
}

pub(super) fn check_rules(manifest: &Manifest) -> Rule {
    check_words(manifest)?;
    check_kind(manifest)?;
    if let Some(task) = &manifest.task {
        check_task(manifest.kind, task)?;
    }
    check_requires(manifest)?;
    check_channels(manifest)?;
    count("parameters", manifest.parameters.len(), PARAMETERS_MAX)?;
    for (name, parameter) in &manifest.parameters {
        check_parameter(name, parameter)?;
    }
    for (key, format) in [("input", &manifest.input), ("output", &manifest.output)] {
        if let Some(format) = format {
            check_format(key, format)?;
        }
    }
    check_lists(manifest)
}

fn check_words(manifest: &Manifest) -> Rule {
    text("title", &manifest.title, TITLE_CHARS_MAX)?;
    text("summary", &manifest.summary, SUMMARY_CHARS_MAX)?;
    if manifest.summary.trim().is_empty() {
        return Err(broken("summary", "it is empty", "say in a sentence what the item does"));
    }
    let categories = [("category", &manifest.category), ("subcategory", &manifest.subcategory)];
    for (key, category) in categories {
        if (key == "category" || !category.is_empty()) && category.parse::<Name>().is_err() {
            let problem = format!("{category:?} is not a category");
            return Err(broken(key, problem, "use a-z, 0-9 and -, such as image-classification"));
        }
    }
    count("tags", manifest.tags.len(), TAGS_MAX)?;
    for (index, tag) in manifest.tags.iter().enumerate() {
        let key = format!("tags[{index}]");
        text(&key, tag, TAG_CHARS_MAX)?;
        if tag.trim().is_empty() {
            return Err(broken(key, "it is empty", "remove it"));
        }
    }
    text("license", &manifest.license, TITLE_CHARS_MAX)?;
    match &manifest.documentation {
        Some(path) => path_in_package("documentation", path),
        None => Ok(()),
    }
}

/// Which parts an item of this kind has.
fn check_kind(manifest: &Manifest) -> Rule {
    let kind = manifest.kind;
    let runs = matches!(kind, ItemKind::Algorithm | ItemKind::Model);
    if runs && manifest.task.is_none() {
        let (runtime, entry) = match kind {
            ItemKind::Algorithm => ("job", "train"),
            _ => ("onnx", "model.onnx"),
        };
        let cure = format!("add [task] with runtime = {runtime:?} and entry = {entry:?}");
        return Err(broken("task", "the task is missing", cure));
    }
    let parts = [
        ("task", manifest.task.is_some(), runs),
        ("stages", !manifest.stages.is_empty(), kind == ItemKind::Pipeline),
        ("channels", !manifest.channels.is_empty(), kind == ItemKind::Algorithm),
        ("parameters", !manifest.parameters.is_empty(), kind == ItemKind::Algorithm),
    ];
    for (key, is_there, belongs) in parts {
        if is_there && !belongs {
            let problem = format!("an item of kind {kind} has none");
            return Err(broken(key, problem, "remove it, or change `kind`"));
        }
    }
    match kind {
        ItemKind::Pipeline if manifest.stages.is_empty() => {
            let cure = "add stages = [\"first-model\", \"account/second-model@1\"]";
            Err(broken("stages", "a pipeline needs at least one stage", cure))
        }
        ItemKind::Algorithm if manifest.channels.is_empty() => {
            let cure = "add channels = [\"train\"]";
            Err(broken("channels", "an algorithm needs at least one channel", cure))
        }
        _ => count("stages", manifest.stages.len(), STAGES_MAX),
    }
}

fn check_task(kind: ItemKind, task: &Task) -> Rule {
    let wanted = if kind == ItemKind::Model { Runtime::Onnx } else { Runtime::Job };
    if task.runtime != wanted {
        let problem = format!("an item of kind {kind} does not run as {}", task.runtime);
        return Err(broken("task.runtime", problem, format!("write runtime = \"{wanted}\"")));
    }
    path_in_package("task.entry", &task.entry)?;
    count("task.args", task.args.len(), ARGS_MAX)?;
    if wanted == Runtime::Onnx && !task.args.is_empty() {
        return Err(broken("task.args", "an onnx model takes no arguments", "remove them"));
    }
    for (index, arg) in task.args.iter().enumerate() {
        if arg.len() > ARG_BYTES_MAX || arg.contains('\0') {
            let problem = format!("it has a zero byte or more than {ARG_BYTES_MAX} bytes");
            return Err(broken(format!("task.args[{index}]"), problem, "put it in a file"));
        }
    }
    let ms_max = if wanted == Runtime::Onnx { REQUEST_MS_MAX } else { JOB_MS_MAX };
    range("task.timeout_ms", task.timeout_ms, 1, ms_max)?;
    range("task.batch_max", task.batch_max.into(), 1, BATCH_MAX.into())
}

fn check_requires(manifest: &Manifest) -> Rule {
    let requires = &manifest.requires;
    range("requires.memory_mib", requires.memory_mib, 1, 1 << 20)?;
    range("requires.cpu_milli", requires.cpu_milli.into(), 1, 256_000)?;
    range("requires.processes", requires.processes.into(), 1, 4_096)?;
    range("requires.scratch_mib", requires.scratch_mib, 0, 1 << 20)
}

fn check_channels(manifest: &Manifest) -> Rule {
    count("channels", manifest.channels.len(), CHANNELS_MAX)?;
    let mut seen = BTreeSet::new();
    for (index, channel) in manifest.channels.iter().enumerate() {
        let key = format!("channels[{index}]");
        if !is_plain_name(channel) {
            let problem = format!("{channel:?} is not a channel");
            return Err(broken(key, problem, "use 1 to 64 of letters, digits, -, _ and ."));
        }
        if !seen.insert(channel) {
            return Err(broken(key, format!("{channel:?} is there twice"), "remove one"));
        }
    }
    Ok(())
}

/// Names that become files or folders of the job.
pub(super) fn is_plain_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('.')
}

fn check_format(key: &str, format: &Format) -> Rule {
    match format {
        Format::Tensors { tensors } => {
            let key = format!("{key}.tensors");
            count(&key, tensors.len(), TENSORS_MAX)?;
            unique(&key, tensors.iter().map(|tensor| &tensor.name))?;
            let wrong = tensors.iter().position(|tensor| {
                tensor.shape.len() > RANK_MAX || tensor.shape.iter().any(|&size| size < -1)
            });
            wrong.map_or(Ok(()), |index| {
                let problem = format!("a shape has at most {RANK_MAX} sizes, each -1 or more");
                Err(broken(format!("{key}[{index}].shape"), problem, "write -1 for any size"))
            })
        }
        Format::Table { columns } => {
            let key = format!("{key}.columns");
            count(&key, columns.len(), crate::table::COLUMNS_MAX)?;
            unique(&key, columns.iter().map(|column| &column.name))
        }
        Format::Media { media_type } if !media_type.contains('/') => {
            let problem = format!("{media_type:?} is not a media type");
            Err(broken(format!("{key}.media_type"), problem, "write it like image/png"))
        }
        Format::Media { .. } | Format::Json { .. } => Ok(()),
    }
}

fn check_lists(manifest: &Manifest) -> Rule {
    count("tests", manifest.tests.len(), LIST_MAX)?;
    count("figures", manifest.figures.len(), LIST_MAX)?;
    count("examples", manifest.examples.len(), LIST_MAX)?;
    unique("tests", manifest.tests.iter().map(|test| &test.name))?;
    for (index, test) in manifest.tests.iter().enumerate() {
        check_test(manifest, &format!("tests[{index}]"), test)?;
    }
    for (index, figure) in manifest.figures.iter().enumerate() {
        text(&format!("figures[{index}].source"), &figure.source, SUMMARY_CHARS_MAX)?;
        range(&format!("figures[{index}].value"), figure.value, 0, i64::MAX as u64)?;
    }
    for (index, example) in manifest.examples.iter().enumerate() {
        for (part, value) in [("input", &example.input), ("output", &example.output)] {
            if let Some(value) = value {
                sayable(&format!("examples[{index}].{part}"), value)?;
            }
        }
        text(&format!("examples[{index}].title"), &example.title, TITLE_CHARS_MAX)?;
        text(&format!("examples[{index}].description"), &example.description, TEXT_CHARS_MAX)?;
    }
    Ok(())
}

fn check_test(manifest: &Manifest, key: &str, test: &TestCase) -> Rule {
    text(&format!("{key}.name"), &test.name, TITLE_CHARS_MAX)?;
    let kind = manifest.kind;
    let is_job = matches!(test.input, TestInput::Job { .. });
    let belongs = match kind {
        ItemKind::Model | ItemKind::Pipeline => !is_job,
        ItemKind::Algorithm => is_job,
        ItemKind::Dataset | ItemKind::Notebook => {
            let problem = format!("an item of kind {kind} cannot be run, so it has no tests");
            return Err(broken(key, problem, "remove the test"));
        }
    };
    if !belongs {
        let cure = if is_job { "use input.request or input.file" } else { "use input.job" };
        let problem = format!("an item of kind {kind} is not tested so");
        return Err(broken(format!("{key}.input"), problem, cure));
    }
    match &test.input {
        TestInput::Request(request) if !request.is_object() => {
            let cure = "write it as a table with inputs = [...]";
            return Err(broken(format!("{key}.input.request"), "it is not a request", cure));
        }
        TestInput::Request(request) => sayable(&format!("{key}.input.request"), request)?,
        TestInput::File(path) => path_in_package(&format!("{key}.input.file"), path)?,
        TestInput::Job { channels, parameters } => {
            for (channel, path) in channels {
                let key = format!("{key}.input.job.channels.{channel}");
                if !manifest.channels.contains(channel) {
                    let cure = "add it to `channels`, or correct its name";
                    return Err(broken(key, "the algorithm has no such channel", cure));
                }
                path_in_package(&key, path)?;
            }
            if let Err(Error::Parameter { name, problem, cure }) =
                manifest.resolve_parameters(parameters)
            {
                return Err(broken(format!("{key}.input.job.parameters.{name}"), problem, cure));
            }
        }
    }
    check_expect(&format!("{key}.expect"), &test.expect, is_job)
}

fn check_expect(key: &str, expect: &Expect, is_job: bool) -> Rule {
    if is_job && expect.files.is_empty() {
        let cure = "add expect.files = [\"model.onnx\"]";
        return Err(broken(key, "a test of an algorithm says which files it leaves", cure));
    }
    let (wrong, is_there) = if is_job {
        ("outputs", !expect.outputs.is_empty())
    } else {
        ("files", !expect.files.is_empty())
    };
    if is_there {
        return Err(broken(format!("{key}.{wrong}"), "it has no meaning here", "remove it"));
    }
    count(key, expect.files.len().max(expect.outputs.len()), LIST_MAX)?;
    for (index, file) in expect.files.iter().enumerate() {
        path_in_package(&format!("{key}.files[{index}]"), file)?;
    }
    unique(&format!("{key}.outputs"), expect.outputs.iter().map(|output| &output.name))?;
    for (index, output) in expect.outputs.iter().enumerate() {
        if let Some(data) = &output.data {
            sayable(&format!("{key}.outputs[{index}].data"), data)?;
        }
    }
    let wrong = expect
        .outputs
        .iter()
        .position(|output| output.tolerance.is_some_and(|far| !far.is_finite() || far < 0.0));
    wrong.map_or(Ok(()), |index| {
        let key = format!("{key}.outputs[{index}].tolerance");
        Err(broken(key, "a tolerance is a number from 0 up", "write it like 0.001"))
    })
}

/// Whether a value is the same in JSON and in TOML.
fn sayable(key: &str, value: &Value) -> Rule {
    match value {
        Value::Null => {
            let problem = "JSON has no nan and inf, and TOML has no null";
            Err(broken(key, problem, "leave it out"))
        }
        Value::Array(items) => items.iter().try_for_each(|item| sayable(key, item)),
        Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            // What the TOML reader makes of a date.
            if name.starts_with("$__toml") {
                return Err(broken(key, "JSON has no dates", "write the date in quotes"));
            }
            sayable(key, value)
        }),
        Value::Number(number) if !number.is_f64() && number.as_i64().is_none() => {
            let problem = format!("TOML has no number as large as {number}");
            Err(broken(key, problem, "write it in quotes, or with a fraction"))
        }
        _ => Ok(()),
    }
}

fn path_in_package(key: &str, path: &str) -> Rule {
    check_path(path, &archive::Limits::default())
        .map_err(|problem| broken(key, format!("{path:?}"), problem.to_string()))
}

fn text(key: &str, text: &str, chars_max: usize) -> Rule {
    let chars = text.chars().count();
    if chars > chars_max {
        let problem = format!("{chars} characters, above the limit of {chars_max}");
        return Err(broken(key, problem, "shorten it; the documentation file may be long"));
    }
    if text.chars().any(|found| found.is_control() && found != '\n' && found != '\t') {
        return Err(broken(key, "it has a control character", "remove the character"));
    }
    Ok(())
}

fn count(key: &str, count: usize, count_max: usize) -> Rule {
    if count > count_max {
        let problem = format!("{count} of them, above the limit of {count_max}");
        return Err(broken(key, problem, "leave some out"));
    }
    Ok(())
}

fn range(key: &str, value: u64, min: u64, max: u64) -> Rule {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(broken(key, format!("{value} is out of range"), format!("use {min} to {max}")))
}

fn unique<'n>(key: &str, names: impl Iterator<Item = &'n String>) -> Rule {
    let mut seen = BTreeSet::new();
    for (index, name) in names.enumerate() {
        let key = format!("{key}[{index}].name");
        if name.is_empty() {
            return Err(broken(key, "it is empty", "give it a name"));
        }
        if !seen.insert(name) {
            return Err(broken(key, format!("{name:?} is there twice"), "rename or remove one"));
        }
    }
    Ok(())
}
