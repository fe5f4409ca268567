//! Sharing: who but its owner may see and use an item, or call an endpoint.
//!
//! Always true: accounts are named only where sharing is with accounts; they are in the order of
//! their ids, each once.

use std::collections::BTreeSet;

use types::AccountId;

use crate::words::words;

/// Who but the owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Nobody.
    #[default]
    Nobody,
    /// These accounts.
    Accounts(BTreeSet<AccountId>),
    /// Every account; for an endpoint also callers without one.
    Everybody,
}

words! {
    /// What a row says of its sharing; the accounts stand in a table of their own.
    pub enum SharedWith {
        /// Nobody.
        Nobody = "nobody",
        /// The accounts that have a grant.
        Accounts = "accounts",
        /// Everybody.
        Everybody = "everybody",
    }
}

impl Sharing {
    /// What the row says.
    pub fn shared_with(&self) -> SharedWith {
        match self {
            Self::Nobody => SharedWith::Nobody,
            Self::Accounts(_) => SharedWith::Accounts,
            Self::Everybody => SharedWith::Everybody,
        }
    }

    /// The accounts that have a grant; none where sharing is not with accounts.
    pub fn accounts(&self) -> impl Iterator<Item = AccountId> + '_ {
        let accounts = match self {
            Self::Accounts(accounts) => Some(accounts),
            Self::Nobody | Self::Everybody => None,
        };
        accounts.into_iter().flatten().copied()
    }

    /// The sharing of a row, and the accounts that have a grant.
    pub(crate) fn of(shared_with: SharedWith, accounts: BTreeSet<AccountId>) -> Self {
        match shared_with {
            SharedWith::Nobody => Self::Nobody,
            SharedWith::Accounts => Self::Accounts(accounts),
            SharedWith::Everybody => Self::Everybody,
        }
    }
}
