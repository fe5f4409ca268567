//! Variants: in which order an event goes to those that are compared.
//!
//! The order moves on by one place with every event, and is turned round after a whole round: A B C,
//! B C A, C A B, then C B A, B A C, A C B.
//!
//! Always true: over any two rounds each variant is as often at each place as every other, and of two
//! of them each as often before the other. Absent on purpose: chance, and what a variant is.

/// The places of `variants` variants, in the order in which the `number`th event goes to them.
pub fn order(number: u64, variants: usize) -> impl Iterator<Item = usize> {
    let count = u64::try_from(variants).unwrap_or(u64::MAX).max(1);
    let turned = number / count % 2 == 1;
    let first = usize::try_from(number % count).unwrap_or(0);
    (0..variants).map(move |place| {
        let at = (first + place) % variants;
        if turned { variants - 1 - at } else { at }
    })
}

#[cfg(test)]
mod tests;
