//! Modes: which variant of an endpoint answers whom, and which ones only watch.
//!
//! Shares are of keys, by their place in a hash ([`share`]): several candidates have shares that begin
//! far from each other, so that one that grows keeps whom it had, and takes nobody from another.
//! Shadows see the same keys, each as far as its own share reaches.
//!
//! Always true: exactly one variant is in production; the others' shares leave it something; a key is
//! answered by one variant; a variant in test never sees a live event.
//! Absent on purpose: when a mode should change ([`crate::gates`], [`crate::evidence`]).

use types::{Mode, Name, Used};

use crate::alias::WHOLE_BP;
use crate::replay::share;

/// Variants of one endpoint: each of them is an instance at least.
pub const VARIANTS_MAX: usize = 20;
/// The largest part of live events that may not be production's, in ten-thousandths.
pub const SHARES_BP_MAX: u32 = 5_000;

/// Places at which shares begin, where there is room: a power of two that divides the whole.
const STARTS: u32 = 16;

/// How a variant is to be used from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The mode.
    pub mode: Mode,
    /// The share, where the mode has one.
    pub share_bp: u32,
    /// The end of a bake.
    pub until_ms: Option<u64>,
}

/// Why modes cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such variant.
    #[error("there is no variant {variant}")]
    Unknown {
        /// What was named.
        variant: Name,
    },
    /// It would leave nobody in production.
    #[error(
        "{variant} is in production, and something has to be: put another variant into production \
         instead"
    )]
    Alone {
        /// The variant in production.
        variant: Name,
    },
    /// Not one variant in production.
    #[error("{count} variants are in production, and one has to be")]
    Production {
        /// How many.
        count: usize,
    },
    /// More than [`VARIANTS_MAX`].
    #[error("an endpoint has at most {VARIANTS_MAX} variants: delete one first")]
    TooMany,
    /// A share where there is none, or none where there has to be one.
    #[error("{variant} cannot have a share of {share_bp} in 10,000 in mode {mode}: {needs}")]
    Share {
        /// The variant.
        variant: Name,
        /// The share.
        share_bp: u32,
        /// The mode.
        mode: Mode,
        /// What it may have.
        needs: &'static str,
    },
    /// Production would keep too little.
    #[error(
        "{sum_bp} in 10,000 of the events would be answered by others than production, which keeps \
         at least half: give them smaller shares"
    )]
    TooMuch {
        /// What others would answer.
        sum_bp: u32,
    },
    /// A bake without an end, or an end without a bake.
    #[error("{variant} needs an end of its bake, and has one only then")]
    End {
        /// The variant.
        variant: Name,
    },
}

/// Says whether these modes can be.
///
/// # Errors
///
/// [`Refusal`], with the first reason.
pub fn check(all: &[Used]) -> Result<(), Refusal> {
    if all.len() > VARIANTS_MAX {
        return Err(Refusal::TooMany);
    }
    let count = all.iter().filter(|used| used.mode == Mode::Production).count();
    if count != 1 {
        return Err(Refusal::Production { count });
    }
    for used in all {
        let Used { variant, mode, share_bp, from_bp: _, until_ms } = used;
        let needs = match mode {
            Mode::Test | Mode::Production if *share_bp != 0 => "leave it out",
            Mode::Shadow if *share_bp == 0 || *share_bp > WHOLE_BP => "use 1 to 10,000",
            Mode::Canary | Mode::Bake if *share_bp == 0 || *share_bp > SHARES_BP_MAX => {
                "use 1 to 5,000"
            }
            _ => "",
        };
        if !needs.is_empty() {
            let (variant, share_bp, mode) = (variant.clone(), *share_bp, *mode);
            return Err(Refusal::Share { variant, share_bp, mode, needs });
        }
        if until_ms.is_some() != (*mode == Mode::Bake) {
            return Err(Refusal::End { variant: variant.clone() });
        }
    }
    let sum_bp = sharing(all).map(|used| used.share_bp).sum();
    if sum_bp > SHARES_BP_MAX { Err(Refusal::TooMuch { sum_bp }) } else { Ok(()) }
}

/// Changes one variant's mode. What was in production before another goes there is in test then.
///
/// # Errors
///
/// [`Refusal`], and nothing changes.
pub fn change(all: &[Used], variant: &Name, to: Change) -> Result<Vec<Used>, Refusal> {
    let known = all.iter().find(|used| used.variant == *variant);
    let known = known.ok_or_else(|| Refusal::Unknown { variant: variant.clone() })?;
    if known.mode == Mode::Production && to.mode != Mode::Production {
        return Err(Refusal::Alone { variant: variant.clone() });
    }
    let Change { mode, share_bp, until_ms } = to;
    let next = all.iter().map(|used| match used.mode {
        _ if used.variant == *variant => {
            Used { variant: variant.clone(), mode, share_bp, from_bp: used.from_bp, until_ms }
        }
        Mode::Production if mode == Mode::Production => tested(used.variant.clone()),
        _ => used.clone(),
    });
    let mut next: Vec<Used> = next.collect();
    check(&next)?;
    if shares(mode) {
        place(&mut next, variant, known);
    } else if let Some(used) = next.iter_mut().find(|used| used.variant == *variant) {
        used.from_bp = 0;
    }
    Ok(next)
}

/// Says where the keys of a variant begin: where they did, as long as there is room, or else as far as
/// can be from where others begin. Only where there is no room in one piece do all move.
fn place(all: &mut [Used], variant: &Name, before: &Used) {
    let others: Vec<(u32, u32)> = sharing(all)
        .filter(|used| used.variant != *variant)
        .map(|used| (used.from_bp, used.from_bp + used.share_bp))
        .collect();
    let Some(one) = all.iter_mut().find(|used| used.variant == *variant) else { return };
    let share_bp = one.share_bp;
    let has_room = |from_bp: u32| {
        let until_bp = from_bp + share_bp;
        until_bp <= WHOLE_BP
            && others.iter().all(|(from, until)| until_bp <= *from || *until <= from_bp)
    };
    let kept = shares(before.mode).then_some(before.from_bp);
    // 0, a half, a quarter, three quarters, an eighth and so on.
    let halves = (0..STARTS).map(|number: u32| {
        (number.reverse_bits() >> (u32::BITS - STARTS.ilog2())) * (WHOLE_BP / STARTS)
    });
    let ends = others.iter().map(|(_, until_bp)| *until_bp);
    let found = kept.into_iter().chain(halves).chain(ends).find(|from_bp| has_room(*from_bp));
    if let Some(from_bp) = found {
        one.from_bp = from_bp;
        return;
    }
    let mut below_bp = 0;
    for used in all.iter_mut().filter(|used| shares(used.mode)) {
        used.from_bp = below_bp;
        below_bp += used.share_bp;
    }
}

/// A variant in test, as every one begins.
pub const fn tested(variant: Name) -> Used {
    Used { variant, mode: Mode::Test, share_bp: 0, from_bp: 0, until_ms: None }
}

/// Whether a variant in this mode answers live events by a share.
const fn shares(mode: Mode) -> bool {
    matches!(mode, Mode::Canary | Mode::Bake)
}

/// The variants that have shares of what is answered, in the order in which these lie.
fn sharing(all: &[Used]) -> impl Iterator<Item = &Used> {
    all.iter().filter(|used| shares(used.mode))
}

/// The part of what one of them and production answer together that is its own, in ten-thousandths:
/// what yet others answer is neither's.
pub fn beside_production_bp(all: &[Used], one: &Used) -> u32 {
    let others_bp: u32 = sharing(all).map(|used| used.share_bp).sum();
    let both_bp = one.share_bp + WHOLE_BP.saturating_sub(others_bp);
    (one.share_bp * WHOLE_BP).checked_div(both_bp).unwrap_or(0)
}

/// The variant that answers an event with this key; none where nothing is in production.
pub fn answering<'a>(all: &'a [Used], key: &[u8], salt: &[u8]) -> Option<&'a Used> {
    let place_bp = share::place_bp(key, salt);
    let has = |used: &&Used| (used.from_bp..used.from_bp + used.share_bp).contains(&place_bp);
    let found = sharing(all).find(has);
    found.or_else(|| all.iter().find(|used| used.mode == Mode::Production))
}

/// The variants that are shown a copy of an event with this key.
pub fn watching<'a>(
    all: &'a [Used],
    key: &'a [u8],
    salt: &'a [u8],
) -> impl Iterator<Item = &'a Used> {
    let shadows = all.iter().filter(|used| used.mode == Mode::Shadow);
    shadows.filter(move |used| share::has(key, salt, used.share_bp))
}

#[cfg(test)]
mod tests;
