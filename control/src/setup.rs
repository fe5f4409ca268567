//! Setup: a control plane from its settings.
//!
//! Always true: the cloud's own secrets (signing key, certificate authority) are made once, by
//! whichever control plane is first, and stored sealed by the master key.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use api::accounts::{CreatedAccount, Role};
use api::identity::Authority;
use catalog::{Index, Signer};
use objects::{Blobs, Vault};
use parking_lot::Mutex;
use store::settings::{setting_find, setting_settle};
use types::Name;
use workflow::{Clock, reconciler, saga};

use crate::operations::{self, accounts, search};
use crate::{Control, Drivers, Error, Shared, keys, reconcilers, sagas};

/// What a control plane is told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `sqlite:///FILE` or `postgres://…`.
    pub database: String,
    /// `file:///DIR` or `s3://…`.
    pub objects: String,
    /// Credentials and the like for the object store.
    pub objects_options: objects::Options,
    /// Names this control plane among others over the same database.
    pub name: String,
    /// How long something nobody uses is kept before it is garbage, in milliseconds: longer than
    /// any upload takes.
    pub garbage_grace_ms: u64,
    /// How long the certificate of an agent or gateway holds, in milliseconds. It renews it by
    /// itself, so a shorter time costs little, and a stolen one is of less use.
    pub certificate_ms: u64,
}

/// Why a control plane cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("the database cannot be opened")]
    Store(#[source] store::Error),
    #[error("the object store cannot be opened")]
    Objects(#[source] objects::Error),
    #[error("the policies cannot be read")]
    Access(#[source] access::Error),
    #[error(
        "the cloud's own secrets do not open: the master key is another one than they were sealed with"
    )]
    MasterKey(#[source] objects::Error),
    #[error("{attempted}")]
    Secret {
        attempted: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

const SIGNING_KEY: &str = "signing-key";
const AUTHORITY: &str = "authority";
const WEBHOOKS: &str = "webhooks";
/// The cloud's own secrets, by the names they are stored under.
pub(crate) const SECRETS: [&str; 3] = [SIGNING_KEY, AUTHORITY, WEBHOOKS];

impl Control {
    /// Opens database and objects, and makes what a new cloud needs.
    ///
    /// # Errors
    ///
    /// [`SetupError`] says what is not as it should be.
    pub async fn open(settings: Settings, vault: Vault, clock: Clock) -> Result<Self, SetupError> {
        let blobs = Blobs::open(&settings.objects, settings.objects_options.clone()).await;
        Self::open_over(blobs.map_err(SetupError::Objects)?, settings, vault, clock).await
    }

    /// Like [`Control::open`], over blobs that are open already; those that the settings name are
    /// not looked at.
    ///
    /// # Errors
    ///
    /// As [`Control::open`].
    pub async fn open_over(
        blobs: Blobs,
        settings: Settings,
        vault: Vault,
        clock: Clock,
    ) -> Result<Self, SetupError> {
        let store = store::Store::open(&settings.database).await.map_err(SetupError::Store)?;
        let objects = objects::Store::new(blobs);
        let signer = signer(&store, &vault).await?;
        let authority = authority(&store, &vault, clock.now_ms()).await?;
        let fresh = access::tokens::Secret::generate();
        let webhooks = settle(&store, &vault, WEBHOOKS, fresh.reveal().as_bytes()).await?;
        let activator = reconciler::Activator::new();
        let shared = Shared {
            store: store.clone(),
            objects,
            vault,
            keys: keys::Keys::default(),
            index: Index::new(),
            authorizer: access::Authorizer::new().map_err(SetupError::Access)?,
            authority,
            signer,
            webhooks,
            intake: operations::functions::events::Intake::default(),
            clock: clock.clone(),
            activator: activator.clone(),
            hears_since_ms: AtomicU64::new(clock.now_ms()),
            drivers: Mutex::new(None),
            settings,
        };
        let control = Self { shared: Arc::new(shared) };
        let owner = control.shared.settings.name.clone();
        let sagas = saga::Driver::new(
            clock.clone(),
            Arc::new(store),
            sagas::registry(&control),
            saga::Settings { owner, ..saga::Settings::default() },
        );
        let reconcilers =
            reconciler::Driver::new(clock, activator, reconcilers::registry(&control));
        *control.shared.drivers.lock() = Some(Drivers { sagas, reconcilers });
        let read = search::snapshot(&control).await;
        read.map_err(|error| SetupError::Secret {
            attempted: "the catalogue cannot be read",
            source: Box::new(error),
        })?;
        Ok(control)
    }

    /// Makes the first account, whose token may manage the cloud; none when there is one.
    ///
    /// # Errors
    ///
    /// As the database fails.
    pub async fn first_operator(&self, name: &Name) -> Result<Option<CreatedAccount>, Error> {
        let read = self.shared.store.read("look for an account", |tx| {
            Box::pin(store::accounts::accounts_list(tx, None, 1))
        });
        if !read.await?.is_empty() {
            return Ok(None);
        }
        match accounts::make(self, name.clone(), Role::Operator).await {
            Ok(created) => Ok(Some(created)),
            Err(Error::NameTaken { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

async fn signer(store: &store::Store, vault: &Vault) -> Result<Signer, SetupError> {
    let broken = |error| SetupError::Secret {
        attempted: "the signing key cannot be used",
        source: Box::new(error) as _,
    };
    let fresh = Signer::generate().map_err(broken)?;
    let bytes = settle(store, vault, SIGNING_KEY, &fresh).await?;
    Signer::from_pkcs8(&bytes).map_err(broken)
}

async fn authority(
    store: &store::Store,
    vault: &Vault,
    now_ms: u64,
) -> Result<Authority, SetupError> {
    let broken = |error: api::identity::Error| SetupError::Secret {
        attempted: "the certificate authority cannot be used",
        source: Box::new(error),
    };
    let fresh = Authority::create(now_ms).map_err(broken)?;
    let both = format!("{}\n\0\n{}", fresh.certificate_pem(), fresh.key_pem());
    let bytes = settle(store, vault, AUTHORITY, both.as_bytes()).await?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (certificate, key) = text.split_once("\n\0\n").unwrap_or((&text, ""));
    Authority::open(certificate, key).map_err(broken)
}

/// The secret that is stored under a name; `fresh`, where there is none yet.
async fn settle(
    store: &store::Store,
    vault: &Vault,
    name: &'static str,
    fresh: &[u8],
) -> Result<Vec<u8>, SetupError> {
    let there = store
        .read("read a secret of the cloud", |tx| Box::pin(setting_find(tx, name)))
        .await
        .map_err(SetupError::Store)?;
    let sealed = if let Some(sealed) = there {
        sealed
    } else {
        let sealed = hex::encode(vault.seal(name, fresh));
        store
            .transact("store a secret of the cloud", |tx| {
                let sealed = sealed.clone();
                Box::pin(async move { setting_settle(tx, name, &sealed).await })
            })
            .await
            .map_err(SetupError::Store)?
    };
    let sealed = hex::decode(&sealed).map_err(|error| SetupError::Secret {
        attempted: "a secret of the cloud is broken",
        source: Box::new(error),
    })?;
    vault.open(name, &sealed).map_err(SetupError::MasterKey)
}
