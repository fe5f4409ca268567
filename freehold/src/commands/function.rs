//! `freehold function`: code that runs on demand.

mod alias;
mod dead;
mod events;
mod provision;
mod schedule;
mod size;
mod source;
mod url;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use bytes::Bytes;

use api::client::{Called, Client};
use api::functions::{CreateFunction, Function, PublishVersion, UpdateFunction};
use formats::{archive, image};
use types::{FunctionName, FunctionRuntime, ObjectId};

use super::{every, logs, publish};
use crate::args::{
    CreateFunctionArguments, FunctionCommand, FunctionSettings, InvokeFunctionArguments,
    RuntimeWord, UpdateFunctionArguments,
};
use crate::exit::Failure;
use crate::output::{Output, note, time, write_stdout};

/// How long an answer may take beyond the client's usual limit: the longest call.
const WAIT_MS: u64 = 900_000;

/// Carries out the command.
pub(super) async fn run(
    command: FunctionCommand,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        FunctionCommand::Create(wanted) => create(wanted, client, out).await,
        FunctionCommand::Update(wanted) => update(wanted, client, out).await,
        FunctionCommand::Publish { name, description } => {
            let generation = client.function_fetch(&name).await?.generation;
            let wanted = PublishVersion { description, generation };
            out.one(&client.function_publish(&name, &wanted).await?, rows)
        }
        FunctionCommand::Invoke(wanted) => invoke(wanted, client, out).await,
        FunctionCommand::Logs { name, follow } => {
            logs::show(logs::Subject::Function(name), follow, client, out).await
        }
        FunctionCommand::List => {
            let all: Vec<Function> =
                every(|page| async move { client.functions_list(&page).await }).await?;
            list(&all, "function", |function| function.name.to_string(), out)
        }
        FunctionCommand::Show { name } => show(&name, client, out).await,
        FunctionCommand::Versions { name } => {
            let name = &name;
            let all: Vec<Function> =
                every(|page| async move { client.function_versions(name, &page).await }).await?;
            list(&all, "version", |function| function.version.clone(), out)
        }
        FunctionCommand::Alias(command) => alias::run(command, client, out).await,
        FunctionCommand::Schedule(command) => schedule::run(command, client, out).await,
        FunctionCommand::Source(command) => source::run(command, client, out).await,
        FunctionCommand::Url(command) => url::run(command, client, out).await,
        FunctionCommand::Provision(wanted) => provision::run(wanted, client, out).await,
        FunctionCommand::Sizing(wanted) => size::sizing(wanted, client, out).await,
        FunctionCommand::Sizes { name } => size::sizes(&name, client, out).await,
        FunctionCommand::Advise { name, qualifier } => {
            size::advise(&name, qualifier, client, out).await
        }
        FunctionCommand::Events(wanted) => events::run(wanted, client, out).await,
        FunctionCommand::Dead(command) => dead::run(command, client, out).await,
        FunctionCommand::Delete { name } => {
            client.function_delete(&name).await?;
            note(&format!("{name} is removed, with its versions"))
        }
    }
}

/// A function, with what is kept warm of it.
async fn show(name: &FunctionName, client: &Client, out: &Output) -> Result<(), Failure> {
    let function = client.function_fetch(name).await?;
    let kept = client.provisioned_list(name).await?;
    out.one(&function, |function| {
        let mut rows = rows(function);
        rows.extend(kept.iter().map(provision::row));
        rows
    })
}

async fn create(
    arguments: CreateFunctionArguments,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    let CreateFunctionArguments { name, code, image, runtime, settings } = arguments;
    let environment = environment(&settings)?.unwrap_or_default();
    if image.is_some() && !matches!(runtime, None | Some(RuntimeWord::Server)) {
        return Err(Failure::usage(
            "an image is run as itself: leave --runtime out, or say server",
        ));
    }
    let egress = egress(&settings).unwrap_or_default();
    let object = match (&code, &image) {
        (_, Some(image)) => send_image(image, client, out).await?,
        (Some(folder), None) => send_code(folder, client, out).await?,
        (None, None) => return Err(Failure::usage("neither --code nor --image says what to run")),
    };
    let FunctionSettings { handler, memory, timeout, concurrency, description, .. } = settings;
    let wanted = CreateFunction {
        name,
        runtime: match runtime {
            Some(RuntimeWord::Provided) => FunctionRuntime::Provided,
            Some(RuntimeWord::Python3) => FunctionRuntime::Python3,
            Some(RuntimeWord::Nodejs) => FunctionRuntime::Nodejs,
            Some(RuntimeWord::Server) => FunctionRuntime::Server,
            None => FunctionRuntime::Image,
        },
        handler: handler.unwrap_or_default(),
        object,
        memory_mib: memory,
        timeout_ms: timeout,
        environment,
        egress,
        concurrency,
        description: description.unwrap_or_default(),
    };
    let made = client.function_create(&wanted).await?;
    out.one(&made, rows)?;
    note(&format!("call it: freehold function invoke {} '{{}}'", made.name))
}

async fn update(
    arguments: UpdateFunctionArguments,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    let UpdateFunctionArguments { name, code, image, settings } = arguments;
    let environment = environment(&settings)?;
    let egress = egress(&settings);
    let generation = client.function_fetch(&name).await?.generation;
    let object = match (&code, &image) {
        (_, Some(image)) => Some(send_image(image, client, out).await?),
        (Some(folder), None) => Some(send_code(folder, client, out).await?),
        (None, None) => None,
    };
    let FunctionSettings { handler, memory, timeout, concurrency, description, .. } = settings;
    let wanted = UpdateFunction {
        handler,
        object,
        memory_mib: memory,
        timeout_ms: timeout,
        environment,
        egress,
        concurrency,
        description,
        generation,
    };
    out.one(&client.function_update(&name, &wanted).await?, rows)
}

/// Sends code: a folder, or an archive of one, which is unpacked first so that equal code is sent
/// once.
async fn send_code(path: &Path, client: &Client, out: &Output) -> Result<ObjectId, Failure> {
    if path.is_file() {
        let folder = unpack(path).map_err(|error| {
            let hint = "--code takes a folder with the code, or a zip file or tar archive of one";
            error.hint(hint).code("invalid_package")
        })?;
        return send_folder(folder.path(), client, out).await;
    }
    send_folder(path, client, out).await
}

/// Packs a folder and sends what is missing of it.
pub async fn send_folder(
    folder: &Path,
    client: &Client,
    out: &Output,
) -> Result<ObjectId, Failure> {
    let busy = out.busy(&format!("packing {}", folder.display()));
    let package = publish::pack_any(folder.to_owned()).await;
    busy.finish_and_clear();
    publish::send(&package?, client, out).await
}

/// Sends an image: a layout as a folder, or in an archive, which is unpacked first so that equal
/// images are sent once.
async fn send_image(path: &Path, client: &Client, out: &Output) -> Result<ObjectId, Failure> {
    if path.is_dir() {
        check_image(path)?;
        return send_folder(path, client, out).await;
    }
    let folder = unpack(path)?;
    check_image(folder.path())?;
    send_folder(folder.path(), client, out).await
}

/// Unpacks an archive into a folder that goes with what is given back.
fn unpack(path: &Path) -> Result<tempfile::TempDir, Failure> {
    let unread = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("could not read {}: {error}", path.display()))
    };
    let file = std::fs::File::open(path).map_err(|error| unread(&error))?;
    let folder = tempfile::tempdir().map_err(|error| unread(&error))?;
    let limits = archive::Limits::default();
    archive::extract_any(std::io::BufReader::new(file), folder.path(), &limits)
        .map_err(|error| unread(&error))?;
    Ok(folder)
}

/// Sees that a folder is a layout, with an image for some host.
fn check_image(folder: &Path) -> Result<(), Failure> {
    const HINT: &str = "`skopeo copy docker://NAME oci:FOLDER` and `docker save` write one";
    if !image::is_layout(folder) {
        let message = format!("{} is no image: it has no oci-layout", folder.display());
        return Err(Failure::refused(message).hint(HINT).code("invalid_package"));
    }
    let opened = ["amd64", "arm64"].map(|architecture| image::open(folder, architecture));
    match opened {
        [Err(error), Err(_)] => {
            Err(Failure::refused(error.to_string()).hint(HINT).code("invalid_package"))
        }
        _ => Ok(()),
    }
}

async fn invoke(
    arguments: InvokeFunctionArguments,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    let InvokeFunctionArguments { name, payload, file, qualifier, event, stream } = arguments;
    let payload = match file.as_deref() {
        None => Bytes::from(payload),
        Some(path) => read(path)?,
    };
    if event {
        let id = client.function_event(&name, qualifier.as_deref(), payload).await?;
        return note(&format!(
            "{id} is kept and will run; `freehold function dead list {name}` shows \
             what was given up"
        ));
    }
    if stream {
        let mut pieces =
            client.function_stream(&name, qualifier.as_deref(), (payload, WAIT_MS)).await?;
        while let Some(piece) = pieces.next().await? {
            write_stdout(&piece)?;
        }
        return failed(&name, pieces.error());
    }
    let busy = out.busy(&format!("calling {name}"));
    let called = client.function_call(&name, qualifier.as_deref(), (payload, WAIT_MS)).await;
    busy.finish_and_clear();
    let Called { error, body, .. } = called?;
    let mut answer = body.to_vec();
    if !answer.ends_with(b"\n") {
        answer.push(b'\n');
    }
    write_stdout(&answer)?;
    failed(&name, error.as_deref())
}

/// An error of the function, where it had one.
fn failed(name: &FunctionName, error: Option<&str>) -> Result<(), Failure> {
    match error {
        None => Ok(()),
        Some(kind) => Err(Failure::refused(format!("{name} failed: {kind}"))
            .hint("what it says of the error is on stdout")),
    }
}

fn read(path: &Path) -> Result<Bytes, Failure> {
    let mut body = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut body).map(drop)
    } else {
        std::fs::read(path).map(|read| body = read)
    };
    read.map_err(|error| Failure::usage(format!("could not read {}: {error}", path.display())))?;
    Ok(body.into())
}

/// The variables that were told; none where none were.
fn environment(settings: &FunctionSettings) -> Result<Option<BTreeMap<String, String>>, Failure> {
    if settings.environment.is_empty() {
        return Ok(None);
    }
    let pair = |text: &String| {
        let refuse = || Failure::usage(format!("--env {text}: write NAME=VALUE"));
        let (name, value) = text.split_once('=').ok_or_else(refuse)?;
        Ok((name.to_owned(), value.to_owned()))
    };
    settings.environment.iter().map(pair).collect::<Result<_, _>>().map(Some)
}

/// The places that were told; none where none were.
fn egress(settings: &FunctionSettings) -> Option<Vec<String>> {
    match settings.egress.as_slice() {
        [] => None,
        [only] if only == "none" => Some(Vec::new()),
        places => Some(places.to_vec()),
    }
}

fn list(
    all: &[Function],
    head: &'static str,
    first: impl Fn(&Function) -> String,
    out: &Output,
) -> Result<(), Failure> {
    let heads = [head, "runtime", "handler", "memory", "timeout", "made"];
    out.list(all, &heads, |function| {
        vec![
            first(function),
            function.runtime.to_string(),
            function.handler.clone(),
            format!("{} MiB", function.memory_mib),
            format!("{} ms", function.timeout_ms),
            time(function.created_at_ms),
        ]
    })
}

/// A function for people.
fn rows(function: &Function) -> Vec<(String, String)> {
    let concurrency = function.concurrency;
    let concurrency =
        if concurrency.is_several() { concurrency.to_string() } else { String::new() };
    let environment: Vec<&str> = function.environment.keys().map(String::as_str).collect();
    let rows = [
        ("function", function.name.to_string()),
        ("version", function.version.clone()),
        ("runtime", function.runtime.to_string()),
        ("handler", function.handler.clone()),
        ("memory", format!("{} MiB", function.memory_mib)),
        ("timeout", format!("{} ms", function.timeout_ms)),
        ("calls at a time", concurrency),
        ("environment", environment.join(", ")),
        ("egress", function.egress.join(", ")),
        ("description", function.description.clone()),
        ("made", time(function.created_at_ms)),
    ];
    let filled = rows.into_iter().filter(|(_, value)| !value.is_empty());
    filled.map(|(key, value)| (key.to_owned(), value)).collect()
}
