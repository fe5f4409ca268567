//! Events: what happened, kept in the order in which it was accepted.
//!
//! A stream's events are appended to a log on this host, many callers to one write to the disk, and
//! read from it by as many readers as want to, each at its own place.
//!
//! Always true: what was acknowledged is on the disk, once, and is read back as it was given; what
//! was refused is not there at all; memory does not grow with a slow disk or a slow reader.
//! Absent on purpose: who may write (control has looked), where streams live, and what events mean.

pub mod cloudevents;
pub mod copies;
pub mod dedupe;
pub mod drift;
mod error;
mod event;
pub mod export;
mod frame;
pub mod import;
pub mod key;
pub mod labels;
pub mod log;
mod packed;
pub mod replay;
pub mod segment;
pub mod select;
pub mod stream;
pub mod synthetic;

pub use error::Error;
pub use event::{ANSWER, ANSWER_BYTES_MAX, EVENT_BYTES_MAX, Event};
pub use key::{Folder, Key};
pub use labels::Label;
pub use log::{Log, Reader, Stored};
pub use segment::{Forgotten, Segment};
pub use select::{Selected, Selecting, Selection, Stats};
pub use stream::{Appended, Settings, Stream};
