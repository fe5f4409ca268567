//! Provisioned concurrency: how many instances of a revision each host is to keep warm, and what it
//! says that it has.
//!
//! Always true: a host's agent hears of each change of what it is to keep, and gateways of each
//! change of what is ready; what a host said before its agent started again does not count.
//! Absent on purpose: which host keeps what (`policy::provision`).

use types::{FunctionId, HostId, RevisionId};

use super::aliases::{AliasRow, alias};
use super::settings::SettingKind;
use super::{FunctionRow, RevisionRow, function, revision};
use crate::Tx;
use crate::error::Error;
use crate::feeds::{Topic, feed_bump};
use crate::statement::Row;

/// What a host is to keep of a revision, and has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvisionRow {
    pub revision_id: RevisionId,
    pub function_id: FunctionId,
    pub host_id: HostId,
    /// Instances that it is to keep.
    pub wanted: u32,
    /// The revision's code, handler, limits, environment.
    pub spec: serde_json::Value,
    pub has: ProvisionSays,
}

/// What a host says that it has of a revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProvisionSays {
    /// Instances that are being started.
    pub starting: u32,
    /// Instances that wait for calls or run them.
    pub ready: u32,
    /// Why there are fewer; empty where nothing is in the way.
    pub trouble: String,
}

fn provision(row: &Row) -> Result<ProvisionRow, Error> {
    Ok(ProvisionRow {
        revision_id: row.get("revision_id")?,
        function_id: row.get("function_id")?,
        host_id: row.get("host_id")?,
        wanted: row.get("wanted")?,
        spec: row.get("spec")?,
        has: ProvisionSays {
            starting: row.get("starting")?,
            ready: row.get("ready")?,
            trouble: row.get("trouble")?,
        },
    })
}

/// The functions of which instances are to be kept warm.
pub async fn functions_list_provisioned(tx: &mut Tx<'_>) -> Result<Vec<FunctionRow>, Error> {
    let list = tx.sql("list provisioned functions", include_str!("provisioned.sql"));
    list.bind(&SettingKind::Provisioned).every().await?.iter().map(function).collect()
}

/// Their aliases, by function and name.
pub async fn aliases_list_provisioned(tx: &mut Tx<'_>) -> Result<Vec<AliasRow>, Error> {
    let text = include_str!("provisioned_aliases.sql");
    let list = tx.sql("list aliases of provisioned functions", text);
    list.bind(&SettingKind::Provisioned).every().await?.iter().map(alias).collect()
}

/// Their numbered versions, by function and number.
pub async fn revisions_list_provisioned(tx: &mut Tx<'_>) -> Result<Vec<RevisionRow>, Error> {
    let text = include_str!("provisioned_versions.sql");
    let list = tx.sql("list versions of provisioned functions", text);
    list.bind(&SettingKind::Provisioned).every().await?.iter().map(revision).collect()
}

/// What hosts are to keep, by revision and host.
pub async fn provisions_list(tx: &mut Tx<'_>) -> Result<Vec<ProvisionRow>, Error> {
    let rows = tx.sql("list provisions", include_str!("list_provisions.sql")).every().await?;
    rows.iter().map(provision).collect()
}

/// What one host is to keep.
pub async fn provisions_list_assigned(
    tx: &mut Tx<'_>,
    host: HostId,
) -> Result<Vec<(RevisionId, u32)>, Error> {
    let text = "SELECT revision_id, wanted FROM function_provisions WHERE host_id = $1 \
                ORDER BY revision_id";
    let rows = tx.sql("list a host's provisions", text).bind(&host).every().await?;
    rows.iter().map(|row| Ok((row.get("revision_id")?, row.get("wanted")?))).collect()
}

/// Has a host keep so many instances of a revision; none, for 0.
pub async fn provision_put(
    tx: &mut Tx<'_>,
    (revision, host): (RevisionId, HostId),
    wanted: u32,
) -> Result<(), Error> {
    if wanted == 0 {
        let text = "DELETE FROM function_provisions WHERE revision_id = $1 AND host_id = $2";
        tx.sql("let provisions go", text).bind(&revision).bind(&host).run().await?;
        feed_bump(tx, Topic::Routes);
    } else {
        let put = tx.sql("put a provision", include_str!("put_provision.sql"));
        put.bind(&revision).bind(&host).bind(&wanted).run().await?;
    }
    feed_bump(tx, Topic::Host(host));
    Ok(())
}

/// Records what a host says that it has of a revision, and tells whether that is new; nothing, where
/// it is to keep none.
pub async fn provision_report(
    tx: &mut Tx<'_>,
    (revision, host): (RevisionId, HostId),
    says: &ProvisionSays,
) -> Result<bool, Error> {
    let fetch = tx.sql("fetch a provision", include_str!("fetch_provision.sql"));
    let row = fetch.bind(&revision).bind(&host).first().await?;
    let Some(before) = row.as_ref().map(provision).transpose()? else { return Ok(false) };
    if before.has == *says {
        return Ok(false);
    }
    tx.sql("record what is provisioned", include_str!("report_provision.sql"))
        .bind(&revision)
        .bind(&host)
        .bind(&says.starting)
        .bind(&says.ready)
        .bind(&says.trouble)
        .run()
        .await?;
    if before.has.ready != says.ready {
        feed_bump(tx, Topic::Routes);
    }
    Ok(true)
}

/// Forgets what a host has said, when its agent has started again and has nothing.
pub async fn provisions_reset(tx: &mut Tx<'_>, host: HostId) -> Result<(), Error> {
    let text = "UPDATE function_provisions SET starting = 0, ready = 0, trouble = '' \
                WHERE host_id = $1";
    if tx.sql("reset provisions", text).bind(&host).run().await? > 0 {
        feed_bump(tx, Topic::Routes);
    }
    Ok(())
}

/// Has no host keep a revision any more, before it goes.
pub(super) async fn provisions_forget(tx: &mut Tx<'_>, id: RevisionId) -> Result<(), Error> {
    let text = "SELECT host_id FROM function_provisions WHERE revision_id = $1";
    for row in tx.sql("list hosts of a provision", text).bind(&id).every().await? {
        provision_put(tx, (id, row.get("host_id")?), 0).await?;
    }
    Ok(())
}
