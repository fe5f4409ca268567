//! An endpoint as the gateway sees it.
//!
//! Always true: its inputs are those of the first stage and its outputs those of the last, as far
//! as they are known.

use std::sync::Arc;

use access::{Action, Authorizer, Sharing};
use api::accounts::Role;
use api::internal::{Description, Route};
use types::{AccountId, EndpointId, Format, FunctionName, Name, TensorSpec};

use crate::backends::{Backend, Renewal};
use crate::error::Error;
use crate::routes::Caller;
use crate::statistics::Statistics;

/// An endpoint that callers invoke.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Its owner.
    pub account: AccountId,
    /// Its owner's name.
    pub account_name: Name,
    /// Its name in its owner's account.
    pub name: Name,
    /// What it is called among the variants of that name.
    pub variant: Name,
    /// A function of that account, with a version or alias, that answers in place of stages.
    pub function: Option<(FunctionName, String)>,
    /// Whether a trigger wants to know how live requests end.
    pub watched: bool,
    /// The version callers see.
    pub version: u32,
    /// What a request passes through, in order.
    pub stages: Vec<Stage>,
    /// What it takes, as was declared.
    pub input: Option<Format>,
    /// Its counts and times since this gateway started.
    pub statistics: Arc<Statistics>,
    everybody: bool,
    accounts: Vec<AccountId>,
    output: Option<Format>,
}

/// One stage of an endpoint.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The producer's limit for one request, in milliseconds.
    pub timeout_ms: u64,
    /// What the model says of itself; known once an instance was ready.
    pub description: Option<Description>,
    /// The instances that are ready.
    pub backends: Vec<Arc<Backend>>,
}

impl Endpoint {
    pub(super) fn build(route: Route, statistics: Arc<Statistics>, kept: &mut Renewal<'_>) -> Self {
        let stages = route.stages.into_iter().map(|stage| Stage {
            timeout_ms: stage.timeout_ms,
            description: stage.description,
            backends: stage.backends.into_iter().map(|backend| kept.keep(backend)).collect(),
        });
        Self {
            id: route.endpoint,
            account: route.account,
            account_name: route.account_name,
            name: route.name,
            variant: route.variant,
            function: route.function,
            watched: route.watched,
            version: route.version,
            stages: stages.collect(),
            input: route.input,
            statistics,
            everybody: route.everybody,
            accounts: route.accounts,
            output: route.output,
        }
    }

    /// Whether the policies allow this caller to do this with it.
    pub(crate) fn allows(&self, rights: &Authorizer, caller: &Caller, action: Action) -> bool {
        let principal = principal(caller);
        // Of the accounts it is shared with only the caller's own counts: no list is copied.
        let named = caller.account().filter(|account| self.accounts.contains(account));
        let sharing = match named {
            _ if self.everybody => Sharing::Everybody,
            Some(account) => Sharing::Accounts(vec![account]),
            None => Sharing::Nobody,
        };
        let resource = access::Resource::endpoint(self.account, sharing);
        rights.allows(&access::Request { principal, action, resource })
    }

    /// Whether every stage has an instance that is ready. A function always is.
    pub(crate) fn ready(&self) -> bool {
        self.function.is_some()
            || !self.stages.is_empty() && self.stages.iter().all(|stage| !stage.backends.is_empty())
    }

    /// Checks a version that a caller asked for; empty asks for any.
    ///
    /// # Errors
    ///
    /// [`Error::NoVersion`] when it is not the one served.
    pub(crate) fn check_version(&self, model: &str, version: &str) -> Result<(), Error> {
        if version.is_empty() || version.parse() == Ok(self.version) {
            return Ok(());
        }
        let version = version.chars().take(40).collect();
        Err(Error::NoVersion { model: model.to_owned(), version, serves: self.version })
    }

    /// The inputs, in the model's order; none while neither an instance nor the listing tells.
    pub(crate) fn inputs(&self) -> Option<&[TensorSpec]> {
        let told = self.stages.first().and_then(|stage| stage.description.as_ref());
        told.map(|told| told.inputs.as_slice()).or_else(|| declared(self.input.as_ref()))
    }

    /// The outputs, like [`Endpoint::inputs`].
    pub(crate) fn outputs(&self) -> Option<&[TensorSpec]> {
        let told = self.stages.last().and_then(|stage| stage.description.as_ref());
        told.map(|told| told.outputs.as_slice()).or_else(|| declared(self.output.as_ref()))
    }

    /// Most rows of a batch: the smallest of the stages; 0 when one takes none or is not known.
    pub(crate) fn batch_max(&self) -> u32 {
        let of = |stage: &Stage| stage.description.as_ref().map_or(0, |told| told.batch_max);
        self.stages.iter().map(of).min().unwrap_or(0)
    }

    /// What it is made for, such as `onnx`; `pipeline` when it has several stages.
    pub(crate) fn platform(&self) -> &str {
        match self.stages.as_slice() {
            [stage] => stage.description.as_ref().map_or("", |told| &told.platform),
            _ => "pipeline",
        }
    }

    /// The engine that runs it; `pipeline` when it has several stages.
    pub(crate) fn engine(&self) -> &str {
        match self.stages.as_slice() {
            [stage] => stage.description.as_ref().map_or("", |told| &told.engine),
            _ => "pipeline",
        }
    }
}

const fn role(role: Role) -> access::Role {
    match role {
        Role::Reader => access::Role::Reader,
        Role::Developer => access::Role::Developer,
        Role::Owner => access::Role::Owner,
        Role::Operator => access::Role::Operator,
    }
}

fn declared(format: Option<&Format>) -> Option<&[TensorSpec]> {
    match format? {
        Format::Tensors { tensors } => Some(tensors),
        _ => None,
    }
}

/// A caller as the policies know it.
pub(crate) fn principal(caller: &Caller) -> Option<access::Principal> {
    match caller {
        Caller::Anonymous => None,
        Caller::Known(known) => Some(access::Principal::member(known.account, role(known.role))),
    }
}
