//! Access: who may do what, and the secrets by which callers prove who they are.
//!
//! Decisions are made by Cedar policies, the texts in `policies/`, which are part of the program.
//! Always true: what no policy allows is refused; a decision depends on its request only; the text
//! of a secret is never kept, only its digest.
//! Absent on purpose: storage of tokens, HTTP, and knowing which account a name means.
#![forbid(unsafe_code)]

pub mod credentials;
pub mod decide;
pub mod request;
pub mod signature;
pub mod tokens;
pub mod webhooks;

pub use credentials::Credentials;
pub use decide::{Authorizer, Decision, Error};
pub use request::{Action, Kind, Principal, Request, Resource, Role, Sharing, UnknownRole};
