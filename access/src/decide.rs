//! The decision: allowed or not, and by which policies.
//!
//! Policies speak of relations only (own, shared with me, shared with everybody), never of a
//! certain account, so a request is first reduced to its relations and the answer is kept: there
//! are a few thousand such questions, and after the first time each is answered from memory.
//! Always true: what no policy allows is refused, and so is what does not fit the schema; the same
//! request has the same answer, in the same words.
//! Absent on purpose: time, addresses, chance.

mod entities;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use cedar_policy as cedar;

use crate::request::{Action, Kind, Principal, Request, Resource, Role, Sharing};
use entities::Words;

/// Why a request is refused that no policy speaks of.
pub const NO_POLICY: &str = "no-policy-allows-it";
/// Why a request is refused that names a thing its action has nothing to do with.
pub const NOT_APPLICABLE: &str = "the-action-does-not-apply-to-this-kind-of-thing";

/// The policies, by file.
const POLICIES: [&str; 6] = [
    include_str!("../policies/anybody.cedar"),
    include_str!("../policies/members.cedar"),
    include_str!("../policies/shared.cedar"),
    include_str!("../policies/operators.cedar"),
    include_str!("../policies/processes.cedar"),
    include_str!("../policies/never.cedar"),
];
const SCHEMA: &str = include_str!("../policies/schema.cedarschema");

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub allowed: bool,
    /// The policies that decided, in alphabetical order; or why none did.
    pub reasons: Arc<[String]>,
}

/// What can go wrong with the policies themselves. Their tests hold that it does not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the schema of the policies cannot be read: {cause}")]
    Schema { cause: String },
    #[error("the policies cannot be read: {cause}")]
    Policies { cause: String },
    #[error("a policy has no @id")]
    Unnamed,
}

/// Decides requests by the policies of this release. Share one.
pub struct Authorizer {
    engine: cedar::Authorizer,
    policies: cedar::PolicySet,
    schema: cedar::Schema,
    words: Words,
    known: RwLock<HashMap<Relation, Decision>>,
}

impl std::fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authorizer({} policies)", self.policies.policies().count())
    }
}

/// All that a decision depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Relation {
    caller: Caller,
    action: Action,
    kind: Kind,
    /// The caller's account owns the thing, or the caller's host is the thing.
    own: bool,
    /// The caller's account is one of those it is shared with.
    named: bool,
    everybody: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Caller {
    Anonymous,
    Member(Role),
    Agent,
    Gateway,
}

impl Authorizer {
    /// Reads the policies of this release.
    ///
    /// # Errors
    ///
    /// Only when the texts built into the program are broken, which their tests exclude.
    pub fn new() -> Result<Self, Error> {
        let (schema, _) = cedar::Schema::from_cedarschema_str(SCHEMA)
            .map_err(|cause| Error::Schema { cause: cause.to_string() })?;
        let parsed: cedar::PolicySet = POLICIES
            .concat()
            .parse()
            .map_err(|cause: cedar::ParseErrors| Error::Policies { cause: cause.to_string() })?;
        let policies = named(&parsed)?;
        Ok(Self {
            engine: cedar::Authorizer::new(),
            policies,
            schema,
            words: Words::new()?,
            known: RwLock::new(HashMap::new()),
        })
    }

    /// Decides a request. Deterministic; from memory after the first request of its relations.
    pub fn decide(&self, request: &Request) -> Decision {
        let relation = Relation::of(request);
        if let Some(decision) = self.known().get(&relation) {
            return decision.clone();
        }
        let decision = self.evaluate(&relation.example());
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(relation, decision.clone());
        decision
    }

    /// Whether a request is allowed.
    pub fn allows(&self, request: &Request) -> bool {
        let relation = Relation::of(request);
        if let Some(decision) = self.known().get(&relation) {
            return decision.allowed;
        }
        self.decide(request).allowed
    }

    /// Decides a request by the policies, without memory.
    fn evaluate(&self, request: &Request) -> Decision {
        let Ok((query, entities)) = self.words.query(request, &self.schema) else {
            return Decision { allowed: false, reasons: [NOT_APPLICABLE.to_owned()].into() };
        };
        let response = self.engine.is_authorized(&query, &self.policies, &entities);
        let allowed = response.decision() == cedar::Decision::Allow;
        let mut reasons: Vec<String> =
            response.diagnostics().reason().map(ToString::to_string).collect();
        reasons.sort_unstable();
        if reasons.is_empty() {
            reasons.push(NO_POLICY.to_owned());
        }
        Decision { allowed, reasons: reasons.into() }
    }

    fn known(&self) -> std::sync::RwLockReadGuard<'_, HashMap<Relation, Decision>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Relation {
    fn of(request: &Request) -> Self {
        let Resource { kind, owner, sharing, host } = &request.resource;
        let (caller, account) = match request.principal {
            None => (Caller::Anonymous, None),
            Some(Principal::Member { account, role }) => (Caller::Member(role), Some(account)),
            Some(Principal::Agent { .. }) => (Caller::Agent, None),
            Some(Principal::Gateway) => (Caller::Gateway, None),
        };
        let own = match request.principal {
            Some(Principal::Agent { host: mine }) => *host == Some(mine),
            _ => account.is_some() && *owner == account,
        };
        let shareable = matches!(kind, Kind::Item | Kind::Endpoint);
        let named = match (sharing, account) {
            (Sharing::Accounts(accounts), Some(account)) => accounts.contains(&account),
            _ => false,
        };
        Self {
            caller,
            action: request.action,
            kind: *kind,
            own,
            named: shareable && named,
            everybody: shareable && *sharing == Sharing::Everybody,
        }
    }

    /// The plainest request with these relations.
    fn example(self) -> Request {
        let (me, other) = (entities::EXAMPLE_ACCOUNT, entities::OTHER_ACCOUNT);
        let (mine, elsewhere) = (entities::EXAMPLE_HOST, entities::OTHER_HOST);
        let principal = match self.caller {
            Caller::Anonymous => None,
            Caller::Member(role) => Some(Principal::member(me, role)),
            Caller::Agent => Some(Principal::Agent { host: mine }),
            Caller::Gateway => Some(Principal::Gateway),
        };
        let sharing = match (self.everybody, self.named) {
            (true, _) => Sharing::Everybody,
            (false, true) => Sharing::Accounts(vec![me]),
            (false, false) => Sharing::Nobody,
        };
        let resource = Resource {
            kind: self.kind,
            owner: Some(if self.own { me } else { other }),
            sharing,
            host: Some(if self.own { mine } else { elsewhere }),
        };
        Request { principal, action: self.action, resource }
    }
}

/// The same policies under the names their `@id` gives them.
fn named(parsed: &cedar::PolicySet) -> Result<cedar::PolicySet, Error> {
    let mut policies = cedar::PolicySet::new();
    for policy in parsed.policies() {
        let id = policy.annotation("id").ok_or(Error::Unnamed)?;
        let policy = policy.new_id(cedar::PolicyId::new(id));
        policies.add(policy).map_err(|cause| Error::Policies { cause: cause.to_string() })?;
    }
    Ok(policies)
}
