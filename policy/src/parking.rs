//! Parking: how many sandboxes to hold ready for functions that are not known yet.
//!
//! Whoever claims a parked sandbox is not seen coming. As many are held as are likely to be claimed
//! before the next one can be parked: the usual number in that time, and some deviations more.
//!
//! Always true: neither the most nor the memory is passed; where nobody claims for long enough, none
//! is left; a set at most halves from one window to the next, unless memory runs short, and grows by
//! no more than it holds and the least.
//! Absent on purpose: which are ended, when they are made, clocks. Sizes are sets of their own.

/// Of how many windows the usual one is the mean, later ones counting more.
const WINDOWS: i128 = 8;
/// Claims of one window beyond which they count as so many: no host starts more.
const CLAIMS_MAX: u32 = 1_000_000;
/// Thousandths, in which claims are counted.
const MILLI: u128 = 1_000;

/// How often the sandboxes of one set have been claimed lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// The usual number in one window, in thousandths.
    mean_milli: u64,
    /// Its variance, in millionths.
    variance_micro: u64,
    /// Windows without any since the last one with some.
    quiet_windows: u32,
}

impl Claims {
    /// After a window with so many claims, those included that found nothing to claim.
    ///
    /// Source: the incremental mean and variance with decay, Finch, "Incremental calculation of
    /// weighted mean and variance", 2009.
    #[must_use]
    pub fn after(self, claims: u32) -> Self {
        let now_milli = i128::from(claims.min(CLAIMS_MAX)) * 1_000;
        let mean = i128::from(self.mean_milli);
        let off = now_milli - mean;
        let mean = mean + off / WINDOWS;
        let variance = i128::from(self.variance_micro);
        let variance = variance + (off * (now_milli - mean) - variance) / WINDOWS;
        let quiet_windows = if claims > 0 { 0 } else { self.quiet_windows.saturating_add(1) };
        Self { mean_milli: whole(mean), variance_micro: whole(variance), quiet_windows }
    }

    /// Claims that are likely to come in so much time, with so many thousandths of a deviation on
    /// top of the usual number.
    fn likely(self, in_us: u64, window_us: u64, deviations_milli: u32) -> u32 {
        let share =
            |value: u64| u128::from(value) * u128::from(in_us) / u128::from(window_us.max(1));
        let spread_milli = share(self.variance_micro).isqrt();
        let more_milli = spread_milli * u128::from(deviations_milli) / MILLI;
        let likely = (share(self.mean_milli) + more_milli).div_ceil(MILLI);
        u32::try_from(likely).unwrap_or(u32::MAX)
    }
}

fn whole(value: i128) -> u64 {
    u64::try_from(value.max(0)).unwrap_or(u64::MAX)
}

/// What a set has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Has {
    /// Sandboxes that it was to hold in the window that is over.
    pub target: u32,
    /// How long it takes until another one is parked, in microseconds.
    pub lead_us: u64,
    /// More of them that memory allows, those that are held included.
    pub room: u32,
}

/// What sets are held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Least that is held while claims come now and then.
    pub min: u32,
    /// Most that is held.
    pub max: u32,
    /// Length of a window, in microseconds.
    pub window_us: u64,
    /// Standard deviations above the usual number that are still to find something, in thousandths.
    pub deviations_milli: u32,
    /// Windows without a claim after which nothing is held.
    pub quiet_windows_max: u32,
}

/// How many to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Sandboxes that are to be held in the window that begins.
    pub count: u32,
    /// Why so many.
    pub why: Why,
}

/// What a target comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Nobody has claimed for long.
    Quiet,
    /// The least.
    Least,
    /// What is likely to be claimed.
    Likely,
    /// The most.
    Most,
    /// More would grow too fast.
    Growing,
    /// Less would shrink too fast.
    Shrinking,
    /// No more fit.
    Memory,
}

/// Says how many sandboxes a set is to hold.
pub fn target(claims: Claims, has: &Has, settings: &Settings) -> Target {
    let wanted = wanted(claims, has, settings);
    let fastest = has.target.saturating_mul(2).saturating_add(settings.min.max(1));
    let slowest = has.target / 2;
    let paced = if wanted.count > fastest {
        Target { count: fastest, why: Why::Growing }
    } else if wanted.count < slowest {
        Target { count: slowest, why: Why::Shrinking }
    } else {
        wanted
    };
    let most = settings.max.min(has.room);
    if paced.count <= most {
        return paced;
    }
    let why = if has.room < settings.max { Why::Memory } else { Why::Most };
    Target { count: most, why }
}

/// How many there would be if a set could change at once, and had all memory.
fn wanted(claims: Claims, has: &Has, settings: &Settings) -> Target {
    if claims.quiet_windows >= settings.quiet_windows_max {
        return Target { count: 0, why: Why::Quiet };
    }
    let likely = claims.likely(has.lead_us, settings.window_us, settings.deviations_milli);
    if likely < settings.min {
        return Target { count: settings.min, why: Why::Least };
    }
    Target { count: likely, why: Why::Likely }
}

#[cfg(test)]
mod tests;
