//! Routes: everything a gateway needs to answer without asking.

mod across;

use std::collections::BTreeMap;

use access::signature::{DayKey, days};
use api::functions::LATEST;
use api::internal::functions::{AliasRoute, FunctionHost, FunctionRoute, LinkRoute, VersionRoute};
use api::internal::{
    AccessKey, AccuracyWatch, Backend, InstanceReport, Principal, Route, Routes, Stage, Watch,
};
use store::accounts::accounts_names;
use store::endpoints::captures::{CaptureRow, captures_list_all};
use store::endpoints::modes::{ModesRow, modes_list_all};
use store::endpoints::triggers::{TriggerRow, triggers_list_live};
use store::endpoints::{EndpointRow, Served, endpoints_list_all};
use store::functions::aliases::{AliasRow, aliases_list_all};
use store::functions::provisions::{ProvisionRow, provisions_list};
use store::functions::settings::{SettingRow, settings_list_all};
use store::functions::sizes::{SizeRow, sizes_list_all};
use store::functions::sources::{SourceRow, sources_list_all};
use store::functions::{FunctionRow, RevisionRow, functions_list_callable};
use store::hosts::{HostRow, hosts_list};
use store::instances::{InstanceRow, InstanceState, Owner, instances_list_live};
use store::runs::{RunRow, runs_list_live};
use store::streams::{StreamRow, streams_list_all, streams_list_removed};
use store::tokens::{AccessKeyRow, LiveToken, tokens_list_live};
use store::{Topic, Tx};
use types::{
    AccountId, AliasName, EndpointId, FunctionId, HostId, Name, RevisionId, StreamId, TaskReference,
};

use crate::caller::role_of;
use crate::operations::endpoints::triggers::right;
use crate::operations::endpoints::{captures, variants};
use crate::operations::functions::settings::{concurrency_of, permissions_of};
use crate::operations::functions::sizes::{settled, sizing_of};
use crate::operations::functions::sources;
use crate::operations::functions::urls::urls_of;
use crate::operations::functions::{Spec, version_of};
use crate::operations::items::from_json;
use crate::operations::stages::ResolvedStage;
use crate::reconcilers::endpoints::current;
use crate::{Control, Error};
use across::Across;

/// What gateways hold, once it is newer or the wait is over.
pub async fn watch(control: &Control, watch: Watch) -> Result<Routes, Error> {
    let store = &control.shared.store;
    let wait_ms = watch.wait_ms.min(api::internal::WATCH_WAIT_MS_MAX);
    store.feed_wait(Topic::Routes, watch.after, wait_ms).await?;
    let now_ms = control.now_ms();
    let stored = store.read("read routes", |tx| Box::pin(Stored::read(tx, now_ms))).await?;
    stored.routes(control)
}

/// All that routes are made of, read at once.
struct Stored {
    generation: u64,
    tokens: Vec<LiveToken>,
    endpoints: Vec<EndpointRow>,
    modes: BTreeMap<EndpointId, ModesRow>,
    captures: BTreeMap<EndpointId, CaptureRow>,
    triggers: BTreeMap<EndpointId, Vec<TriggerRow>>,
    instances: Vec<InstanceRow>,
    hosts: Vec<HostRow>,
    functions: Vec<(FunctionRow, Vec<RevisionRow>)>,
    sizes: BTreeMap<RevisionId, SizeRow>,
    provisions: Vec<ProvisionRow>,
    aliases: BTreeMap<FunctionId, Vec<AliasRow>>,
    settings: BTreeMap<FunctionId, Vec<SettingRow>>,
    across: Across,
    streams: Vec<StreamRow>,
    removed_streams: Vec<StreamId>,
    runs: Vec<RunRow>,
    sources: Vec<SourceRow>,
    names: BTreeMap<AccountId, Name>,
}

impl Stored {
    async fn read(tx: &mut Tx<'_>, now_ms: u64) -> Result<Self, store::Error> {
        let mut stored = Self {
            generation: store::feeds::feed_fetch(tx, Topic::Routes).await?,
            tokens: tokens_list_live(tx, now_ms).await?,
            endpoints: endpoints_list_all(tx).await?,
            modes: modes_list_all(tx).await?,
            captures: captures_list_all(tx).await?,
            triggers: by_endpoint(triggers_list_live(tx).await?),
            instances: instances_list_live(tx).await?,
            hosts: hosts_list(tx).await?,
            functions: functions_list_callable(tx).await?,
            sizes: sizes_list_all(tx).await?,
            provisions: provisions_list(tx).await?,
            aliases: aliases_list_all(tx).await?,
            settings: settings_list_all(tx).await?,
            across: Across::read(tx, now_ms).await?,
            streams: streams_list_all(tx).await?,
            removed_streams: streams_list_removed(tx).await?,
            runs: runs_list_live(tx).await?,
            sources: sources_list_all(tx).await?,
            names: BTreeMap::new(),
        };
        let owners = stored.endpoints.iter().map(|endpoint| endpoint.account_id);
        let owners = owners.chain(stored.functions.iter().map(|(row, _)| row.account_id));
        let owners = owners.chain(stored.across.owners_of_services());
        let owners: Vec<AccountId> =
            owners.chain(stored.streams.iter().map(|row| row.account_id)).collect();
        stored.names = accounts_names(tx, &owners).await?;
        Ok(stored)
    }

    fn routes(mut self, control: &Control) -> Result<Routes, Error> {
        let (endpoints, functions) = (self.endpoints()?, self.functions()?);
        let tokens = std::mem::take(&mut self.tokens);
        let hosts = std::mem::take(&mut self.hosts);
        let named = |account: AccountId| self.names.get(&account).cloned();
        let streams = self.streams.into_iter().filter_map(|row| {
            let name = named(row.account_id)?;
            Some(super::streams::route(row, name))
        });
        let runs = self.runs.into_iter().filter_map(|row| {
            let name = named(row.account_id)?;
            Some(super::runs::route(row, name))
        });
        let sources = self.sources.into_iter().filter_map(|row| {
            let name = named(row.account_id)?;
            Some(sources::route(row, name))
        });
        Ok(Routes {
            generation: self.generation,
            principals: tokens.into_iter().filter_map(|live| principal(control, live)).collect(),
            endpoints,
            functions,
            hosts: hosts.into_iter().filter_map(function_host).collect(),
            services: self.across.services(&self.names)?,
            streams: streams.collect::<Result<_, _>>()?,
            removed_streams: self.removed_streams,
            runs: runs.collect::<Result<_, _>>()?,
            sources: sources.collect::<Result<_, _>>()?,
        })
    }

    fn endpoints(&self) -> Result<Vec<Route>, Error> {
        let mut routes = Vec::new();
        for endpoint in self.endpoints.iter().filter(|endpoint| !endpoint.deleting) {
            let Some(name) = self.names.get(&endpoint.account_id) else { continue };
            let around = (self.instances.as_slice(), self.modes.get(&endpoint.id));
            let mut route = route(endpoint, name.clone(), around)?;
            route.capture = self.captures.get(&endpoint.id).map(captures::route).transpose()?;
            if let Some(capture) = &mut route.capture {
                (capture.watched, capture.since_ms) = self.watched(endpoint);
            }
            let main = endpoint.variant_of.unwrap_or(endpoint.id);
            route.watched = self.triggers.contains_key(&main);
            for backend in route.stages.iter_mut().flat_map(|stage| &mut stage.backends) {
                let host = self.hosts.iter().find(|host| host.id == backend.host);
                backend.data_address = host.and_then(|host| host.data_address.clone());
            }
            routes.push(route);
        }
        Ok(routes)
    }

    /// Of which windows it is told how right answers of an endpoint were, and since when each variant
    /// is what it is and is used so.
    fn watched(&self, main: &EndpointRow) -> (Vec<AccuracyWatch>, BTreeMap<Name, u64>) {
        let triggers = self.triggers.get(&main.id).into_iter().flatten();
        let watches = right::watches(triggers.map(|row| &row.spec));
        if watches.is_empty() {
            return Default::default();
        }
        let changed_ms = self.modes.get(&main.id).map_or(0, |row| row.at_ms);
        let is_of_it = |row: &&EndpointRow| row.id == main.id || row.variant_of == Some(main.id);
        let since_ms = |row: &EndpointRow| {
            let is_its = |function: &FunctionRow| match variants::answers(row) {
                TaskReference::Function { name, .. } => {
                    function.account_id == row.account_id && function.name == *name
                }
                TaskReference::Item(_) => false,
            };
            let function = self.functions.iter().map(|(function, _)| function);
            let function = function.into_iter().find(|function| is_its(function));
            let aliases = function.and_then(|it| self.aliases.get(&it.id)).map_or(&[][..], |it| it);
            let since_ms = variants::since_of(row, function, aliases);
            (row.variant.clone(), since_ms.max(changed_ms))
        };
        (watches, self.endpoints.iter().filter(is_of_it).map(since_ms).collect())
    }

    fn functions(&mut self) -> Result<Vec<FunctionRoute>, Error> {
        let instances = (&self.sizes, ready(&self.provisions, &self.hosts));
        let mut called = Vec::new();
        for (function, revisions) in std::mem::take(&mut self.functions) {
            let Some(name) = self.names.get(&function.account_id) else { continue };
            let aliases = self.aliases.remove(&function.id).unwrap_or_default();
            let settings = self.settings.get(&function.id).map_or(&[][..], Vec::as_slice);
            let link = self.across.link(&function)?;
            let around = ((aliases, settings), link);
            called.push(function_route(function, name.clone(), (&revisions, &instances), around)?);
        }
        Ok(called)
    }
}

fn by_endpoint(rows: Vec<TriggerRow>) -> BTreeMap<EndpointId, Vec<TriggerRow>> {
    let mut all: BTreeMap<EndpointId, Vec<TriggerRow>> = BTreeMap::new();
    for row in rows {
        all.entry(row.endpoint_id).or_default().push(row);
    }
    all
}

/// A token that may call.
fn principal(control: &Control, live: LiveToken) -> Option<Principal> {
    Some(Principal {
        token: live.token.id,
        secret_sha256: live.token.secret_sha256.to_string(),
        account: live.token.account_id,
        account_name: live.account_name,
        role: role_of(live.token.role.parse().ok()?),
        expires_at_ms: live.token.expires_at_ms,
        access_key: live.token.access_key.as_ref().and_then(|key| access_key(control, key)),
    })
}

/// An access key with the keys of the days around now. One that cannot be opened is left out, and
/// told of: others' calls go on.
fn access_key(control: &Control, key: &AccessKeyRow) -> Option<AccessKey> {
    let secret = control.access_key_secret(key);
    let secret = secret.inspect_err(|error| {
        let cause = workflow::chain(error);
        tracing::error!(access_key = key.name, cause, "an access key cannot be opened");
    });
    let secret = secret.ok()?;
    let day_key = |day: String| {
        let key = hex::encode(DayKey::of(&secret, &day).0);
        (day, key)
    };
    let day_keys = days(control.now_ms()).into_iter().map(day_key).collect();
    Some(AccessKey { name: key.name.clone(), day_keys })
}

/// What is known of revisions' instances: their sizes, and those that hosts keep ready.
type Instances<'a> =
    (&'a BTreeMap<RevisionId, SizeRow>, BTreeMap<RevisionId, BTreeMap<HostId, u32>>);

/// Provisioned instances that are ready, on hosts that are not lost.
fn ready(
    provisions: &[ProvisionRow],
    hosts: &[HostRow],
) -> BTreeMap<RevisionId, BTreeMap<HostId, u32>> {
    let mut ready: BTreeMap<RevisionId, BTreeMap<HostId, u32>> = BTreeMap::new();
    for row in provisions.iter().filter(|row| row.has.ready > 0) {
        if hosts.iter().any(|host| host.id == row.host_id && !host.lost) {
            let instances = row.has.ready.min(row.wanted);
            ready.entry(row.revision_id).or_default().insert(row.host_id, instances);
        }
    }
    ready
}

fn function_route(
    function: FunctionRow,
    account_name: Name,
    (revisions, (sizes, provisioned)): (&[RevisionRow], &Instances<'_>),
    ((aliases, settings), link): ((Vec<AliasRow>, &[SettingRow]), Option<LinkRoute>),
) -> Result<FunctionRoute, Error> {
    let mut versions = BTreeMap::new();
    for revision in revisions {
        let spec: Spec = from_json(&revision.spec)?;
        let route = VersionRoute {
            revision: revision.id,
            timeout_ms: spec.timeout_ms,
            memory_bytes: u64::from(spec.memory_mib) << 20,
            size: sizes.get(&revision.id).map(settled).unwrap_or_default(),
            provisioned: provisioned.get(&revision.id).cloned().unwrap_or_default(),
        };
        versions.insert(version_of(revision), route);
    }
    Ok(FunctionRoute {
        function: function.id,
        account: function.account_id,
        account_name,
        name: function.name,
        versions,
        aliases: aliases.into_iter().map(alias_route).collect(),
        concurrency_max: concurrency_of(settings)?,
        permissions: permissions_of(settings)?,
        link,
        sizing: sizing_of(settings)?,
        urls: urls_of(settings)?,
    })
}

fn alias_route(row: AliasRow) -> (AliasName, AliasRoute) {
    let route = AliasRoute {
        version: row.version.map_or_else(|| LATEST.to_owned(), |number| number.to_string()),
        other: row.other.map(|(number, share)| (number.to_string(), share)),
        max_stale_ms: row.max_stale_ms,
        changed_at_ms: row.changed_at_ms,
    };
    (row.name, route)
}

/// A host, where it has said how it is asked to run functions, and is not lost.
fn function_host(host: HostRow) -> Option<FunctionHost> {
    let HostRow { id, name, data_address, fleet, .. } = host;
    let socket = host.functions_socket.filter(|_| !host.lost)?;
    Some(FunctionHost { host: id, socket, data_address, name, fleet })
}

fn route(
    endpoint: &EndpointRow,
    account_name: Name,
    (instances, modes): (&[InstanceRow], Option<&ModesRow>),
) -> Result<Route, Error> {
    // After an update the old answers, as a whole, until all of the new is ready.
    let (source, resolved, size) = match &endpoint.served {
        Some(Served { what, .. }) => (&what.source, &what.resolved, &what.instance_type),
        None => (&endpoint.source, &endpoint.resolved, &endpoint.instance_type),
    };
    let stages: Vec<ResolvedStage> = from_json(resolved)?;
    let mine: Vec<InstanceRow> = instances
        .iter()
        .filter(|row| row.owner == Owner::Endpoint(endpoint.id))
        .filter(|row| row.state == InstanceState::Ready)
        .cloned()
        .collect();
    let input = stages.first().and_then(|stage| stage.input.clone());
    let output = stages.last().and_then(|stage| stage.output.clone());
    let version = source.version().unwrap_or(1);
    let function = match source {
        TaskReference::Function { name, qualifier } => Some((name.clone(), qualifier.clone())),
        TaskReference::Item(_) => None,
    };
    let stages = stages
        .into_iter()
        .enumerate()
        .map(|(place, stage)| {
            let newest = current(&mine, size, place, &stage);
            self::stage(stage, newest)
        })
        .collect();
    Ok(Route {
        endpoint: endpoint.id,
        variant: endpoint.variant.clone(),
        function,
        modes: modes.map(|row| from_json(&row.modes)).transpose()?.unwrap_or_default(),
        capture: None,
        watched: false,
        account: endpoint.account_id,
        account_name,
        name: endpoint.name.clone(),
        generation: endpoint.generation,
        everybody: endpoint.sharing == store::Sharing::Everybody,
        accounts: endpoint.sharing.accounts().collect(),
        version,
        stages,
        input,
        output,
    })
}

/// A stage with its ready instance, where it has one.
fn stage(stage: ResolvedStage, newest: Option<&InstanceRow>) -> Stage {
    let report: Option<InstanceReport> =
        newest.and_then(|row| serde_json::from_value(row.report.clone()?).ok());
    let backends = newest.zip(report.as_ref()).and_then(|(row, report)| {
        Some(Backend {
            instance: row.id,
            generation: row.generation,
            host: row.host_id,
            socket: report.socket.clone()?,
            data_address: None,
        })
    });
    Stage {
        source: stage.reference,
        timeout_ms: stage.limits.timeout_ms,
        description: report.and_then(|report| report.description),
        backends: backends.into_iter().collect(),
    }
}
