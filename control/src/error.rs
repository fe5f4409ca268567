//! What may go wrong in control, and what it means to a caller.
//!
//! Always true: the text of an error says what happened to the caller's request; causes below it
//! go to the log only. A failure of a lower room is internal unless this layer says otherwise.

use types::ErrorKind;

/// A request that control could not fulfil.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{what} does not exist, or you may not see it")]
    NotFound { what: String },
    #[error("no valid token came with the request")]
    Unauthenticated,
    #[error("{0}")]
    BadSignature(access::signature::Refusal),
    #[error("the lifetime of this token is over")]
    TokenExpired,
    #[error("this enrolment token is unknown, used up, or has ended")]
    EnrolmentRefused,
    #[error("this token may not {action}")]
    Forbidden { action: String },
    /// No role would help: it is another account's.
    #[error("only the owner of {what} may {action}")]
    OwnerOnly { what: String, action: &'static str },
    #[error("{message}")]
    Invalid { code: &'static str, message: String },
    #[error("the name {name} is taken")]
    NameTaken { name: String },
    #[error("the request was made for an older generation; the present one is {stored}")]
    Stale { stored: u64 },
    #[error("{message}")]
    Conflict { code: &'static str, message: String },
    #[error("{what} is larger than the limit of {limit}")]
    TooLarge { what: &'static str, limit: String },
    /// `later`: there may be room once something else has ended.
    #[error("no host has room: {message}")]
    NoResources { message: String, later: bool },
    #[error("the database cannot be reached")]
    DatabaseUnavailable(#[source] store::Error),
    #[error("the disk of the database is full")]
    DatabaseFull(#[source] store::Error),
    #[error("the database refused the request")]
    Store(#[source] store::Error),
    #[error("the object store cannot be reached")]
    StorageUnavailable(#[source] objects::Error),
    #[error("the disk of the object store is full")]
    StorageFull(#[source] objects::Error),
    #[error("stored bytes are missing, or not what was stored")]
    ObjectCorrupt(#[source] objects::Error),
    #[error("the object store failed")]
    Objects(#[source] objects::Error),
    #[error("{attempted}")]
    Internal {
        attempted: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// A fault of ours, with its cause.
    pub fn internal(
        attempted: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Internal { attempted, source: source.into() }
    }

    /// A request that is wrong in itself.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { code: "bad_request", message: message.into() }
    }

    /// A request that names a thing of a kind that does not fit.
    pub fn wrong_kind(message: impl Into<String>) -> Self {
        Self::Invalid { code: "wrong_kind", message: message.into() }
    }

    /// What the error means to the caller.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Unauthenticated
            | Self::BadSignature(_)
            | Self::TokenExpired
            | Self::EnrolmentRefused => ErrorKind::Unauthenticated,
            Self::Forbidden { .. } | Self::OwnerOnly { .. } => ErrorKind::Forbidden,
            Self::Invalid { .. } => ErrorKind::BadRequest,
            Self::NameTaken { .. } | Self::Stale { .. } | Self::Conflict { .. } => {
                ErrorKind::Conflict
            }
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::NoResources { .. } => ErrorKind::Busy,
            Self::DatabaseUnavailable(_)
            | Self::DatabaseFull(_)
            | Self::StorageUnavailable(_)
            | Self::StorageFull(_) => ErrorKind::Unavailable,
            Self::Store(_) | Self::ObjectCorrupt(_) | Self::Objects(_) | Self::Internal { .. } => {
                ErrorKind::Internal
            }
        }
    }

    /// The word that programs match on; each has a page in `docs/errors/`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::Unauthenticated | Self::BadSignature(_) => "unauthenticated",
            Self::TokenExpired => "token_expired",
            Self::EnrolmentRefused => "enrolment_refused",
            Self::Forbidden { .. } | Self::OwnerOnly { .. } => "forbidden",
            Self::Invalid { code, .. } | Self::Conflict { code, .. } => code,
            Self::NameTaken { .. } => "name_taken",
            Self::Stale { .. } => "stale_generation",
            Self::TooLarge { .. } => "too_large",
            Self::NoResources { .. } => "no_resources",
            Self::DatabaseUnavailable(_) => "database_unavailable",
            Self::StorageUnavailable(_) => "storage_unavailable",
            Self::StorageFull(_) | Self::DatabaseFull(_) => "storage_full",
            Self::ObjectCorrupt(_) => "object_corrupt",
            Self::Store(_) | Self::Objects(_) | Self::Internal { .. } => "internal",
        }
    }

    /// What the caller can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Unauthenticated => {
                "send Authorization: Bearer TOKEN; `freehold login` keeps one for you"
            }
            Self::TokenExpired => "ask an owner of the account for a new token",
            Self::EnrolmentRefused => "ask an operator for a new token: `freehold status --enrol`",
            Self::Forbidden { .. } => "ask an owner of the account for a token with a higher role",
            Self::Stale { .. } => "read it again, and repeat the change with the new generation",
            Self::NameTaken { .. } => "choose another name",
            Self::NoResources { .. } => {
                "stop an endpoint, ask for a smaller instance type, or add a host"
            }
            Self::DatabaseUnavailable(_) | Self::StorageUnavailable(_) => {
                "nothing was lost; repeat the request in a few seconds"
            }
            Self::DatabaseFull(_) => "free space for the database, then repeat the request",
            Self::StorageFull(_) => "free space for the object store, then repeat the request",
            Self::ObjectCorrupt(_) => {
                "publish the version again from its folder, or have an operator restore a backup"
            }
            _ => return None,
        })
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match (&error, error.kind()) {
            (store::Error::Full { .. }, _) => Self::DatabaseFull(error),
            (_, ErrorKind::Unavailable) => Self::DatabaseUnavailable(error),
            _ => Self::Store(error),
        }
    }
}
