//! Chance from a seed: the same seed gives the same numbers on every machine.
//!
//! Source: `SplitMix64`, in Steele, Lea and Flood, "Fast splittable pseudorandom number
//! generators".

/// A stream of numbers.
pub(crate) struct Random(u64);

impl Random {
    /// The stream of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub(crate) fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// A number below `end`; 0 where `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.any()) * u128::from(end);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Yes in `share_ppm` of a million cases.
    pub(crate) fn chance(&mut self, share_ppm: u64) -> bool {
        self.below(1_000_000) < share_ppm
    }

    /// One of these.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = self.below(from.len() as u64);
        &from[usize::try_from(at).unwrap_or(0)]
    }

    /// A number from -1 to 1.
    #[expect(clippy::cast_precision_loss, reason = "24 bits fit an f32 exactly")]
    pub(crate) fn signed_unit(&mut self) -> f32 {
        (self.any() >> 40) as f32 / 8_388_608.0 - 1.0
    }

    /// Puts the items into a chance order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            let at = self.below(end as u64 + 1);
            items.swap(end, usize::try_from(at).unwrap_or(end));
        }
    }
}
