//! Chance: numbers that look random and follow from a seed.
//!
//! Always true: the same seed gives the same numbers, on every machine and in every version.
//! Absent on purpose: secrecy; nobody may guard anything with these numbers.
//! Source: G. Steele and others, on splittable generators ("`SplitMix`"), 2014.

/// A stream of numbers.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The stream of a seed and a name, apart from the streams of other names.
    pub fn new(seed: u64, name: &str) -> Self {
        let mix = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let mut chance = Self(name.bytes().fold(0xcbf2_9ce4_8422_2325, mix));
        chance.0 ^= chance.any();
        chance.0 = chance.0.wrapping_add(seed);
        chance.0 = chance.any();
        chance
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, each as likely as the others but for one part in `2^64 / end`; 0 where
    /// `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.any()) * u128::from(end);
        u64::try_from(wide >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_name_give_a_stream_of_their_own() {
        let first = |seed, name| Chance::new(seed, name).any();
        assert_eq!(first(1, "a"), first(1, "a"));
        assert_ne!(first(1, "a"), first(2, "a"));
        assert_ne!(first(1, "a"), first(1, "b"));
        let mut chance = Chance::new(1, "even");
        let mut counts = [0; 10];
        for _ in 0..10_000 {
            counts[usize::try_from(chance.below(10)).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
        assert_eq!(chance.below(0), 0);
    }
}
