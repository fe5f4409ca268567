//! Account keys in memory: opened once, kept while the process lives.
//!
//! Always true: an account's keys are stored, sealed, before anything is sealed with them.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use objects::{AccountKeys, ObjectKey, SealedKey};
use store::accounts::{AccountSecretRow, SecretKind, account_secret_insert, account_secrets_list};
use store::objects::ObjectRow;
use types::AccountId;

use crate::{Control, Error};

/// The keys that were opened so far.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    open: RwLock<BTreeMap<AccountId, Arc<AccountKeys>>>,
}

impl Control {
    /// The keys of an account.
    pub(crate) async fn account_keys(&self, account: AccountId) -> Result<Arc<AccountKeys>, Error> {
        if let Some(keys) = self.shared.keys.open.read().get(&account) {
            return Ok(Arc::clone(keys));
        }
        let rows: Vec<AccountSecretRow> = self
            .shared
            .store
            .read("read account keys", |tx| Box::pin(account_secrets_list(tx, account)))
            .await?;
        let newest = rows.into_iter().filter(|row| row.kind == SecretKind::Key);
        let newest = newest.max_by_key(|row| row.version).ok_or_else(|| Error::Internal {
            attempted: "the account has no keys",
            source: account.to_string().into(),
        })?;
        let sealed = hex::decode(&newest.sealed)
            .map_err(|error| Error::internal("could not read account keys", error))?;
        let keys = self.shared.vault.open_account(account, &sealed).map_err(Error::Objects)?;
        let keys = Arc::new(keys);
        self.shared.keys.open.write().insert(account, Arc::clone(&keys));
        Ok(keys)
    }

    /// Forgets an account's keys, so that they are read again.
    pub(crate) fn forget_keys(&self, account: AccountId) {
        self.shared.keys.open.write().remove(&account);
    }

    /// Fresh keys for a new account, sealed for its row.
    pub(crate) fn fresh_keys(&self, account: AccountId) -> AccountSecretRow {
        let keys = AccountKeys::generate(account);
        AccountSecretRow {
            account_id: account,
            kind: SecretKind::Key,
            version: keys.version(),
            sealed: hex::encode(self.shared.vault.seal_account(&keys)),
        }
    }

    /// The key of an object, to read it here or to grant it to an instance.
    pub(crate) async fn object_key(&self, row: &ObjectRow) -> Result<ObjectKey, Error> {
        let mut keys = self.account_keys(row.account_id).await?;
        if row.key_version > keys.version() {
            // Another control plane rotated the key since ours were read.
            self.forget_keys(row.account_id);
            keys = self.account_keys(row.account_id).await?;
        }
        let bytes = hex::decode(&row.sealed_key)
            .map_err(|error| Error::internal("could not read an object's key", error))?;
        let sealed = SealedKey { version: row.key_version, bytes };
        keys.open_key(row.id, &sealed).map_err(Error::Objects)
    }
}

/// Stores the keys of a new account.
pub(crate) async fn insert(
    tx: &mut store::Tx<'_>,
    row: &AccountSecretRow,
) -> Result<(), store::Error> {
    account_secret_insert(tx, row).await
}
