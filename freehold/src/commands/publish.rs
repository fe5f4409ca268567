//! `freehold publish`: packs a folder, sends what is missing of it, and follows its publishing.
//!
//! Always true: the folder is not changed; a manifest that cannot be read is refused before
//! anything is sent; a publishing that fails ends the command with its step, file and cure.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use api::client::Client;
use api::items::{Sharing, Version};
use api::pages::LogLine;
use api::publishes::{Publish, PublishRequest, PublishState};
use formats::{archive, manifest};
use types::{ObjectId, Reference};

use super::logs::{Follower, Subject, sentence};
use super::wording;
use crate::args::PublishArguments;
use crate::exit::Failure;
use crate::output::{Output, bytes, note};

const MEDIA_TYPE: &str = "application/x-tar";

/// Carries out the command.
pub(super) async fn run(
    arguments: PublishArguments,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    let sharing = match (arguments.everybody, arguments.with) {
        (true, _) => Some(Sharing::Everybody),
        (false, with) if !with.is_empty() => Some(Sharing::Accounts { accounts: with }),
        _ => None,
    };
    publish_and_show(&arguments.folder, sharing, client, out).await
}

/// Publishes a folder, telling each line of its log, and writes what came of it.
pub(super) async fn publish_and_show(
    folder: &Path,
    sharing: Option<Sharing>,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    let tell = |line: &LogLine| note(&sentence(line));
    let publish = publish_folder(client, folder, sharing, (out, &tell)).await?;
    let version = match &publish.version {
        Some(reference) => Some(fetch(client, reference).await?),
        None => None,
    };
    out.one(&publish, |publish| rows(publish, version.as_ref()))
}

/// Called with each line of a log.
pub type Tell = dyn Fn(&LogLine) -> Result<(), Failure> + Sync;

/// Publishes a folder; `tell` is called with each line of the log.
///
/// # Errors
///
/// Also when the publishing itself fails: then with its step, file and cure.
pub async fn publish_folder(
    client: &Client,
    folder: &Path,
    sharing: Option<Sharing>,
    (out, tell): (&Output, &Tell),
) -> Result<Publish, Failure> {
    let busy = out.busy(&format!("packing {}", folder.display()));
    let package = pack(folder.to_owned()).await;
    busy.finish_and_clear();
    let object = send(&package?, client, out).await?;
    let publish = client.publish_create(&PublishRequest { object, sharing }).await?;
    let busy = out.busy(&format!("publishing {}", publish.id));
    let mut follower = Follower::new(client, Subject::Publish(publish.id));
    loop {
        let log = follower.next().await?;
        for line in &log.lines {
            busy.suspend(|| tell(line))?;
        }
        if log.ended {
            break;
        }
    }
    busy.finish_and_clear();
    outcome(client.publish_fetch(publish.id).await?)
}

/// Sends what is missing of a package, telling how far it is.
pub(super) async fn send(
    package: &NamedTempFile,
    client: &Client,
    out: &Output,
) -> Result<ObjectId, Failure> {
    let bar = out.bytes(package.as_file().metadata().map_or(0, |facts| facts.len()), "sending");
    let sent = client
        .object_upload_file(package.path(), MEDIA_TYPE, |progress| {
            bar.set_length(progress.total_bytes);
            bar.set_position(progress.done_bytes);
        })
        .await;
    bar.finish_and_clear();
    Ok(sent?.id)
}

fn outcome(publish: Publish) -> Result<Publish, Failure> {
    if publish.state == PublishState::Published {
        return Ok(publish);
    }
    let why = publish.error.as_deref().unwrap_or("it ended without a reason");
    // The reason names the step already, where the step itself gave it.
    let step = format!("{}: ", publish.step);
    let why = why.strip_prefix(&step).unwrap_or(why);
    let hint = format!("correct it and publish again; the whole log: freehold logs {}", publish.id);
    let failure = Failure::refused(format!("publishing failed at step {step}{why}")).hint(hint);
    Err(match &publish.error_code {
        Some(code) => failure.code(code),
        None => failure,
    })
}

/// Packs a folder whose manifest can be read.
async fn pack(folder: PathBuf) -> Result<NamedTempFile, Failure> {
    check_manifest(&folder)?;
    pack_any(folder).await
}

/// Packs a folder into a file that goes away by itself.
pub(super) async fn pack_any(folder: PathBuf) -> Result<NamedTempFile, Failure> {
    let packed = tokio::task::spawn_blocking(move || {
        let unwritable =
            |error: std::io::Error| Failure::refused(format!("could not make a package: {error}"));
        let file = NamedTempFile::new().map_err(unwritable)?;
        let mut out = BufWriter::with_capacity(1 << 20, file.as_file());
        archive::pack(&folder, &mut out).map_err(|error| {
            // Its words have its cause in them.
            Failure::refused(format!("{}: {error}", folder.display())).code("invalid_package")
        })?;
        out.into_inner().map_err(|error| unwritable(error.into_error()))?;
        Ok(file)
    });
    packed.await.map_err(|error| Failure::internal("could not pack", &error))?
}

fn check_manifest(folder: &Path) -> Result<(), Failure> {
    let path = folder.join(manifest::FILE_NAME);
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Failure::refused(format!("{} is not there", path.display()))
                .hint(format!("`freehold init {}` writes one", folder.display()))
                .code("invalid_manifest")
        }
        _ => Failure::refused(format!("{}: {error}", path.display())),
    };
    let bytes = File::open(&path).and_then(|file| file.metadata()).map_err(failed)?.len();
    if bytes > manifest::BYTES_MAX {
        let most = manifest::BYTES_MAX;
        let message = format!("{} has {bytes} bytes, above the limit of {most}", path.display());
        return Err(Failure::refused(message).code("invalid_manifest"));
    }
    let text = std::fs::read_to_string(&path).map_err(failed)?;
    match manifest::parse(&text) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::refused(error.to_string()).code("invalid_manifest")),
    }
}

async fn fetch(client: &Client, reference: &Reference) -> Result<Version, Failure> {
    let account = super::owner(client, reference).await?;
    let number = reference.version.unwrap_or(1);
    Ok(client.version_fetch(&account, &reference.name, number).await?)
}

fn rows(publish: &Publish, version: Option<&Version>) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    if let Some(reference) = &publish.version {
        rows.push(("published".to_owned(), reference.to_string()));
    }
    if let Some(version) = version {
        rows.push(("kind".to_owned(), version.kind.to_string()));
        let digest = version.package_sha256;
        let package = format!("{}, SHA-256 {digest}", bytes(version.package_bytes));
        rows.push(("package".to_owned(), package));
        let figures = wording::figures(&version.listing.figures);
        if !figures.is_empty() {
            rows.push(("figures".to_owned(), figures));
        }
    }
    rows.push(("publishing".to_owned(), publish.id.to_string()));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn why_a_folder_cannot_be_packed_is_said_once() {
        let failure = pack_any("no/such/folder".into()).await.unwrap_err();
        let said = format!("{failure:?}");
        assert_eq!(said.matches("No such file").count(), 1, "{said}");
    }
}
