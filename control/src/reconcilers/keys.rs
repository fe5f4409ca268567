//! Brings every sealed secret under the key in use: account secrets and the cloud's own under the
//! master key, objects' keys under their account's.
//!
//! Always true: no data is rewritten; what is sealed by an older key stays readable until it is
//! resealed, and only then may the older key be forgotten.

use futures::FutureExt as _;
use futures::future::BoxFuture;

use objects::SealedKey;
use store::accounts::{
    AccountSecretRow, account_secret_reseal, account_secrets_list, accounts_list,
};
use store::objects::{object_reseal, objects_list_sealed_before};
use store::settings::{setting_find, setting_store};
use store::tokens::{token_reseal, tokens_list_keyed};
use types::AccountId;
use workflow::reconciler::{Reconciler, Status};

use crate::operations::tokens::seal_context;
use crate::setup::SECRETS;
use crate::{Control, Error};

/// The reconciler's name, by which it is woken.
pub const NAME: &str = "keys";

/// Accounts and objects handled in one step.
const BATCH: u32 = 200;

/// Reseals what older keys seal.
#[derive(Debug)]
pub struct Keys {
    control: Control,
}

impl Keys {
    /// For this control plane.
    pub fn new(control: Control) -> Self {
        Self { control }
    }

    async fn close(&self) -> Result<Status, Error> {
        let mut status = Status::default();
        status.steps_done += self.control.reseal_own_secrets().await?;
        status.steps_done += self.control.reseal_access_keys().await?;
        let mut after: Option<AccountId> = None;
        loop {
            let accounts = self
                .control
                .shared
                .store
                .read("list accounts", |tx| Box::pin(accounts_list(tx, after, BATCH)))
                .await?;
            after = accounts.last().map(|account| account.id);
            for account in &accounts {
                match self.reseal_account(account.id).await {
                    Ok(steps) => status.steps_done += steps,
                    Err(error) => {
                        let text = format!("{}: {}", account.name, workflow::chain(&error));
                        status.failures.push(text);
                    }
                }
            }
            if accounts.len() < BATCH as usize {
                return Ok(status);
            }
        }
    }

    async fn reseal_account(&self, account: AccountId) -> Result<u64, Error> {
        let steps = self.control.reseal_account_secrets(account).await?;
        Ok(steps + self.reseal_objects(account).await?)
    }

    /// Seals the keys of the account's objects under the newest version of its key.
    async fn reseal_objects(&self, account: AccountId) -> Result<u64, Error> {
        let control = &self.control;
        let keys = control.account_keys(account).await?;
        let version = keys.version();
        let mut steps = 0;
        loop {
            let rows = control
                .shared
                .store
                .read("list objects to reseal", |tx| {
                    Box::pin(objects_list_sealed_before(tx, account, version, BATCH))
                })
                .await?;
            for row in &rows {
                let bytes = hex::decode(&row.sealed_key)
                    .map_err(|error| Error::internal("could not read an object's key", error))?;
                let sealed = SealedKey { version: row.key_version, bytes };
                let Some(fresh) = keys.reseal_key(row.id, &sealed).map_err(Error::Objects)? else {
                    continue;
                };
                let (id, text) = (row.id, hex::encode(&fresh.bytes));
                control
                    .shared
                    .store
                    .transact("reseal an object", |tx| {
                        Box::pin(object_reseal(tx, id, &text, fresh.version))
                    })
                    .await?;
                steps += 1;
            }
            if rows.len() < BATCH as usize {
                return Ok(steps);
            }
        }
    }
}

impl Control {
    /// Seals the cloud's own secrets under the master key in use; says how many were not.
    async fn reseal_own_secrets(&self) -> Result<u64, Error> {
        let mut steps = 0;
        for name in SECRETS {
            let there = self
                .shared
                .store
                .read("read a secret of the cloud", |tx| Box::pin(setting_find(tx, name)))
                .await?;
            let Some(sealed) = there else { continue };
            let bytes = hex::decode(&sealed)
                .map_err(|error| Error::internal("a secret of the cloud is broken", error))?;
            let fresh = self.shared.vault.reseal(name, &bytes).map_err(Error::Objects)?;
            let Some(fresh) = fresh.map(hex::encode) else { continue };
            self.shared
                .store
                .transact("reseal a secret of the cloud", |tx| {
                    Box::pin(setting_store(tx, name, &fresh))
                })
                .await?;
            steps += 1;
        }
        Ok(steps)
    }

    /// Seals the secrets of access keys under the master key in use; says how many were not.
    async fn reseal_access_keys(&self) -> Result<u64, Error> {
        let (mut steps, mut after) = (0, None);
        loop {
            let list = self
                .shared
                .store
                .read("list access keys", |tx| Box::pin(tokens_list_keyed(tx, after, BATCH)));
            let rows = list.await?;
            after = rows.last().map(|row| row.id);
            let count = rows.len();
            for row in rows {
                let Some(key) = row.access_key else { continue };
                let sealed = hex::decode(&key.sealed_secret)
                    .map_err(|error| Error::internal("could not read an access key", error))?;
                let fresh = self.shared.vault.reseal(&seal_context(&key.name), &sealed);
                let Some(fresh) = fresh.map_err(Error::Objects)?.map(hex::encode) else { continue };
                let before = key.sealed_secret;
                self.shared
                    .store
                    .transact("reseal an access key", |tx| {
                        Box::pin(token_reseal(tx, row.id, (&before, &fresh)))
                    })
                    .await?;
                steps += 1;
            }
            if count < BATCH as usize {
                return Ok(steps);
            }
        }
    }

    /// Seals an account's secrets under the master key in use; says how many were not.
    async fn reseal_account_secrets(&self, account: AccountId) -> Result<u64, Error> {
        let rows: Vec<AccountSecretRow> = self
            .shared
            .store
            .read("read account keys", |tx| Box::pin(account_secrets_list(tx, account)))
            .await?;
        let mut steps = 0;
        for row in rows {
            let sealed = hex::decode(&row.sealed)
                .map_err(|error| Error::internal("could not read account keys", error))?;
            let fresh = self.shared.vault.reseal_account(account, &sealed);
            let Some(fresh) = fresh.map_err(Error::Objects)? else { continue };
            let before = row.sealed.clone();
            let row = AccountSecretRow { sealed: hex::encode(fresh), ..row };
            let stored = self
                .shared
                .store
                .transact("reseal account keys", |tx| {
                    Box::pin(account_secret_reseal(tx, &row, &before))
                })
                .await;
            match stored {
                // Another control plane was quicker.
                Err(store::Error::Conflict { .. }) => {}
                other => other?,
            }
            steps += 1;
        }
        Ok(steps)
    }
}

impl Reconciler for Keys {
    fn name(&self) -> &'static str {
        NAME
    }

    fn period_ms(&self) -> u64 {
        10 * 60_000
    }

    fn activate(&self) -> BoxFuture<'_, Status> {
        async {
            let closed = self.close().await;
            closed.unwrap_or_else(|error| Status::failed(workflow::chain(&error)))
        }
        .boxed()
    }
}
