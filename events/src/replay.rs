//! Replay: sends recorded events as a schedule says, and keeps what became of each.
//!
//! A run is four threads, each of which hands on to the next: [`ahead`] makes requests, [`issue`]
//! sends each when it is due, [`receive`] reads answers, [`keep`] judges and stores records.
//!
//! Always true: what a target does never moves a send; every send that was asked for is answered,
//! failed, skipped, dropped or disclosed as lost; memory is bounded by settings, whatever a target
//! does. Absent on purpose: names of hosts and TLS, and who may send where (whoever starts a run).

pub mod accuracy;
mod ahead;
mod answer;
pub mod cells;
mod error;
pub mod files;
mod flow;
mod issue;
pub mod judge;
mod keep;
pub mod plan;
mod receive;
pub mod record;
pub mod report;
mod request;
mod run;
pub mod series;
mod state;
mod steady;
pub mod target;
pub mod traffic;

pub use cells::{Cell, Cells, Counts};
pub use error::Error;
pub use judge::{Answered, FromJson, Judge, Judged};
pub use plan::Plan;
pub use record::{Outcome, Record};
pub use report::{Finished, Progress, Summary};
pub use request::Request;
pub use run::Run;
pub use target::{Address, Variant};
pub use traffic::{Form, Labelled, Posts, Sending, Traffic, traceparent};

#[cfg(test)]
mod tests;
