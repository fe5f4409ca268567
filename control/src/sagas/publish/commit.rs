//! The end of a publishing: its version gets a number, and is listed in one transaction.

use catalog::Listing;
use store::items::{ItemRow, item_fetch, item_fetch_by_name, item_insert, item_share};
use store::logs::logs_append_from;
use store::publishes::{PublishRow, PublishState, publish_fetch, publish_update};
use store::versions::{VersionRow, version_insert};
use types::{ErrorKind, ItemId, ItemKind, Name, PublishId, Reference};
use workflow::saga::{Failure, Outcome};

use super::{PublishSaga, State, json};
use crate::Error;
use crate::operations::items;
use crate::operations::publishes::said;
use crate::sagas::failure;

/// The last step, in which the version becomes visible.
const LIST: &str = "list";

impl PublishSaga {
    /// Draws the number that the version gets, unless another publishing is quicker.
    pub(super) async fn version(&self, state: &mut State) -> Result<Outcome, Failure> {
        let name = state.manifest()?.name.clone();
        let drawn = match state.version {
            Some(drawn) => drawn,
            None => self.draw_number(state, &name).await?,
        };
        state.version = Some(drawn);
        let reference = reference(state, &name, drawn.1);
        self.say(state, "version", "info", &format!("{reference}, signed")).await?;
        Ok(Outcome::Done)
    }

    async fn draw_number(&self, state: &State, name: &Name) -> Result<(ItemId, u32), Failure> {
        let (account, name) = (state.account, name.clone());
        let found = self.control.shared.store.read("look for the item", move |tx| {
            Box::pin(async move { item_fetch_by_name(tx, account, &name).await })
        });
        match found.await {
            Ok(item) => Ok((item.id, item.newest + 1)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok((ItemId::new(self.control.clock().uuid()), 1))
            }
            Err(error) => Err(failure(&error.into())),
        }
    }

    /// Commits item, version and the end of the publishing together.
    pub(super) async fn list(&self, state: &mut State) -> Result<Outcome, Failure> {
        let manifest = state.manifest()?.clone();
        let Some((item_id, number)) = state.version else {
            state.version = Some(self.draw_number(state, &manifest.name).await?);
            return Ok(Outcome::Wait { retry_after_ms: 0 });
        };
        let mut listing = Listing::of(&state.inspection()?, state.package_bytes);
        listing.figures.extend(state.figures.iter().cloned());
        let signer = &self.control.shared.signer;
        let reference = reference(state, &manifest.name, number);
        let package_sha256 = state.package_sha256;
        let version = VersionRow {
            item_id,
            number,
            object_id: state.object,
            package_sha256: package_sha256
                .ok_or_else(|| Failure::permanent("internal", "no package was received"))?,
            package_bytes: state.package_bytes,
            manifest: json(&manifest)?,
            listing: json(&listing)?,
            files: json(&state.files)?,
            signature: hex::encode(signer.sign(&reference, &state.files)),
            signed_by: hex::encode(signer.public_key()),
            lineage: state.lineage.as_ref().map(json).transpose()?,
            created_at_ms: self.control.now_ms(),
        };
        self.commit(state, (&manifest.name, manifest.kind), &version).await?;
        Ok(Outcome::Done)
    }

    async fn commit(
        &self,
        state: &mut State,
        (name, kind): (&Name, ItemKind),
        version: &VersionRow,
    ) -> Result<(), Failure> {
        let control = &self.control;
        let sharing = items::stored_sharing(control, &state.sharing).await;
        let sharing = sharing.map_err(|error| failure(&error))?;
        let item = ItemRow {
            id: version.item_id,
            account_id: state.account,
            name: name.clone(),
            kind,
            sharing,
            newest: 0,
            generation: 1,
            created_at_ms: version.created_at_ms,
        };
        let (publish, now_ms) = (state.publish, control.now_ms());
        let committed = control
            .shared
            .store
            .transact("publish a version", |tx| {
                let (item, version) = (item.clone(), version.clone());
                Box::pin(async move { insert(tx, publish, (&item, &version), now_ms).await })
            })
            .await;
        match committed {
            Ok(()) => Ok(()),
            Err(Error::Store(store::Error::Stale { .. } | store::Error::Unique { .. })) => {
                // Another publishing of the same item was quicker: draw the next number.
                state.version = None;
                Err(Failure::transient("another version of the item was published meanwhile"))
            }
            Err(error) => Err(failure(&error)),
        }
    }
}

fn reference(state: &State, name: &Name, number: u32) -> Reference {
    Reference {
        account: Some(state.account_name.clone()),
        name: name.clone(),
        version: Some(number),
    }
}

/// In one transaction: the item where it is new, its version, and the end of the publishing.
async fn insert(
    tx: &mut store::Tx<'_>,
    publish: PublishId,
    (item, version): (&ItemRow, &VersionRow),
    now_ms: u64,
) -> Result<(), Error> {
    let row = publish_fetch(tx, publish).await?;
    if row.state == PublishState::Published {
        return Ok(()); // An earlier run of this step committed, and its answer was lost.
    }
    if version.number == 1 {
        let (sharing, first) = (item.sharing.clone(), store::Sharing::Nobody);
        item_insert(tx, &ItemRow { sharing: first, ..item.clone() }).await?;
        version_insert(tx, version).await?;
        if sharing != store::Sharing::Nobody {
            let generation = item_fetch(tx, item.id).await?.generation;
            item_share(tx, item.id, generation, &sharing).await?;
        }
    } else {
        let there = item_fetch(tx, item.id).await?;
        if there.kind != item.kind {
            return Err(Error::Conflict {
                code: "name_taken",
                message: format!(
                    "{} is a {} already; publish the {} under another name",
                    item.name, there.kind, item.kind
                ),
            });
        }
        version_insert(tx, version).await?;
    }
    let row = PublishRow {
        state: PublishState::Published,
        step: LIST.to_owned(),
        name: Some(item.name.clone()),
        item_id: Some(item.id),
        version: Some(version.number),
        ended_at_ms: Some(now_ms),
        ..row
    };
    publish_update(tx, &row).await?;
    // Whoever follows the log until the publishing has ended reads this line too.
    let shown = item_fetch(tx, item.id).await?.sharing;
    let text = format!("listed, and shown to {}", who(&shown));
    let (origin, line) = said(LIST, "info", &text, now_ms);
    logs_append_from(tx, &publish.to_string(), &origin, vec![line]).await?;
    Ok(())
}

fn who(sharing: &store::Sharing) -> &'static str {
    match sharing {
        store::Sharing::Nobody => "its owner only",
        store::Sharing::Accounts(_) => "its owner and named accounts",
        store::Sharing::Everybody => "everybody",
    }
}
