//! What crosses accounts, as gateways are told: links by the grants as they are now, and services.

use std::collections::BTreeMap;

use api::internal::functions::{LinkRoute, ServiceKeyRoute, ServiceRoute};
use store::Tx;
use store::functions::FunctionRow;
use store::functions::grants::{GrantRow, grants_list_all};
use store::functions::links::{LinkRow, links_list_all};
use store::services::{WholeService, services_list_all};
use types::{AccountId, Name};

use crate::Error;
use crate::operations::items::from_json;
use crate::operations::links::route as route_of_link;
use crate::operations::services::keys::limits as limits_of_key;
use crate::operations::usage::{DAY_MS, calls_of};

/// Every link and service, with what says where they lead.
pub(super) struct Across {
    links: Vec<LinkRow>,
    grants: Vec<GrantRow>,
    /// Calls of this day, by the id of the link, grant or key.
    calls: BTreeMap<String, u64>,
    services: Vec<WholeService>,
}

impl Across {
    pub(super) async fn read(tx: &mut Tx<'_>, now_ms: u64) -> Result<Self, store::Error> {
        Ok(Self {
            links: links_list_all(tx).await?,
            grants: grants_list_all(tx).await?,
            calls: calls_of(tx, now_ms / DAY_MS).await?,
            services: services_list_all(tx).await?,
        })
    }

    /// Whose services there are.
    pub(super) fn owners_of_services(&self) -> impl Iterator<Item = AccountId> + '_ {
        self.services.iter().map(|whole| whole.service.account_id)
    }

    /// Every service of accounts that have these names.
    pub(super) fn services(
        &self,
        names: &BTreeMap<AccountId, Name>,
    ) -> Result<Vec<ServiceRoute>, Error> {
        let mut services = Vec::new();
        for whole in &self.services {
            let Some(name) = names.get(&whole.service.account_id) else { continue };
            services.push(self.service(whole, name.clone())?);
        }
        Ok(services)
    }

    /// What a name leads to, where it is a link's.
    pub(super) fn link(&self, named: &FunctionRow) -> Result<Option<LinkRoute>, Error> {
        let Ok(place) = self.links.binary_search_by_key(&named.id, |link| link.function_id) else {
            return Ok(None);
        };
        let link = &self.links[place];
        let of_it = |grant: &&GrantRow| grant.account_id == link.owner && grant.name == link.grant;
        let mut route = route_of_link(link, named.account_id, self.grants.iter().find(of_it))?;
        route.calls_today = self.calls(&named.id);
        if let Ok(linked) = &mut route.to {
            linked.calls_today = self.calls(&linked.grant);
        }
        Ok(Some(route))
    }

    fn service(&self, whole: &WholeService, account_name: Name) -> Result<ServiceRoute, Error> {
        let mut versions = BTreeMap::new();
        for version in &whole.versions {
            versions.insert(version.number, from_json(&version.spec)?);
        }
        let mut keys = Vec::new();
        for row in &whole.keys {
            keys.push(ServiceKeyRoute {
                key: row.id,
                secret_sha256: row.secret_sha256,
                limits: limits_of_key(row)?,
                calls_today: self.calls(&row.id),
            });
        }
        let WholeService { service, .. } = whole;
        Ok(ServiceRoute {
            service: service.id,
            account: service.account_id,
            account_name,
            name: service.name.clone(),
            newest: service.newest,
            versions,
            keys,
        })
    }

    fn calls(&self, id: &impl ToString) -> u64 {
        self.calls.get(&id.to_string()).copied().unwrap_or(0)
    }
}
