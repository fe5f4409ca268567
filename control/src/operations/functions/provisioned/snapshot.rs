//! All that is to be kept warm, and all that hosts have, at one moment.

use std::collections::BTreeMap;

use api::functions::provisioned::{ProvisionedConcurrency, ProvisionedSettings, ProvisionedStatus};
use policy::alias::{Additional, Routing, Version};
use policy::provision::{
    Found, Host, Kept, Plan, Setting, Standing, Want, by_version, plan, standing,
};
use store::Tx;
use store::accounts::accounts_names;
use store::functions::aliases::AliasRow;
use store::functions::provisions::{
    ProvisionRow, aliases_list_provisioned, functions_list_provisioned, provisions_list,
    revisions_list_provisioned,
};
use store::functions::settings::{SettingKind, SettingRow, settings_list_of_kind};
use store::functions::{FunctionRow, RevisionRow};
use store::hosts::{HostRow, hosts_list};
use types::{AccountId, AliasName, Fleet, FunctionId, HostId, Name, RevisionId};

use crate::Error;
use crate::operations::functions::Spec;
use crate::operations::items::from_json;

/// How many instances of a revision a host is to keep from now on.
pub(super) type Change = ((RevisionId, HostId), u32);

pub(super) struct Snapshot {
    hosts: Vec<HostRow>,
    provisions: Vec<ProvisionRow>,
    /// What owners want, the one that was changed the longest ago first.
    settings: Vec<(FunctionId, SettingRow)>,
    wants: Vec<Wanted>,
}

/// A version that is to be kept, and by whose wish.
struct Wanted {
    want: Want,
    qualifier: String,
}

impl Snapshot {
    pub(super) async fn read(tx: &mut Tx<'_>) -> Result<Self, Error> {
        let settings = settings_list_of_kind(tx, SettingKind::Provisioned).await?;
        let functions = functions_list_provisioned(tx).await?;
        let aliases = aliases_list_provisioned(tx).await?;
        let versions = revisions_list_provisioned(tx).await?;
        let owners: Vec<AccountId> = functions.iter().map(|row| row.account_id).collect();
        let names = accounts_names(tx, &owners).await?;
        let mut wants = Vec::new();
        for function in &functions {
            let Some(name) = names.get(&function.account_id) else { continue };
            let of_it = settings.iter().filter(|(id, _)| *id == function.id);
            let rows: Vec<&SettingRow> = of_it.map(|(_, row)| row).collect();
            wants.extend(wants_of((function, name), &rows, (&aliases, &versions))?);
        }
        let place = |wanted: &Wanted| {
            settings.iter().position(|(id, row)| {
                *id == wanted.want.function && row.qualifier == wanted.qualifier
            })
        };
        wants.sort_by_key(place);
        let (hosts, provisions) = (hosts_list(tx).await?, provisions_list(tx).await?);
        Ok(Self { hosts, provisions, settings, wants })
    }

    /// Which hosts are to keep what.
    pub(super) fn plan(&self) -> Result<Plan, Error> {
        let hosts = self.hosts.iter().filter(|host| !host.lost && host.functions_memory_bytes > 0);
        let host = |row: &HostRow| Host {
            id: row.id,
            memory_kib: row.functions_memory_bytes >> 10,
            dedicated: match &row.fleet {
                Fleet::Dedicated(account) => Some(account.clone()),
                Fleet::Hot | Fleet::Cold => None,
            },
        };
        let kept = |row: &ProvisionRow| {
            Ok::<_, Error>(Kept {
                revision: row.revision_id,
                function: row.function_id,
                host: row.host_id,
                wanted: row.wanted,
                ready: row.has.ready,
                memory_kib: memory_kib(&row.spec)?,
            })
        };
        let wants: Vec<Want> = self.wants.iter().map(|wanted| wanted.want.clone()).collect();
        let kept = self.provisions.iter().map(kept).collect::<Result<Vec<_>, _>>()?;
        Ok(plan(&wants, &hosts.map(host).collect::<Vec<_>>(), &kept))
    }

    /// What is to be changed for that.
    pub(super) fn changes(&self) -> Result<Vec<Change>, Error> {
        let keep = self.plan()?.keep;
        let before: BTreeMap<_, _> = self
            .provisions
            .iter()
            .map(|row| ((row.revision_id, row.host_id), row.wanted))
            .collect();
        let gone = before.keys().filter(|key| !keep.contains_key(key)).map(|key| (*key, 0));
        let put = keep.iter().filter(|(key, wanted)| before.get(key) != Some(wanted));
        Ok(gone.chain(put.map(|(key, wanted)| (*key, *wanted))).collect())
    }

    /// Where each wish of a function stands.
    pub(super) fn standing(&self, id: FunctionId) -> Result<Vec<ProvisionedConcurrency>, Error> {
        let plan = self.plan()?;
        let settings = self.settings.iter().filter(|(function, _)| *function == id);
        let mut all =
            settings.map(|(_, row)| self.one(id, row, &plan)).collect::<Result<Vec<_>, Error>>()?;
        all.sort_by(|one, other| one.qualifier.cmp(&other.qualifier));
        Ok(all)
    }

    fn one(
        &self,
        id: FunctionId,
        row: &SettingRow,
        plan: &Plan,
    ) -> Result<ProvisionedConcurrency, Error> {
        let settings: ProvisionedSettings = from_json(&row.spec)?;
        let mut found = Found { wanted: settings.instances, ..Found::default() };
        let (mut allocated, mut trouble, mut memory_kib) = (0, None, 0);
        for Wanted { want, qualifier } in &self.wants {
            if want.function != id || *qualifier != row.qualifier {
                continue;
            }
            if let Some(short) = plan.short.get(&want.revision) {
                (found.short, memory_kib) = (found.short + short, want.memory_kib);
            }
            for (host, there) in self.of(want.revision) {
                let ready = there.has.ready.min(there.wanted);
                found.ready += ready;
                allocated += ready + there.has.starting.min(there.wanted - ready);
                if !there.has.trouble.is_empty() {
                    let said = || format!("on {}: {}", host.name, there.has.trouble);
                    trouble = trouble.or_else(|| Some(said()));
                }
            }
        }
        found.troubled = trouble.is_some();
        let (status, reason) = match standing(&found) {
            Standing::Ready => (ProvisionedStatus::Ready, None),
            Standing::InProgress => (ProvisionedStatus::InProgress, None),
            Standing::Short => (ProvisionedStatus::Failed, Some(short(found.short, memory_kib))),
            Standing::Troubled => (ProvisionedStatus::Failed, trouble),
        };
        Ok(ProvisionedConcurrency {
            qualifier: row.qualifier.clone(),
            settings,
            allocated,
            available: found.ready.min(settings.instances),
            status,
            reason,
            changed_at_ms: row.changed_at_ms,
        })
    }

    /// What hosts that report have of a revision.
    fn of(&self, id: RevisionId) -> impl Iterator<Item = (&HostRow, &ProvisionRow)> {
        let rows = self.provisions.iter().filter(move |row| row.revision_id == id);
        rows.filter_map(|row| {
            let host = self.hosts.iter().find(|host| host.id == row.host_id)?;
            (!host.lost).then_some((host, row))
        })
    }
}

fn short(instances: u32, memory_kib: u64) -> String {
    format!(
        "no host has room for {instances} more of {} MiB; a quarter of each host's memory for \
         functions is left to calls without them: ask for fewer, or add a host",
        memory_kib >> 10
    )
}

/// The versions of a function that are to be kept.
fn wants_of(
    (function, account): (&FunctionRow, &Name),
    rows: &[&SettingRow],
    (aliases, versions): (&[AliasRow], &[RevisionRow]),
) -> Result<Vec<Wanted>, Error> {
    let aliases = aliases.iter().filter(|alias| alias.function_id == function.id);
    let aliases: Vec<AliasRow> = aliases.cloned().collect();
    let mut settings = Vec::new();
    for row in rows {
        // Without its alias a wish means nothing: they are deleted together.
        let Some(routing) = routing(&row.qualifier, &aliases) else { continue };
        let instances = from_json::<ProvisionedSettings>(&row.spec)?.instances;
        settings.push(Setting { qualifier: row.qualifier.clone(), routing, instances });
    }
    let wanted = by_version(&settings).map_err(|refusal| {
        Error::internal("provisioned concurrency contradicts itself", refusal)
    })?;
    let mut wants = Vec::new();
    for (number, (qualifier, instances)) in wanted {
        let of_it = |row: &&RevisionRow| {
            row.function_id == function.id && row.number.map(u64::from) == Some(number)
        };
        let Some(version) = versions.iter().find(of_it).filter(|_| instances > 0) else { continue };
        let want = Want {
            revision: version.id,
            function: function.id,
            account: account.clone(),
            instances,
            memory_kib: memory_kib(&version.spec)?,
        };
        wants.push(Wanted { want, qualifier: qualifier.to_owned() });
    }
    Ok(wants)
}

/// Where the calls of a version or alias go; none where there is no such alias.
pub(super) fn routing(qualifier: &str, aliases: &[AliasRow]) -> Option<Routing> {
    let numbered = |number: u32| Version::Numbered(u64::from(number));
    let (version, other) = match qualifier.parse::<AliasName>() {
        Ok(name) => {
            let alias = aliases.iter().find(|alias| alias.name == name)?;
            (alias.version.map_or(Version::Latest, numbered), alias.other)
        }
        Err(_) => (numbered(qualifier.parse().ok()?), None),
    };
    let other = other.map(|(number, share_bp)| Additional { version: numbered(number), share_bp });
    // Which versions there are, and may be named together, was checked when they were named.
    Routing::new(version, other.as_slice(), |_| true).ok()
}

fn memory_kib(spec: &serde_json::Value) -> Result<u64, Error> {
    Ok(u64::from(from_json::<Spec>(spec)?.memory_mib) << 10)
}
