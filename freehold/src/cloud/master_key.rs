//! Changing the master key of a cloud that is stopped.
//!
//! A fresh key goes first into the key file; at the next start control reseals what the old one
//! seals; after that the old one can be forgotten.
//!
//! Always true: an old key is forgotten only when nothing is sealed by it.

use control::Control;
use objects::Vault;
use workflow::Clock;

use super::files::Files;
use crate::args::{MasterKeyArguments, MasterKeyCommand};
use crate::exit::Failure;
use crate::output::note;
use crate::settings::Settings;

/// `freehold master-key`.
pub async fn master_key(command: MasterKeyCommand) -> Result<(), Failure> {
    match command {
        MasterKeyCommand::Rotate(arguments) => rotate(arguments),
        MasterKeyCommand::Prune(arguments) => prune(arguments).await,
    }
}

/// The settings of a stopped cloud, which cannot start while its files are held.
fn stopped(arguments: MasterKeyArguments) -> Result<(Settings, Files), Failure> {
    let settings = Settings::resolve(arguments.server)?;
    if settings.master_key.is_some() {
        return Err(Failure::usage("the master key is given as a setting, not in a file").hint(
            "give the fresh key in a line before the old one, start the cloud, then drop the old line",
        ));
    }
    let files = Files::open(&settings.data)?;
    Ok((settings, files))
}

fn rotate(arguments: MasterKeyArguments) -> Result<(), Failure> {
    let (settings, _files) = stopped(arguments)?;
    let vault = Vault::rotate_file(&settings.master_key_file)
        .map_err(|error| Failure::usage(workflow::chain(&error)))?;
    note(&format!(
        "{} holds a fresh key, {}, and the old ones\nnext: freehold master-key prune, which reseals and then forgets the old ones",
        settings.master_key_file.display(),
        vault.key_id()
    ))
}

async fn prune(arguments: MasterKeyArguments) -> Result<(), Failure> {
    let (settings, files) = stopped(arguments)?;
    let opened = super::control::open(&settings, &files, &Clock::system()).await?;
    let resealed = reseal(&opened.control).await;
    opened.control.close().await;
    resealed?;
    let vault = Vault::prune_file(&settings.master_key_file)
        .map_err(|error| Failure::usage(workflow::chain(&error)))?;
    note(&format!("only the key {} is left", vault.key_id()))
}

/// Brings everything under the key in use.
async fn reseal(control: &Control) -> Result<(), Failure> {
    let status = control.reseal().await;
    if status.failures.is_empty() {
        return Ok(());
    }
    let text = format!("not everything could be resealed: {}", status.failures.join("; "));
    Err(Failure::refused(text).hint("nothing was forgotten; mend this and try again"))
}
