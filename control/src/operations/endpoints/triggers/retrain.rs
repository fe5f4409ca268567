//! Training anew what a variant answers with: as it was trained last, by the newest versions of what
//! that read.
//!
//! Always true: while a model is being trained, no trigger has it trained too; what is trained becomes
//! the next version of the same item, and answers nobody by itself.

use api::trainings::TrainRequest;
use store::endpoints::EndpointRow;
use store::trainings::{TrainingRow, training_of_model, trainings_under_way};
use types::{ItemId, Name, Reference, TaskReference, TokenId, Used};

use super::act::{Cause, Planned, Write};
use crate::caller::Caller;
use crate::operations::endpoints::variants;
use crate::operations::items::{self, from_json};
use crate::operations::trainings;
use crate::{Control, Error};

/// A training as the last one of the model that the variant answers with that was seen.
pub(super) async fn retrain(
    control: &Control,
    endpoint: &EndpointRow,
    cause: &Cause<'_>,
) -> Result<Planned, Error> {
    let caller = owner(control, endpoint).await?;
    let (variant, model) = model(cause)?;
    let (seen, _) = items::resolve(control, &caller, model).await?;
    let earlier = trainings_of(control, &caller, seen.item.id).await?;
    let Some(last) = earlier.last else {
        let message = format!("{variant} answers with {model}, which was not trained here");
        return Err(Error::invalid(message));
    };
    let last: TrainRequest = from_json(&last.request)?;
    if let Some(row) = trainings::of_model(&earlier.under_way, &last.model) {
        let words = format!("{} is being trained already, by {}", last.model, row.id);
        return Ok(Planned::done(Write::Nothing, words));
    }
    let newest = |reference: &Reference| Reference { version: None, ..reference.clone() };
    let data = last.data.iter().map(|(channel, set)| (channel.clone(), newest(set))).collect();
    let request = TrainRequest { algorithm: newest(&last.algorithm), data, ..last };
    let training = trainings::prepare(control, &caller, &request).await?;
    let words = format!("{} is trained anew, by {}", request.model, training.id());
    Ok(Planned::done(Write::Training(Box::new(training)), words))
}

/// The variant that was seen, and the model that it answers with.
fn model<'a>(cause: &'a Cause<'_>) -> Result<(&'a Name, &'a Reference), Error> {
    let is_watched =
        |(row, _): &&(EndpointRow, Used)| Some(&row.variant) == cause.saw.variant.as_ref();
    let watched = cause.used.iter().find(is_watched);
    let Some((row, _)) = watched else { return Err(Error::invalid("no variant is watched")) };
    match variants::answers(row) {
        TaskReference::Item(reference) => Ok((&row.variant, reference)),
        TaskReference::Function { .. } => {
            let message =
                format!("{} answers with a function: only models are trained", row.variant);
            Err(Error::invalid(message))
        }
    }
}

/// Who owns an endpoint, as who asks.
async fn owner(control: &Control, endpoint: &EndpointRow) -> Result<Caller, Error> {
    let id = endpoint.account_id;
    let read = control
        .shared
        .store
        .read("fetch an account", |tx| Box::pin(store::accounts::account_fetch(tx, id)));
    Ok(Caller {
        token: TokenId::new(uuid::Uuid::nil()),
        account: id,
        account_name: read.await?.name,
        role: access::Role::Developer,
    })
}

/// What is known of trainings.
struct Earlier {
    /// The newest one that made a version of the model.
    last: Option<TrainingRow>,
    /// Those of the account that go on.
    under_way: Vec<TrainingRow>,
}

async fn trainings_of(control: &Control, caller: &Caller, model: ItemId) -> Result<Earlier, Error> {
    let account = caller.account;
    let read = control.shared.store.read("find the training of a model", |tx| {
        Box::pin(async move {
            let last = training_of_model(tx, account, model).await?;
            let under_way = trainings_under_way(tx, account).await?;
            Ok::<_, store::Error>(Earlier { last, under_way })
        })
    });
    Ok(read.await?)
}
