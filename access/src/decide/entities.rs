//! A request in Cedar's words.
//!
//! Always true: names of types, roles and actions are parsed once; an id is only ever compared.

use std::collections::{BTreeMap, HashMap, HashSet};

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression, Schema,
};
use types::{AccountId, HostId};
use uuid::Uuid;

use super::Error;
use crate::request::{Action, Kind, Principal, Request, Resource, Role, Sharing};

/// Stand-ins for accounts and hosts in a request that is reduced to its relations.
pub(super) const EXAMPLE_ACCOUNT: AccountId = AccountId::new(Uuid::from_u128(1));
pub(super) const OTHER_ACCOUNT: AccountId = AccountId::new(Uuid::from_u128(2));
pub(super) const EXAMPLE_HOST: HostId = HostId::new(Uuid::from_u128(1));
pub(super) const OTHER_HOST: HostId = HostId::new(Uuid::from_u128(2));

/// The words of the schema, parsed.
pub(super) struct Words {
    kinds: BTreeMap<Kind, EntityTypeName>,
    actions: BTreeMap<Action, EntityUid>,
    roles: BTreeMap<Role, EntityUid>,
    member: EntityTypeName,
    agent: EntityTypeName,
    gateway: EntityTypeName,
    anonymous: EntityTypeName,
}

/// A request that Cedar cannot be asked.
#[derive(Debug)]
pub(super) struct Unaskable;

impl Words {
    pub(super) fn new() -> Result<Self, Error> {
        let action_type = type_name("Action")?;
        let role_type = type_name("Role")?;
        let kinds = Kind::ALL.into_iter().map(|kind| Ok((kind, type_name(kind.as_str())?)));
        let actions = Action::ALL.iter().map(|action| (*action, uid(&action_type, action)));
        let roles = Role::ALL.into_iter().map(|role| (role, uid(&role_type, &role)));
        Ok(Self {
            kinds: kinds.collect::<Result<_, Error>>()?,
            actions: actions.collect(),
            roles: roles.collect(),
            member: type_name("Member")?,
            agent: type_name("Agent")?,
            gateway: type_name("Gateway")?,
            anonymous: type_name("Anonymous")?,
        })
    }

    /// The request and the two entities it is about.
    ///
    /// # Errors
    ///
    /// [`Unaskable`] when the action does not apply to this kind of thing or caller.
    pub(super) fn query(
        &self,
        request: &Request,
        schema: &Schema,
    ) -> Result<(cedar_policy::Request, Entities), Unaskable> {
        let principal = self.principal(request.principal.as_ref())?;
        let resource = self.resource(&request.resource)?;
        let action = self.actions.get(&request.action).ok_or(Unaskable)?.clone();
        let (caller, thing) = (principal.uid(), resource.uid());
        let query =
            cedar_policy::Request::new(caller, action, thing, Context::empty(), Some(schema))
                .map_err(|_| Unaskable)?;
        let entities =
            Entities::from_entities([principal, resource], None).map_err(|_| Unaskable)?;
        Ok((query, entities))
    }

    fn principal(&self, principal: Option<&Principal>) -> Result<Entity, Unaskable> {
        match principal {
            None => Ok(plain(uid(&self.anonymous, &"anonymous"))),
            Some(Principal::Gateway) => Ok(plain(uid(&self.gateway, &"gateway"))),
            Some(Principal::Agent { host }) => {
                let its = HashMap::from([("host".to_owned(), self.reference(Kind::Host, host)?)]);
                entity(uid(&self.agent, host), its, HashSet::new())
            }
            Some(Principal::Member { account, role }) => {
                let account = self.reference(Kind::Account, account)?;
                let roles = self.roles.range(..=role).map(|(_, role)| role.clone()).collect();
                let its = HashMap::from([("account".to_owned(), account)]);
                entity(uid(&self.member, &"caller"), its, roles)
            }
        }
    }

    fn resource(&self, resource: &Resource) -> Result<Entity, Unaskable> {
        let kind = self.kinds.get(&resource.kind).ok_or(Unaskable)?;
        match resource.kind {
            Kind::Cloud => return Ok(plain(uid(kind, &"cloud"))),
            Kind::Host => return Ok(plain(uid(kind, &resource.host.ok_or(Unaskable)?))),
            _ => {}
        }
        let owner = resource.owner.ok_or(Unaskable)?;
        let mut its = HashMap::from([("owner".to_owned(), self.reference(Kind::Account, &owner)?)]);
        if matches!(resource.kind, Kind::Item | Kind::Endpoint) {
            let everybody = resource.sharing == Sharing::Everybody;
            let accounts = match &resource.sharing {
                Sharing::Accounts(accounts) => accounts.as_slice(),
                Sharing::Nobody | Sharing::Everybody => &[],
            };
            let accounts: Result<Vec<_>, _> =
                accounts.iter().map(|account| self.reference(Kind::Account, account)).collect();
            its.insert("everybody".to_owned(), RestrictedExpression::new_bool(everybody));
            its.insert("accounts".to_owned(), RestrictedExpression::new_set(accounts?));
        }
        // An account is asked about under its own id, anything else under that of its owner.
        entity(uid(kind, &owner), its, HashSet::new())
    }

    fn reference(&self, kind: Kind, id: &impl ToString) -> Result<RestrictedExpression, Unaskable> {
        let kind = self.kinds.get(&kind).ok_or(Unaskable)?;
        Ok(RestrictedExpression::new_entity_uid(uid(kind, id)))
    }
}

fn type_name(word: &str) -> Result<EntityTypeName, Error> {
    let parsed = format!("Freehold::{word}").parse();
    parsed.map_err(|cause: cedar_policy::ParseErrors| Error::Schema { cause: cause.to_string() })
}

fn uid(kind: &EntityTypeName, id: &impl ToString) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id.to_string()))
}

fn plain(uid: EntityUid) -> Entity {
    Entity::new_no_attrs(uid, HashSet::new())
}

fn entity(
    uid: EntityUid,
    its: HashMap<String, RestrictedExpression>,
    parents: HashSet<EntityUid>,
) -> Result<Entity, Unaskable> {
    Entity::new(uid, its, parents).map_err(|_| Unaskable)
}
