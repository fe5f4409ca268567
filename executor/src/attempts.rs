//! The attempts: what programs try in a sandbox that they must not be able to do.
//!
//! Always true: every attempt has a program in `executor-test-attempts`, which the suite runs
//! against every level; one that is declared held fails every time.
//! Absent on purpose: how an attempt is made. This is the table, which `docs/operate/isolation.md`
//! and `freehold status` show.

mod table;

use crate::features::Feature;
use crate::launch::Level;

pub use table::ATTEMPTS;

/// Something that a program tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its name, in words with hyphens.
    pub name: &'static str,
    /// What is tried.
    pub tries: &'static str,
    /// What it is aimed at.
    pub kind: Kind,
    /// The feature of [`crate::features`] without which the level `process` cannot hold it.
    pub needs: Option<&'static str>,
    /// Whether root can do it outside any sandbox, without a lasting effect. A test shows then that
    /// the attempt would be seen to succeed.
    pub bare: bool,
}

/// What an attempt is aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Files of the host, of neighbours, and one's own that are read-only.
    Files,
    /// Other processes, and outliving one's sandbox.
    Processes,
    /// More memory, processors, processes or disk than were given.
    Resources,
    /// Addresses and sockets.
    Network,
    /// The kernel's own doors.
    Kernel,
    /// More rights, and secrets of the executor.
    Rights,
}

impl Kind {
    /// The kind in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Processes => "processes",
            Self::Resources => "resources",
            Self::Network => "network",
            Self::Kernel => "kernel",
            Self::Rights => "rights",
        }
    }
}

/// What a level says of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It fails, every time.
    Held,
    /// This machine lacks the named feature, and the level does not hold the attempt without it.
    NotOffered {
        /// The feature, as in [`crate::features`].
        lacks: &'static str,
    },
}

impl Attempt {
    /// The feature that a level needs to hold this attempt; none where it holds it on every machine
    /// that has the level at all. OCI runtimes are refused where they would lack one.
    pub fn held_by(&self, level: Level) -> Option<&'static str> {
        if level == Level::Process { self.needs } else { None }
    }

    /// What a level says of this attempt on a machine with these features.
    pub fn verdict(&self, level: Level, features: &[Feature]) -> Verdict {
        let held = |name: &str| features.iter().any(|found| found.name == name && found.held);
        match self.held_by(level) {
            Some(lacks) if !held(lacks) => Verdict::NotOffered { lacks },
            _ => Verdict::Held,
        }
    }
}

/// How many attempts a level holds on a machine with these features, and those it does not offer to
/// hold, each with the feature that is missing.
pub fn tally(level: Level, features: &[Feature]) -> (usize, Vec<(&'static Attempt, &'static str)>) {
    let not_offered: Vec<_> = ATTEMPTS
        .iter()
        .filter_map(|attempt| match attempt.verdict(level, features) {
            Verdict::Held => None,
            Verdict::NotOffered { lacks } => Some((attempt, lacks)),
        })
        .collect();
    (ATTEMPTS.len() - not_offered.len(), not_offered)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_attempt_has_a_name_of_its_own_and_needs_what_there_is() {
        let names: BTreeSet<_> = ATTEMPTS.iter().map(|attempt| attempt.name).collect();
        assert_eq!(names.len(), ATTEMPTS.len());
        let features = crate::features();
        for needed in ATTEMPTS.iter().filter_map(|attempt| attempt.needs) {
            assert!(features.iter().any(|feature| feature.name == needed), "{needed}");
        }
    }

    #[test]
    fn a_missing_feature_takes_its_attempts_out_of_what_is_held() {
        let mut features = crate::features();
        for feature in &mut features {
            feature.held = feature.name != "network namespace";
        }
        let (held, not_offered) = tally(Level::Process, &features);
        assert_eq!(held + not_offered.len(), ATTEMPTS.len());
        assert!(!not_offered.is_empty());
        assert!(not_offered.iter().all(|(_, lacks)| *lacks == "network namespace"));
    }
}
