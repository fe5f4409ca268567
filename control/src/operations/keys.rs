//! Keys: a fresh version of an account's key. Objects are resealed by the reconciler of keys.

use access::{Action, Resource};
use api::accounts::RotatedKey;
use store::accounts::{AccountSecretRow, SecretKind, account_secret_insert};

use crate::caller::Caller;
use crate::{Control, Error};

/// Makes a fresh version of the account's key; new objects are sealed under it from now on.
pub async fn rotate(control: &Control, caller: &Caller) -> Result<RotatedKey, Error> {
    control.authorize(caller, Action::KeysRotate, Resource::account(caller.account))?;
    control.forget_keys(caller.account);
    let mut keys = control.account_keys(caller.account).await?.as_ref().clone();
    let version = keys.rotate();
    let row = AccountSecretRow {
        account_id: caller.account,
        kind: SecretKind::Key,
        version,
        sealed: hex::encode(control.shared.vault.seal_account(&keys)),
    };
    let stored = control
        .shared
        .store
        .transact("rotate an account key", |tx| Box::pin(account_secret_insert(tx, &row)))
        .await;
    match stored {
        Ok(()) => {}
        Err(store::Error::Unique { .. }) => {
            return Err(Error::Conflict {
                code: "conflict",
                message: "the key is being rotated by another call".to_owned(),
            });
        }
        Err(error) => return Err(error.into()),
    }
    control.forget_keys(caller.account);
    control.wake(crate::reconcilers::keys::NAME);
    Ok(RotatedKey { version })
}
