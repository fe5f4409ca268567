use parking_lot::Mutex;

use super::*;
use crate::Status;

/// Beds to lay out: as many as there are guests.
#[derive(Default)]
struct World {
    guests: u32,
    beds: u32,
    fails_in: u32,
    failed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    /// Lays out a bed at every activation.
    NeverRests,
    /// Gives up at the first failure and never lays out that bed.
    Skips,
}

struct Housekeeper {
    world: Arc<Mutex<World>>,
    flaw: Flaw,
}

impl Housekeeper {
    fn act(&self) -> Result<(), String> {
        let mut world = self.world.lock();
        if world.fails_in == 1 {
            world.failed = true;
            if self.flaw == Flaw::Skips {
                world.guests -= 1;
            }
        }
        world.fails_in = world.fails_in.saturating_sub(1);
        if std::mem::take(&mut world.failed) {
            world.fails_in = u32::MAX;
            return Err("no linen".to_owned());
        }
        world.beds += 1;
        Ok(())
    }
}

impl Reconciler for Housekeeper {
    fn name(&self) -> &'static str {
        "beds"
    }

    fn period_ms(&self) -> u64 {
        1_000
    }

    fn activate(&self) -> BoxFuture<'_, Status> {
        async {
            let mut status = Status::default();
            let missing = {
                let world = self.world.lock();
                world.guests.saturating_sub(world.beds)
            };
            for _ in 0..missing + u32::from(self.flaw == Flaw::NeverRests) {
                tokio::task::yield_now().await;
                status.note(self.act());
                tokio::task::yield_now().await;
            }
            status
        }
        .boxed()
    }
}

async fn judged(flaw: Flaw) -> Result<u32, Broken> {
    uphold(|| async move {
        let world = Arc::new(Mutex::new(World { guests: 3, ..World::default() }));
        let (failing, checked) = (Arc::clone(&world), Arc::clone(&world));
        Trial::new(Arc::new(Housekeeper { world, flaw }))
            .failing(move |act| {
                let mut world = failing.lock();
                if act > 0 {
                    world.fails_in = act;
                }
                world.fails_in > 1_000
            })
            .at_rest(move || {
                let beds = checked.lock().beds;
                async move { if beds == 3 { Ok(()) } else { Err(format!("{beds} beds")) } }.boxed()
            })
    })
    .await
}

#[tokio::test]
async fn a_lawful_reconciler_upholds_every_law() {
    assert!(judged(Flaw::None).await.unwrap() > 10);
}

#[tokio::test]
async fn each_flaw_is_found_and_named() {
    let mut verdicts = String::new();
    for flaw in [Flaw::NeverRests, Flaw::Skips] {
        verdicts += &format!("{flaw:?}: {}\n", judged(flaw).await.unwrap_err());
    }
    insta::assert_snapshot!(verdicts);
}
