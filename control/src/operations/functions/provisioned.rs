//! Provisioned concurrency: what owners want kept warm, which hosts keep it, and what they have.
//!
//! Always true: `policy::provision` decides; a version is kept by one qualifier at most, and never
//! the latest; no more is wanted of a function than may run of it at one time; where it stands is
//! what hosts have reported.
//! Absent on purpose: starting and keeping instances, which agents do.

mod snapshot;

use access::Action;
use api::functions::LATEST;
use api::functions::provisioned::{ProvisionedConcurrency, ProvisionedSettings};
use api::internal::functions::provisioned::{
    PROVISIONED_REVISIONS_MAX, ProvisionedReport, TROUBLE_BYTES_MAX,
};
use policy::provision::{self, Setting};
use store::Tx;
use store::functions::aliases::{AliasRow, alias_fetch, aliases_list};
use store::functions::provisions::{ProvisionSays, provision_put, provision_report};
use store::functions::revision_fetch_numbered;
use store::functions::settings::{
    SettingKind, SettingRow, setting_delete, setting_put, settings_list,
};
use store::hosts::host_fetch;
use types::{AliasName, ErrorKind, FunctionId, FunctionName, HostId};

use super::settings::{CONCURRENCY_MAX, concurrency_of};
use super::{called, own};
use crate::caller::Caller;
use crate::operations::items::from_json;
use crate::reconcilers::provisioning;
use crate::{Control, Error};
use snapshot::{Snapshot, routing};

/// Most instances of one version or alias. Source: what a host runs of one function.
pub const INSTANCES_MAX: u32 = CONCURRENCY_MAX;

/// A version or an alias of a function.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// The function.
    pub function: &'a FunctionName,
    /// A version's number, or an alias.
    pub qualifier: &'a str,
}

/// Has so many instances kept warm, in place of how many there were to be.
pub async fn put(
    control: &Control,
    caller: &Caller,
    at: At<'_>,
    wanted: ProvisionedSettings,
) -> Result<ProvisionedConcurrency, Error> {
    let (owner, _) = own(control, caller, at.function, Action::FunctionsWrite).await?;
    if !(1..=INSTANCES_MAX).contains(&wanted.instances) {
        return Err(Error::invalid(format!(
            "{} instances kept warm: ask for 1 to {INSTANCES_MAX}, or remove it",
            wanted.instances
        )));
    }
    check_qualifier(at)?;
    let spec = serde_json::to_value(wanted)
        .map_err(|error| Error::internal("could not write a setting", error))?;
    let qualifier = at.qualifier.to_owned();
    let (kind, changed_at_ms) = (SettingKind::Provisioned, control.now_ms());
    let row = SettingRow { kind, qualifier, spec, changed_at_ms };
    let (id, shown) = (owner.id, shown(at));
    let stored = control.shared.store.transact("store provisioned concurrency", |tx| {
        let (row, shown) = (row.clone(), shown.clone());
        Box::pin(async move {
            exists(tx, id, (&row.qualifier, shown)).await?;
            let mut all = settings_list(tx, id).await?;
            all.retain(|it| it.kind != row.kind || it.qualifier != row.qualifier);
            all.push(row.clone());
            let aliases = aliases_list(tx, id, None, u32::MAX >> 1).await?;
            check(&all, &aliases)?;
            Ok::<_, Error>(setting_put(tx, id, &row).await?)
        })
    });
    stored.await?;
    control.wake(provisioning::NAME);
    fetch(control, caller, at).await
}

/// Where the provisioned concurrency of a version or alias stands.
pub async fn fetch(
    control: &Control,
    caller: &Caller,
    at: At<'_>,
) -> Result<ProvisionedConcurrency, Error> {
    let all = list(control, caller, at.function).await?;
    all.into_iter().find(|it| it.qualifier == at.qualifier).ok_or_else(|| missing(at))
}

/// Where each provisioned concurrency of a function stands.
pub async fn list(
    control: &Control,
    caller: &Caller,
    function: &FunctionName,
) -> Result<Vec<ProvisionedConcurrency>, Error> {
    let (owner, _) = own(control, caller, function, Action::FunctionsRead).await?;
    let snapshot = read(control).await?;
    snapshot.standing(owner.id)
}

/// Has none kept warm any more.
pub async fn remove(control: &Control, caller: &Caller, at: At<'_>) -> Result<(), Error> {
    if take(control, caller, at).await? { Ok(()) } else { Err(missing(at)) }
}

/// The same, and tells whether any was to be kept.
pub(crate) async fn take(control: &Control, caller: &Caller, at: At<'_>) -> Result<bool, Error> {
    let (owner, _) = own(control, caller, at.function, Action::FunctionsWrite).await?;
    let (id, qualifier) = (owner.id, at.qualifier.to_owned());
    let removed = control.shared.store.transact("delete provisioned concurrency", |tx| {
        let qualifier = qualifier.clone();
        Box::pin(
            async move { setting_delete(tx, id, (SettingKind::Provisioned, &qualifier)).await },
        )
    });
    let removed = removed.await?;
    control.wake(provisioning::NAME);
    Ok(removed)
}

/// Refuses a limit of calls at one time that is below what is kept warm.
pub(crate) async fn check_limit(
    control: &Control,
    caller: &Caller,
    function: &FunctionName,
    max: u32,
) -> Result<(), Error> {
    let owner = called(control, caller, function, Action::FunctionsWrite).await?;
    let rows = super::settings::list(control, owner.id).await?;
    let wanted = wanted(&rows)?;
    if wanted <= max {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{max} calls at one time are fewer than the {wanted} instances that are kept warm: remove \
         provisioned concurrency first"
    )))
}

/// Whether an alias may mean what this row says, by what is kept warm; in words where not.
pub(super) async fn allows(
    tx: &mut Tx<'_>,
    row: &AliasRow,
) -> Result<Result<(), String>, store::Error> {
    let settings = settings_list(tx, row.function_id).await?;
    let of_it =
        |it: &SettingRow| it.kind == SettingKind::Provisioned && it.qualifier == row.name.as_str();
    if !settings.iter().any(of_it) {
        return Ok(Ok(()));
    }
    let mut aliases = aliases_list(tx, row.function_id, None, u32::MAX >> 1).await?;
    aliases.retain(|alias| alias.name != row.name);
    aliases.push(row.clone());
    Ok(check_versions(&settings, &aliases).map_err(|refusal| refusal.to_string()))
}

/// Takes over what a host says that it has.
pub async fn report(
    control: &Control,
    host: HostId,
    report: ProvisionedReport,
) -> Result<(), Error> {
    if report.revisions.len() > PROVISIONED_REVISIONS_MAX {
        let limit = PROVISIONED_REVISIONS_MAX.to_string();
        return Err(Error::TooLarge { what: "revisions of a report", limit });
    }
    let taken = control.shared.store.transact("record what is provisioned", |tx| {
        let report = report.clone();
        Box::pin(async move {
            let stored = host_fetch(tx, host).await?.generation;
            if report.generation != stored {
                let id = host.to_string();
                return Err(store::Error::Stale { what: "host", id, stored });
            }
            let mut news = false;
            for here in report.revisions {
                let mut trouble = here.trouble.unwrap_or_default();
                trouble.truncate(trouble.floor_char_boundary(TROUBLE_BYTES_MAX));
                let says = ProvisionSays { starting: here.starting, ready: here.ready, trouble };
                news |= provision_report(tx, (here.revision, host), &says).await?;
            }
            Ok::<_, store::Error>(news)
        })
    });
    match taken.await {
        Ok(news) => {
            if news {
                // What was kept until others were there may go now.
                control.wake(provisioning::NAME);
            }
            Ok(())
        }
        Err(store::Error::Stale { stored, .. }) => Err(Error::Stale { stored }),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(Error::NotFound { what: format!("the host {host}") })
        }
        Err(error) => Err(error.into()),
    }
}

/// Has hosts keep what is planned, and says how many changes that were.
pub(crate) async fn carry_out(control: &Control) -> Result<u64, Error> {
    if read(control).await?.changes()?.is_empty() {
        return Ok(0);
    }
    let done = control.shared.store.transact("place what is provisioned", |tx| {
        Box::pin(async move {
            let changes = Snapshot::read(tx).await?.changes()?;
            for (key, instances) in &changes {
                provision_put(tx, *key, *instances).await?;
            }
            Ok::<_, Error>(changes.len() as u64)
        })
    });
    done.await
}

async fn read(control: &Control) -> Result<Snapshot, Error> {
    let store = &control.shared.store;
    store.read("read what is provisioned", |tx| Box::pin(Snapshot::read(tx))).await
}

/// Refuses what cannot be kept: two of one version, the latest, or more than may run.
fn check(rows: &[SettingRow], aliases: &[AliasRow]) -> Result<(), Error> {
    check_versions(rows, aliases).map_err(|refusal| match refusal {
        provision::Refusal::Latest { .. } => Error::invalid(refusal.to_string()),
        provision::Refusal::Twice { .. } => {
            Error::Conflict { code: "conflict", message: refusal.to_string() }
        }
    })?;
    let wanted = wanted(rows)?;
    let max = concurrency_of(rows)?.unwrap_or(INSTANCES_MAX);
    if wanted <= max {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{wanted} instances of this function would be kept warm, and at most {max} of its calls \
         run at one time: ask for fewer, or raise that limit"
    )))
}

fn check_versions(rows: &[SettingRow], aliases: &[AliasRow]) -> Result<(), provision::Refusal> {
    let rows = rows.iter().filter(|row| row.kind == SettingKind::Provisioned);
    // Which versions are meant does not depend on how many instances are wanted.
    let setting = |row: &SettingRow| {
        let (qualifier, instances) = (row.qualifier.clone(), 1);
        Some(Setting { routing: routing(&qualifier, aliases)?, qualifier, instances })
    };
    provision::by_version(&rows.filter_map(setting).collect::<Vec<_>>()).map(drop)
}

/// How many instances of a function are wanted, all in all.
fn wanted(rows: &[SettingRow]) -> Result<u32, Error> {
    let rows = rows.iter().filter(|row| row.kind == SettingKind::Provisioned);
    rows.map(|row| Ok(from_json::<ProvisionedSettings>(&row.spec)?.instances))
        .try_fold(0, |sum: u32, more: Result<u32, Error>| Ok(sum.saturating_add(more?)))
}

/// Sees that there is such a version or alias.
async fn exists(
    tx: &mut Tx<'_>,
    id: FunctionId,
    (qualifier, shown): (&str, String),
) -> Result<(), Error> {
    let found = match qualifier.parse::<AliasName>() {
        Ok(alias) => alias_fetch(tx, id, &alias).await.map(drop),
        Err(_) => revision_fetch_numbered(tx, id, qualifier.parse().unwrap_or(0)).await.map(drop),
    };
    crate::operations::instances::found(found, || shown)
}

fn check_qualifier(at: At<'_>) -> Result<(), Error> {
    if !matches!(at.qualifier, "" | LATEST) {
        return Ok(());
    }
    Err(Error::invalid(
        "provisioned concurrency is of a version or an alias, not of the latest, which changes in \
         place: publish it, and name the version's number or an alias",
    ))
}

fn missing(at: At<'_>) -> Error {
    Error::NotFound { what: format!("the provisioned concurrency of {}", shown(at)) }
}

fn shown(at: At<'_>) -> String {
    format!("{}:{}", at.function, at.qualifier)
}
