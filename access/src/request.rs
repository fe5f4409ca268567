//! What is asked: who wants to do what with which thing.
//!
//! Always true: roles are ordered and a greater one has every right of a smaller one; every
//! operation of the API is one [`Action`].

use std::fmt;
use std::str::FromStr;

use types::{AccountId, HostId};

/// What a token may do in its account, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads and invokes.
    Reader,
    /// Also publishes, trains, deploys and shares.
    Developer,
    /// Also makes and revokes tokens.
    Owner,
    /// Also manages the cloud, without reading what belongs to other accounts.
    Operator,
}

impl Role {
    /// Every role, least first.
    pub const ALL: [Self; 4] = [Self::Reader, Self::Developer, Self::Owner, Self::Operator];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Developer => "developer",
            Self::Owner => "owner",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a role: use reader, developer, owner or operator")]
pub struct UnknownRole {
    /// What was given, cut to 80 characters.
    pub text: String,
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| UnknownRole { text: text.chars().take(80).collect() })
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $action:ident = $word:literal;)*) => {
        /// What can be done. Each operation of the API is one of these.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action {
            $($(#[$doc])* $action,)*
        }

        impl Action {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$action),*];

            /// The word for it, as policies write it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$action => $word,)*
                }
            }
        }
    };
}

actions! {
    /// Ask whether control answers. On the cloud.
    HealthRead = "health.read";
    /// Read the page of an error code. On the cloud.
    ErrorsRead = "errors.read";
    /// Read the API's description. On the cloud.
    OpenapiRead = "openapi.read";
    /// Exchange an enrolment token for a certificate. On the cloud.
    InternalEnrol = "internal.enrol";
    /// Make an account. On the cloud.
    AccountsCreate = "accounts.create";
    /// List all accounts. On the cloud.
    AccountsList = "accounts.list";
    /// Ask who the caller is. On the cloud.
    AccountsWhoami = "accounts.whoami";
    /// Read an account's name and age. On the account.
    AccountsRead = "accounts.read";
    /// Read what runs. On the cloud.
    StatusRead = "status.read";
    /// Read the sizes of instances. On the cloud.
    InstanceTypesRead = "instance_types.read";
    /// Read how sagas and reconcilers stand. On the cloud.
    TasksRead = "tasks.read";
    /// Make an enrolment token. On the cloud.
    EnrolmentsCreate = "enrolments.create";
    /// Make a token. On the account.
    TokensCreate = "tokens.create";
    /// List tokens, without secrets. On the account.
    TokensList = "tokens.list";
    /// Revoke a token. On the token.
    TokensRevoke = "tokens.revoke";
    /// Make a fresh version of the account's key. On the account.
    KeysRotate = "keys.rotate";
    /// Send chunks and make objects. On the account.
    ObjectsWrite = "objects.write";
    /// Read an object's facts and bytes. On the object.
    ObjectsRead = "objects.read";
    /// Search and ask for suggestions; each result needs [`Self::ItemsRead`]. On the cloud.
    ItemsSearch = "items.search";
    /// List the account's items. On the account.
    ItemsList = "items.list";
    /// Publish a version. On the account.
    ItemsPublish = "items.publish";
    /// Read an item and its listings. On the item.
    ItemsRead = "items.read";
    /// Train with an item, or deploy it. On the item.
    ItemsUse = "items.use";
    /// Read the files, object and lineage of a version. On the package.
    ItemsReadPackage = "items.read_package";
    /// Change who sees an item. On the item.
    ItemsShare = "items.share";
    /// Read what others made of an item. On the item.
    ItemsUsage = "items.usage";
    /// List publishings. On the account.
    PublishesList = "publishes.list";
    /// Read a publishing and its log. On the publishing.
    PublishesRead = "publishes.read";
    /// Start a training. On the account.
    TrainingsCreate = "trainings.create";
    /// List trainings. On the account.
    TrainingsList = "trainings.list";
    /// Read a training and its log. On the training.
    TrainingsRead = "trainings.read";
    /// Cancel a training. On the training.
    TrainingsCancel = "trainings.cancel";
    /// List endpoints. On the account.
    EndpointsList = "endpoints.list";
    /// Read an endpoint and its log. On the endpoint.
    EndpointsRead = "endpoints.read";
    /// Make an endpoint, or change what it runs. On the account, or on the endpoint.
    EndpointsDeploy = "endpoints.deploy";
    /// Change who may call an endpoint. On the endpoint.
    EndpointsShare = "endpoints.share";
    /// Remove an endpoint. On the endpoint.
    EndpointsDelete = "endpoints.delete";
    /// Read metadata and readiness of what an endpoint serves. On the endpoint.
    EndpointsDescribe = "endpoints.describe";
    /// Call an endpoint. On the endpoint.
    EndpointsInvoke = "endpoints.invoke";
    /// List functions. On the account.
    FunctionsList = "functions.list";
    /// Read a function's configuration and versions. On the function.
    FunctionsRead = "functions.read";
    /// Make a function, change it, or make a numbered version of it. On the account, or on the
    /// function.
    FunctionsWrite = "functions.write";
    /// Remove a function. On the function.
    FunctionsDelete = "functions.delete";
    /// Call a function. On the function.
    FunctionsInvoke = "functions.invoke";
    /// Read what calls of functions came to. On the account.
    UsageRead = "usage.read";
    /// List services, their versions and the names of their keys. On the account.
    ServicesRead = "services.read";
    /// Make services and keys, change and remove them. On the account.
    ServicesWrite = "services.write";
    /// List streams and read their events. On the account.
    StreamsRead = "streams.read";
    /// Make, change and remove streams. On the account.
    StreamsWrite = "streams.write";
    /// Add events and labels to streams. On the account.
    StreamsAppend = "streams.append";
    /// List runs and read what they measured. On the account.
    RunsRead = "runs.read";
    /// Replay events, and stop that. On the account.
    RunsWrite = "runs.write";
    /// What an agent does for its host: assignments, reports, blobs. On the host.
    InternalAgent = "internal.agent";
    /// What a gateway does: routes, usage. On the cloud.
    InternalGateway = "internal.gateway";
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The installation itself.
    Cloud,
    /// A machine that runs instances.
    Host,
    /// An account, and the place where its things are made.
    Account,
    Token,
    Object,
    /// What is inside a version of an item.
    Package,
    Publish,
    Training,
    Item,
    Endpoint,
    Function,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Cloud,
        Self::Host,
        Self::Account,
        Self::Token,
        Self::Object,
        Self::Package,
        Self::Publish,
        Self::Training,
        Self::Item,
        Self::Endpoint,
        Self::Function,
    ];

    /// The word for it, as policies write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cloud => "Cloud",
            Self::Host => "Host",
            Self::Account => "Account",
            Self::Token => "Token",
            Self::Object => "Object",
            Self::Package => "Package",
            Self::Publish => "Publish",
            Self::Training => "Training",
            Self::Item => "Item",
            Self::Endpoint => "Endpoint",
            Self::Function => "Function",
        }
    }
}

/// Who asks, as far as it was proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A token of an account.
    Member { account: AccountId, role: Role },
    /// The agent of a host, by its certificate or the local socket.
    Agent { host: HostId },
    /// A gateway, by its certificate or the local socket.
    Gateway,
}

impl Principal {
    /// A token of an account.
    pub const fn member(account: AccountId, role: Role) -> Self {
        Self::Member { account, role }
    }
}

/// With whom the owner shares a thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    #[default]
    Nobody,
    Accounts(Vec<AccountId>),
    Everybody,
}

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub kind: Kind,
    /// Whose it is; absent for the cloud and hosts.
    pub owner: Option<AccountId>,
    /// Counts only for items and endpoints.
    pub sharing: Sharing,
    /// Counts only for hosts.
    pub host: Option<HostId>,
}

impl Resource {
    /// The installation itself.
    pub const fn cloud() -> Self {
        Self { kind: Kind::Cloud, owner: None, sharing: Sharing::Nobody, host: None }
    }

    /// A host.
    pub const fn host(host: HostId) -> Self {
        Self { kind: Kind::Host, owner: None, sharing: Sharing::Nobody, host: Some(host) }
    }

    /// An account.
    pub const fn account(account: AccountId) -> Self {
        Self::of(Kind::Account, account)
    }

    /// A thing that is never shared: a token, object, package, publishing or training.
    pub const fn of(kind: Kind, owner: AccountId) -> Self {
        Self { kind, owner: Some(owner), sharing: Sharing::Nobody, host: None }
    }

    /// An item.
    pub const fn item(owner: AccountId, sharing: Sharing) -> Self {
        Self { kind: Kind::Item, owner: Some(owner), sharing, host: None }
    }

    /// An endpoint.
    pub const fn endpoint(owner: AccountId, sharing: Sharing) -> Self {
        Self { kind: Kind::Endpoint, owner: Some(owner), sharing, host: None }
    }
}

/// Who wants to do what with which thing. Without a principal the caller is anonymous.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub principal: Option<Principal>,
    pub action: Action,
    pub resource: Resource,
}
