//! Callers: who asks, and whether they may.

use access::{Action, Principal, Request, Resource};
use api::accounts::Role;
use types::{AccountId, HostId, Name, TokenId};

use crate::{Control, Error};

/// A token that was found valid, and its account.
#[derive(Clone, Debug)]
pub struct Caller {
    pub token: TokenId,
    pub account: AccountId,
    pub account_name: Name,
    pub role: access::Role,
}

impl Control {
    /// Whether the caller may do this.
    pub(crate) fn may(&self, caller: &Caller, action: Action, resource: Resource) -> bool {
        let principal = Some(Principal::member(caller.account, caller.role));
        self.shared.authorizer.allows(&Request { principal, action, resource })
    }

    /// Lets the caller do this, or refuses.
    pub(crate) fn authorize(
        &self,
        caller: &Caller,
        action: Action,
        resource: Resource,
    ) -> Result<(), Error> {
        if self.may(caller, action, resource) {
            return Ok(());
        }
        Err(Error::Forbidden { action: action.to_string() })
    }

    /// Lets an agent work for this host, or refuses.
    pub(crate) fn authorize_agent(&self, agent: HostId, host: HostId) -> Result<(), Error> {
        self.authorize_process(
            Principal::Agent { host: agent },
            Action::InternalAgent,
            Resource::host(host),
        )
    }

    /// Lets a gateway work, or refuses.
    pub(crate) fn authorize_gateway(&self) -> Result<(), Error> {
        self.authorize_process(Principal::Gateway, Action::InternalGateway, Resource::cloud())
    }

    fn authorize_process(
        &self,
        principal: Principal,
        action: Action,
        resource: Resource,
    ) -> Result<(), Error> {
        let request = Request { principal: Some(principal), action, resource };
        if self.shared.authorizer.allows(&request) {
            return Ok(());
        }
        Err(Error::Forbidden { action: action.to_string() })
    }
}

/// The role as the API names it.
pub(crate) const fn role_of(role: access::Role) -> Role {
    match role {
        access::Role::Reader => Role::Reader,
        access::Role::Developer => Role::Developer,
        access::Role::Owner => Role::Owner,
        access::Role::Operator => Role::Operator,
    }
}

/// The word for a role, as stored.
pub(crate) const fn word_of(role: Role) -> &'static str {
    match role {
        Role::Reader => "reader",
        Role::Developer => "developer",
        Role::Owner => "owner",
        Role::Operator => "operator",
    }
}
