//! Commands: what each word of the command line does, one file each.
//!
//! Always true: a command speaks to a cloud only through `api::client`; its data goes to stdout, as
//! a table or as the very JSON that the API answers; the rest goes to stderr.

mod account;
pub mod backup;
mod deploy;
mod endpoint;
pub mod events_key;
pub mod explain;
mod function;
mod grant;
pub mod init;
mod invoke;
mod item;
mod link;
mod login;
mod logs;
mod pipeline;
mod publish;
mod replay;
mod runs;
mod search;
mod service;
pub mod simulate;
mod status;
mod stream;
mod suggest;
mod token;
mod train;
mod training;
mod usage;
mod wording;

use std::path::Path;

use api::client::{Client, Settings, Trust};
use api::pages::{PAGE_LENGTH_MAX, Page, PageQuery};
use types::{Name, Reference};

use crate::args::{ClientArguments, Command};
use crate::credentials::Credentials;
use crate::exit::Failure;
use crate::output::Output;

pub use deploy::wait_until_ready;
pub use endpoint::wait_until_variant_ready;
pub use function::send_folder;
pub use logs::{Follower, Subject, sentence};
pub use pipeline::{folder_of as pipeline_folder, manifest_of as pipeline_manifest};
pub use publish::publish_folder;
pub use replay::follow as follow_run;
pub use runs::outcome as run_outcome;
pub use train::outcome as train_outcome;
pub use wording::{engines, figures};

/// Runs a command that speaks to a cloud.
///
/// # Panics
///
/// On the commands that are a cloud, or need none: `main` runs those.
pub async fn run(command: Command, client: &ClientArguments, out: &Output) -> Result<(), Failure> {
    if let Command::Login(login) = command {
        return login::run(login, client, out).await;
    }
    if let Command::Status(status) = command {
        return status::run(status, connect(client), out).await;
    }
    let client = &connect(client)?;
    match command {
        Command::Account(account) => account::run(account, client, out).await,
        Command::Token(token) => token::run(token, client, out).await,
        Command::Item(item) => item::run(item, client, out).await,
        Command::Publish(publish) => publish::run(publish, client, out).await,
        Command::Search(search) => search::run(search, client, out).await,
        Command::Suggest(suggest) => suggest::run(suggest, client, out).await,
        Command::Pipeline(pipeline) => pipeline::run(pipeline, client, out).await,
        Command::Train(train) => train::run(train, client, out).await,
        Command::Training(training) => training::run(training, client, out).await,
        Command::Deploy(deploy) => deploy::run(deploy, client, out).await,
        Command::Endpoint(endpoint) => endpoint::run(endpoint, client, out).await,
        Command::Invoke(invoke) => invoke::run(invoke, client, out).await,
        Command::Function(function) => function::run(function, client, out).await,
        Command::Grant(grant) => grant::run(grant, client, out).await,
        Command::Link(link) => link::run(link, client, out).await,
        Command::Service(service) => service::run(service, client, out).await,
        Command::Stream(stream) => stream::run(stream, client, out).await,
        Command::Replay(replay) => replay::run(replay, client, out).await,
        Command::Runs(runs) => runs::run(runs, client, out).await,
        Command::Usage(usage) => usage::run(usage, client, out).await,
        Command::Logs(logs) => logs::run(logs, client, out).await,
        Command::Up(_)
        | Command::Demo(_)
        | Command::Login(_)
        | Command::Status(_)
        | Command::Init(_)
        | Command::Simulate(_)
        | Command::Explain { .. }
        | Command::Completion { .. }
        | Command::MasterKey(_)
        | Command::Backup(_)
        | Command::Restore(_)
        | Command::Control(_)
        | Command::Gateway(_)
        | Command::Agent(_) => {
            unreachable!("it ran already, without a client or with one it may lack")
        }
    }
}

/// A client of the cloud that the arguments or `freehold login` name.
fn connect(arguments: &ClientArguments) -> Result<Client, Failure> {
    let kept = Credentials::resolve(arguments)?;
    client(&kept.server, &kept.token, kept.authority.as_deref())
}

/// A client for an address and a token.
pub fn client(server: &str, token: &str, authority: Option<&Path>) -> Result<Client, Failure> {
    let mut settings = Settings::new(server.parse()?);
    settings.token = Some(token.to_owned());
    if let Some(path) = authority {
        let pem = std::fs::read_to_string(path).map_err(|error| {
            Failure::usage(format!("--authority {}: {error}", path.display()))
                .hint("name a file with the authority's certificate, in PEM")
        })?;
        settings.trust = Trust::Authority(pem);
    }
    Ok(Client::new(settings)?)
}

/// Most pages that one command reads: 100,000 entries are no list for people any more.
const PAGES_MAX: usize = 500;

/// Every entry of a list, page by page.
async fn every<T, Answer>(page: impl Fn(PageQuery) -> Answer) -> Result<Vec<T>, Failure>
where
    Answer: Future<Output = Result<Page<T>, api::client::Error>>,
{
    let mut all = Vec::new();
    let mut cursor = None;
    for _ in 0..PAGES_MAX {
        let query = PageQuery { limit: Some(PAGE_LENGTH_MAX), cursor };
        let Page { items, next } = page(query).await?;
        all.extend(items);
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    Ok(all)
}

/// The account that a reference names, or the caller's.
async fn owner(client: &Client, reference: &Reference) -> Result<Name, Failure> {
    match &reference.account {
        Some(account) => Ok(account.clone()),
        None => Ok(client.whoami().await?.account.name),
    }
}
