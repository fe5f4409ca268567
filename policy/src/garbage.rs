//! Garbage: which stored chunks may go.
//!
//! States of a chunk: `Live` (referenced, or touched within the grace), `Condemned` (marked, still
//! readable, no longer offered to uploads), `Gone` (deleted). A chunk is condemned first and
//! deleted later, so that whoever began to use it before the mark has time to say so.
//!
//! Always true: a referenced chunk is never condemned or deleted; between the last touch and the
//! deletion lie both graces. Absent on purpose: counting references, deleting.

use types::Digest;

/// How long garbage is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long an unreferenced chunk is left alone after its last touch, in milliseconds: longer
    /// than the longest upload, whose chunks are referenced only when it is committed.
    pub grace_ms: u64,
    /// How long a condemned chunk is kept, in milliseconds: longer than the longest transaction.
    pub condemned_ms: u64,
    /// Most chunks acted on in one round, so that a round ends.
    pub acts_max: usize,
}

/// What is known of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The chunk.
    pub id: Digest,
    /// How many manifests name it.
    pub references: u64,
    /// When it was last stored, or an upload was told that it is there, in Unix milliseconds.
    pub touched_at_ms: u64,
    /// When it was condemned, in Unix milliseconds; none when it is not.
    pub condemned_at_ms: Option<u64>,
}

/// What to do with a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    /// Nothing.
    Keep(Reason),
    /// Take the mark away.
    Spare(Reason),
    /// Mark it.
    Condemn,
    /// Delete it, provided that in the same transaction it is still unreferenced and marked.
    Delete,
}

/// Why a chunk stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A manifest names it.
    Referenced,
    /// It was touched within the grace, or after it was condemned.
    Touched,
    /// It was condemned not long enough ago.
    CondemnedLately,
}

/// Decides about one chunk.
///
/// A touch or a mark in the future counts as one made now.
pub fn decide(chunk: &Chunk, now_ms: u64, settings: &Settings) -> Decision {
    let idle_ms = now_ms.saturating_sub(chunk.touched_at_ms);
    let Some(condemned_at_ms) = chunk.condemned_at_ms else {
        return if chunk.references > 0 {
            Decision::Keep(Reason::Referenced)
        } else if idle_ms <= settings.grace_ms {
            Decision::Keep(Reason::Touched)
        } else {
            Decision::Condemn
        };
    };
    if chunk.references > 0 {
        Decision::Spare(Reason::Referenced)
    } else if chunk.touched_at_ms >= condemned_at_ms || idle_ms <= settings.grace_ms {
        Decision::Spare(Reason::Touched)
    } else if now_ms.saturating_sub(condemned_at_ms) <= settings.condemned_ms {
        Decision::Keep(Reason::CondemnedLately)
    } else {
        Decision::Delete
    }
}

/// What one round does, each in the order of ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Marks to take away.
    pub spare: Vec<Digest>,
    /// Chunks to mark.
    pub condemn: Vec<Digest>,
    /// Chunks to delete.
    pub delete: Vec<Digest>,
}

/// Plans one round over these chunks. Marks are taken away first; then the limit on acts counts.
pub fn round(chunks: &[Chunk], now_ms: u64, settings: &Settings) -> Round {
    let mut round = Round::default();
    for chunk in chunks {
        match decide(chunk, now_ms, settings) {
            Decision::Keep(_) => {}
            Decision::Spare(_) => round.spare.push(chunk.id),
            Decision::Condemn => round.condemn.push(chunk.id),
            Decision::Delete => round.delete.push(chunk.id),
        }
    }
    round.spare.sort_unstable();
    round.condemn.sort_unstable();
    round.delete.sort_unstable();
    round.delete.truncate(settings.acts_max);
    round.condemn.truncate(settings.acts_max - round.delete.len());
    round
}

#[cfg(test)]
mod tests;
