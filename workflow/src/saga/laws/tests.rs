use std::collections::BTreeSet;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::*;
use crate::saga::{Failure, Limits, Outcome, Problem};

/// A world in which things can be made, and which a guest inspects only after a while.
#[derive(Default)]
struct World {
    last_id: u32,
    things: BTreeSet<u32>,
    inspected: bool,
}

/// What a builder does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    /// Makes another thing when its step is repeated.
    MakesTwice,
    /// Forgets to remove what it made.
    LeavesThings,
    /// Takes it for an error that there is nothing to undo.
    UndoesOnce,
    /// Waits for an inspection that nobody asked for.
    NeverAsks,
}

/// Draws an id, makes a thing of this id, waits for its inspection.
struct Builder {
    world: Arc<Mutex<World>>,
    flaw: Flaw,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Plan {
    thing: Option<u32>,
    why_not: Option<String>,
}

impl Saga for Builder {
    const KIND: &'static str = "build";
    type State = Plan;

    fn steps() -> &'static [&'static str] {
        &["draw", "make", "inspect"]
    }

    fn limits() -> Limits {
        Limits { age_ms_max: 60_000, ..Limits::default() }
    }

    async fn run(&self, step: usize, state: &mut Plan) -> Result<Outcome, Failure> {
        tokio::task::yield_now().await;
        let outcome = self.act(Self::steps()[step], state);
        tokio::task::yield_now().await;
        outcome
    }

    async fn undo(&self, step: usize, state: &mut Plan) -> Result<(), Failure> {
        tokio::task::yield_now().await;
        if Self::steps()[step] == "make" && self.flaw != Flaw::LeavesThings {
            let thing = state.thing.unwrap_or_default();
            let removed = self.world.lock().things.remove(&thing);
            if !removed && self.flaw == Flaw::UndoesOnce {
                return Err(Failure::permanent("absent", "there is nothing to remove"));
            }
        }
        Ok(())
    }

    fn failed(state: &mut Plan, problem: &Problem) {
        state.why_not = Some(problem.code.clone());
    }
}

impl Builder {
    fn act(&self, step: &str, state: &mut Plan) -> Result<Outcome, Failure> {
        let mut world = self.world.lock();
        match step {
            "draw" => {
                world.last_id += 1;
                state.thing = Some(world.last_id);
            }
            "make" => {
                let mut thing = state.thing.ok_or(Failure::permanent("no_id", "no id"))?;
                if self.flaw == Flaw::MakesTwice {
                    world.last_id += 1;
                    thing = world.last_id;
                    state.thing = Some(thing);
                }
                world.things.insert(thing);
            }
            _ if !world.inspected => return Ok(Outcome::Wait { retry_after_ms: 100 }),
            _ => {}
        }
        Ok(Outcome::Done)
    }
}

async fn judge(flaw: Flaw) -> Result<u32, Broken> {
    uphold(|| async move {
        let world = Arc::new(Mutex::new(World::default()));
        let (inspected, checked) = (Arc::clone(&world), Arc::clone(&world));
        Trial::new(Builder { world, flaw }, Plan::default())
            .on_wait(move || {
                inspected.lock().inspected = flaw != Flaw::NeverAsks;
                async {}.boxed()
            })
            .on_end(move |ending, plan| {
                let things = checked.lock().things.clone();
                let wanted = match ending {
                    Ending::Done => plan.thing.into_iter().collect(),
                    Ending::Undone => BTreeSet::new(),
                };
                let told = plan.why_not.is_some() == (ending == Ending::Undone);
                let fine = things == wanted && told;
                async move { if fine { Ok(()) } else { Err(format!("there are {things:?}")) } }
                    .boxed()
            })
    })
    .await
}

#[tokio::test]
async fn a_lawful_saga_upholds_every_law() {
    assert!(judge(Flaw::None).await.unwrap() > 24);
}

#[tokio::test]
async fn each_flaw_is_found_and_named() {
    let mut verdicts = String::new();
    for flaw in [Flaw::MakesTwice, Flaw::LeavesThings, Flaw::UndoesOnce, Flaw::NeverAsks] {
        verdicts += &format!("{flaw:?}: {}\n", judge(flaw).await.unwrap_err());
    }
    insta::assert_snapshot!(verdicts);
}
