//! Routes: everything a gateway needs to answer without asking.

mod across;

use std::collections::BTreeMap;

use access::signature::{DayKey, days};
use api::functions::LATEST;
use api::internal::functions::{AliasRoute, FunctionHost, FunctionRoute, LinkRoute, VersionRoute};
use api::internal::{AccessKey, Backend, InstanceReport, Principal, Route, Routes, Stage, Watch};
use store::Topic;
use store::accounts::accounts_names;
use store::endpoints::modes::{ModesRow, modes_list_all};
use store::endpoints::{EndpointRow, Served, endpoints_list_all};
use store::functions::aliases::{AliasRow, aliases_list_all};
use store::functions::provisions::{ProvisionRow, provisions_list};
use store::functions::settings::{SettingRow, settings_list_all};
use store::functions::sizes::{SizeRow, sizes_list_all};
use store::functions::{FunctionRow, RevisionRow, functions_list_callable};
use store::hosts::{HostRow, hosts_list};
use store::instances::{InstanceRow, InstanceState, Owner, instances_list_live};
use store::runs::runs_list_live;
use store::streams::streams_list_all;
use store::tokens::{AccessKeyRow, tokens_list_live};
use types::{AccountId, AliasName, HostId, Name, RevisionId, TaskReference};

use crate::caller::role_of;
use crate::operations::functions::settings::{concurrency_of, permissions_of};
use crate::operations::functions::sizes::{settled, sizing_of};
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
    let (generation, tokens, endpoints, instances, hosts, functions, around, beside, names) = store
        .read("read routes", |tx| {
            Box::pin(async move {
                let generation = store::feeds::feed_fetch(tx, Topic::Routes).await?;
                let tokens = tokens_list_live(tx, now_ms).await?;
                let endpoints = (endpoints_list_all(tx).await?, modes_list_all(tx).await?);
                let instances = instances_list_live(tx).await?;
                let hosts = hosts_list(tx).await?;
                let sizes = sizes_list_all(tx).await?;
                let provisions = provisions_list(tx).await?;
                let functions = (functions_list_callable(tx).await?, sizes, provisions);
                let around = (aliases_list_all(tx).await?, settings_list_all(tx).await?);
                let across = Across::read(tx, now_ms).await?;
                let streams = (streams_list_all(tx).await?, runs_list_live(tx).await?);
                let owners = endpoints.0.iter().map(|endpoint| endpoint.account_id);
                let owners = owners.chain(functions.0.iter().map(|(row, _)| row.account_id));
                let of_services = across.owners_of_services();
                let of_streams = streams.0.iter().map(|row| row.account_id);
                let owners: Vec<AccountId> = owners.chain(of_services).chain(of_streams).collect();
                let names = accounts_names(tx, &owners).await?;
                Ok::<_, store::Error>((
                    generation,
                    tokens,
                    endpoints,
                    instances,
                    hosts,
                    functions,
                    around,
                    (across, streams),
                    names,
                ))
            })
        })
        .await?;
    let principals = tokens.into_iter().filter_map(|live| {
        Some(Principal {
            token: live.token.id,
            secret_sha256: live.token.secret_sha256.to_string(),
            account: live.token.account_id,
            account_name: live.account_name,
            role: role_of(live.token.role.parse().ok()?),
            expires_at_ms: live.token.expires_at_ms,
            access_key: live.token.access_key.as_ref().and_then(|key| access_key(control, key)),
        })
    });
    let mut routes = Vec::new();
    let (across, (streams, runs)) = beside;
    let (endpoints, modes) = endpoints;
    for endpoint in endpoints.iter().filter(|endpoint| !endpoint.deleting) {
        let Some(name) = names.get(&endpoint.account_id) else { continue };
        let mut route = route(endpoint, name.clone(), (&instances, modes.get(&endpoint.id)))?;
        for backend in route.stages.iter_mut().flat_map(|stage| &mut stage.backends) {
            let host = hosts.iter().find(|host| host.id == backend.host);
            backend.data_address = host.and_then(|host| host.data_address.clone());
        }
        routes.push(route);
    }
    let (functions, sizes, provisions) = functions;
    let instances = (&sizes, ready(&provisions, &hosts));
    let (mut aliases, settings) = around;
    let mut called = Vec::new();
    for (function, revisions) in functions {
        let Some(name) = names.get(&function.account_id) else { continue };
        let around = (aliases.remove(&function.id), settings.get(&function.id));
        let around = (around.0.unwrap_or_default(), around.1.map_or(&[][..], Vec::as_slice));
        let link = across.link(&function)?;
        let around = (around, link);
        called.push(function_route(function, name.clone(), (&revisions, &instances), around)?);
    }
    let hosts = hosts.into_iter().filter_map(function_host).collect();
    let principals = principals.collect();
    let services = across.services(&names)?;
    let mut routed = Routes {
        generation,
        principals,
        endpoints: routes,
        functions: called,
        hosts,
        services,
        ..Routes::default()
    };
    for row in streams {
        let Some(name) = names.get(&row.account_id) else { continue };
        routed.streams.push(super::streams::route(row, name.clone())?);
    }
    for row in runs {
        let Some(name) = names.get(&row.account_id) else { continue };
        routed.runs.push(super::runs::route(row, name.clone())?);
    }
    Ok(routed)
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
