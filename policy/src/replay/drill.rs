//! Drills: how long a variant takes to be well again after one of its instances was ended.
//!
//! It is well again with the first request that is sent when all wanted instances are ready, is
//! answered well, and after which for [`CALM_NS`] none is sent that goes badly. What was sent or
//! under way from the end of the instance until then, and went badly, the end has caused.
//!
//! Always true: what is told is the same in whatever order requests are seen; a time is told only
//! where all that it depends on is known; memory does not grow with requests.
//! Absent on purpose: who is ended, when, and by whom.

use std::collections::BTreeMap;

/// For so long nothing may go badly, in nanoseconds, before a variant counts as well again: longer
/// than a route takes to reach every gateway, and the first restart of an instance its pause.
pub const CALM_NS: u64 = 3_000_000_000;

/// How one request to a variant went. Times are nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// When it was sent.
    pub sent_ns: u64,
    /// When it was answered, or given up.
    pub done_ns: u64,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a request. One that was refused for its own sake is not among them: it says
/// nothing of who was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was answered well.
    Good,
    /// It was answered with a fault, or that there is no room for it.
    Failed,
    /// It was not answered.
    Unanswered,
}

/// The end of an instance. Times are nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    /// When it was asked for: from then on the instance may be gone.
    pub asked_ns: u64,
    /// When it was known to be gone.
    pub dead_ns: u64,
    /// When all wanted instances were ready again; none where they were not.
    pub ready_ns: Option<u64>,
    /// Up to when it is known what became of requests, and why no longer.
    pub until: Until,
}

/// Up to when it is known what became of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Up to the last one of the run.
    End,
    /// Up to the next drill of the variant.
    Drill {
        /// When it was.
        at_ns: u64,
    },
    /// Up to a gap in the run.
    Gap {
        /// When it began.
        at_ns: u64,
    },
}

/// What the end of an instance has come to. Times are nanoseconds from when it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Requests that it had go badly.
    pub bad: u64,
    /// Those of them that were not answered at all.
    pub unanswered: u64,
    /// The first of them was given up or answered then.
    pub first_bad_ns: Option<u64>,
    /// The first request that was sent when the instance was gone, and went well, was answered then.
    pub first_good_ns: Option<u64>,
    /// When the variant was well again.
    pub well_ns: Result<u64, Unknown>,
}

/// Why it is not known when a variant was well again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// Not all wanted instances were ready again.
    #[error("not all of its instances were ready again: let the run go on for longer")]
    NotReady,
    /// No request went well again.
    #[error("no request went well again: let the run go on for longer")]
    NoneGood,
    /// The run ended too soon.
    #[error(
        "the run ended before nothing had gone badly for {} s: let it go on for longer",
        CALM_NS / 1_000_000_000
    )]
    Ended,
    /// The next drill came too soon.
    #[error(
        "the next drill came before nothing had gone badly for {} s: leave more time between them",
        CALM_NS / 1_000_000_000
    )]
    Drilled,
    /// The run had a gap.
    #[error("the run stood still meanwhile, and what became of some requests is not known")]
    Gap,
}

/// Requests that went badly, each less than [`CALM_NS`] after another.
#[derive(Clone, Copy, Debug)]
struct Chain {
    last_ns: u64,
    bad: u64,
    unanswered: u64,
    /// The first of them was over then.
    over_ns: u64,
}

/// The first look at the requests of a variant: those that went badly.
#[derive(Clone, Debug)]
pub struct Losses {
    kill: Kill,
    /// By when the first request of each was sent; they are at least [`CALM_NS`] apart.
    chains: BTreeMap<u64, Chain>,
    last_sent_ns: u64,
}

/// The second look at the same requests: those that went well.
#[derive(Clone, Debug)]
pub struct Search {
    losses: Losses,
    /// By the first request of the next chain: the earliest good one between it and the one before.
    goods: BTreeMap<u64, u64>,
    first_good_ns: Option<u64>,
}

/// What the end of an instance has come to, by these requests.
pub fn recovery(kill: Kill, requests: &[Request]) -> Recovery {
    let mut losses = Losses::new(kill);
    for request in requests {
        losses.see(request);
    }
    let mut search = losses.search();
    for request in requests {
        search.see(request);
    }
    search.tell()
}

impl Losses {
    /// Nothing seen yet.
    pub fn new(kill: Kill) -> Self {
        Self { kill, chains: BTreeMap::new(), last_sent_ns: 0 }
    }

    /// Sees a request.
    pub fn see(&mut self, request: &Request) {
        self.last_sent_ns = self.last_sent_ns.max(request.sent_ns);
        let is_of_it = request.done_ns >= self.kill.asked_ns && request.sent_ns < self.cut_ns();
        if request.fate == Fate::Good || !is_of_it {
            return;
        }
        // What was under way when the instance was ended counts from its end.
        let at_ns = request.sent_ns.max(self.kill.asked_ns);
        let mut chain = Chain {
            last_ns: at_ns,
            bad: 1,
            unanswered: u64::from(request.fate == Fate::Unanswered),
            over_ns: request.done_ns,
        };
        let mut first_ns = at_ns;
        let before = self.chains.range(..=at_ns).next_back().map(|(first, chain)| (*first, *chain));
        if let Some((first, before)) = before.filter(|it| at_ns < it.1.last_ns + CALM_NS) {
            self.chains.remove(&first);
            (first_ns, chain) = (first, before.with(chain));
        }
        let after = self.chains.range(at_ns..).next().map(|(first, chain)| (*first, *chain));
        if let Some((first, after)) = after.filter(|it| it.0 < chain.last_ns + CALM_NS) {
            self.chains.remove(&first);
            chain = chain.with(after);
        }
        self.chains.insert(first_ns, chain);
    }

    /// All were seen; now those that went well are looked for.
    pub fn search(self) -> Search {
        Search { losses: self, goods: BTreeMap::new(), first_good_ns: None }
    }

    /// Requests from then on are somebody else's, or not known.
    fn cut_ns(&self) -> u64 {
        match self.kill.until {
            Until::End => u64::MAX,
            Until::Drill { at_ns } | Until::Gap { at_ns } => at_ns,
        }
    }

    /// Up to then it is known what became of requests.
    fn known_ns(&self) -> u64 {
        self.cut_ns().min(self.last_sent_ns)
    }
}

impl Chain {
    /// Both of them.
    fn with(self, other: Self) -> Self {
        Self {
            last_ns: self.last_ns.max(other.last_ns),
            bad: self.bad + other.bad,
            unanswered: self.unanswered + other.unanswered,
            over_ns: self.over_ns.min(other.over_ns),
        }
    }
}

impl Search {
    /// Sees a request, one of those that were seen before.
    pub fn see(&mut self, request: &Request) {
        let Kill { dead_ns, ready_ns, .. } = self.losses.kill;
        let is_of_it = request.sent_ns >= dead_ns && request.sent_ns < self.losses.cut_ns();
        if request.fate != Fate::Good || !is_of_it {
            return;
        }
        let first_ns = self.first_good_ns.get_or_insert(request.done_ns);
        *first_ns = request.done_ns.min(*first_ns);
        let sent_ns = request.sent_ns;
        if ready_ns.is_none_or(|ready_ns| sent_ns < ready_ns) {
            return;
        }
        // Among those that went badly, each less than the calm before the next, it is no end of it.
        let next = self.losses.chains.range(sent_ns..).next().map(|(first, _)| *first);
        let before = self.losses.chains.range(..sent_ns).next_back();
        let within = before.is_some_and(|(_, chain)| sent_ns <= chain.last_ns);
        let calm = next.is_none_or(|next| sent_ns.saturating_add(CALM_NS) <= next);
        if !within && calm {
            let good_ns = self.goods.entry(next.unwrap_or(u64::MAX)).or_insert(sent_ns);
            *good_ns = sent_ns.min(*good_ns);
        }
    }

    /// What it has come to.
    pub fn tell(self) -> Recovery {
        let Kill { asked_ns, ready_ns, until, .. } = self.losses.kill;
        let since = |ns: u64| ns.saturating_sub(asked_ns);
        let good_ns = self.goods.first_key_value().map(|(_, good_ns)| *good_ns);
        let known_ns = self.losses.known_ns();
        let is_calm = good_ns.is_some_and(|ns| ns.saturating_add(CALM_NS) <= known_ns);
        let well_ns = match (ready_ns, good_ns) {
            (_, Some(ns)) if is_calm => Ok(since(ns)),
            _ => Err(match (until, ready_ns, good_ns) {
                (Until::Gap { .. }, ..) => Unknown::Gap,
                (Until::Drill { .. }, ..) => Unknown::Drilled,
                (Until::End, None, _) => Unknown::NotReady,
                (Until::End, _, None) => Unknown::NoneGood,
                (Until::End, ..) => Unknown::Ended,
            }),
        };
        let caused_ns = well_ns.map_or(u64::MAX, |ns| asked_ns.saturating_add(ns));
        let caused = || self.losses.chains.range(..caused_ns).map(|(_, chain)| chain);
        Recovery {
            bad: caused().map(|chain| chain.bad).sum(),
            unanswered: caused().map(|chain| chain.unanswered).sum(),
            first_bad_ns: caused().map(|chain| since(chain.over_ns)).min(),
            first_good_ns: self.first_good_ns.map(since),
            well_ns,
        }
    }
}

#[cfg(test)]
mod tests;
