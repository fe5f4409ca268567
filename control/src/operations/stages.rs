//! Stages: the models that an endpoint runs one after the other, as they were found.

use api::internal::{ObjectGrant, Purpose, Task};
use formats::manifest::Manifest;
use types::{
    AccountId, Format, InstanceType, ItemId, Limits, Name, ObjectId, Reference, Runtime, TokenId,
};

use crate::caller::Caller;
use crate::operations::items::{self, from_json, listing};
use crate::{Control, Error};

/// A stage of a pipeline or the whole of a model endpoint, as it was found.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct ResolvedStage {
    pub(crate) reference: Reference,
    pub(crate) item: ItemId,
    pub(crate) owner: AccountId,
    pub(crate) object: ObjectId,
    pub(crate) bytes: u64,
    pub(crate) entry: String,
    pub(crate) batch_max: u32,
    pub(crate) limits: Limits,
    pub(crate) input: Option<Format>,
    pub(crate) output: Option<Format>,
}

impl ResolvedStage {
    /// The task that serves this stage on an instance of this size.
    pub(crate) fn task(&self, size: &InstanceType) -> Task {
        let limits =
            Limits { memory_bytes: size.memory_bytes, cpu_milli: size.cpu_milli, ..self.limits };
        Task {
            runtime: Runtime::Onnx,
            package: ungranted(self.owner, self.object, self.bytes),
            entry: self.entry.clone(),
            args: Vec::new(),
            limits,
            batch_max: self.batch_max,
            purpose: Purpose::Serve,
        }
    }
}

/// A grant without its key, as it is stored.
pub(crate) fn ungranted(account: AccountId, object: ObjectId, bytes: u64) -> ObjectGrant {
    ObjectGrant { account, object, bytes, key: String::new() }
}

/// The model that a stage means, if the account may use it.
pub(crate) async fn resolve_stage(
    control: &Control,
    (account, account_name): &(AccountId, Name),
    reference: &Reference,
) -> Result<ResolvedStage, Error> {
    let caller = Caller {
        token: TokenId::new(uuid::Uuid::nil()),
        account: *account,
        account_name: account_name.clone(),
        role: access::Role::Developer,
    };
    let (seen, version) = items::resolve(control, &caller, reference).await?;
    let manifest: Manifest = from_json(&version.manifest)?;
    let listing = listing(&version.listing)?;
    let task = manifest.task.filter(|task| task.runtime == Runtime::Onnx);
    let Some(task) = task else {
        return Err(Error::wrong_kind(format!(
            "{}/{} is a {}, and only models answer requests",
            seen.account_name, seen.item.name, seen.item.kind
        )));
    };
    Ok(ResolvedStage {
        reference: Reference {
            account: Some(seen.account_name),
            name: seen.item.name,
            version: Some(version.number),
        },
        item: version.item_id,
        owner: seen.item.account_id,
        object: version.object_id,
        bytes: version.package_bytes,
        entry: task.entry,
        batch_max: task.batch_max,
        limits: Limits {
            timeout_ms: task.timeout_ms,
            memory_bytes: listing.requires.memory_bytes,
            cpu_milli: listing.requires.cpu_milli,
            processes: listing.requires.processes,
            scratch_bytes: listing.requires.scratch_bytes,
        },
        input: listing.input,
        output: listing.output,
    })
}
