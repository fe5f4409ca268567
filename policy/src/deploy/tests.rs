use proptest::prelude::*;

use super::*;

prop_compose! {
    fn situations()(
        max_stale_ms in proptest::option::of(0..2 * STALE_MS_MAX),
        pinned: bool,
        old in prop_oneof![Just(Old::Gone), Just(Old::Cold), Just(Old::Warm)],
        new_is_warm: bool,
        published_ago_ms in 0..2 * STALE_MS_MAX,
        healthy_calls in 0..2 * HEALTHY_CALLS,
        failed_starts in 0..2 * FAILED_STARTS_MAX,
    ) -> Situation {
        let freshness = max_stale_ms
            .map_or(Freshness::Strict, |max_stale_ms| Freshness::StaleWhileDeploy { max_stale_ms });
        let health = Health { healthy_calls, failed_starts };
        Situation { freshness, pinned, old, new_is_warm, published_ago_ms, health }
    }
}

/// Whether the old version answers while the new one is made.
fn is_stale(decision: Decision) -> bool {
    matches!(decision, Decision::ServeOld { .. })
}

fn is_rolled_back(decision: Decision) -> bool {
    matches!(decision, Decision::RollBack { .. })
}

proptest! {
    /// A call that names a version gets that version.
    #[test]
    fn a_named_version_is_never_answered_by_another(at in situations()) {
        let decision = decide(&Situation { pinned: true, ..at });
        prop_assert!(!is_stale(decision) && !is_rolled_back(decision));
    }

    /// The new version answers if and only if it is warm; nothing keeps it back.
    #[test]
    fn the_new_version_answers_as_soon_as_it_is_warm(at in situations()) {
        prop_assert_eq!(matches!(decide(&at), Decision::Switch(_)), at.new_is_warm);
    }

    /// The old version answers only where it is warm, and no later than is allowed.
    #[test]
    fn the_old_version_answers_no_later_than_is_allowed(at in situations()) {
        if let Decision::ServeOld { left_ms } = decide(&at) {
            prop_assert!(at.old == Old::Warm && left_ms > 0);
            let later = |ms| Situation { published_ago_ms: at.published_ago_ms + ms, ..at };
            prop_assert!(at.published_ago_ms + left_ms <= STALE_MS_MAX);
            prop_assert_eq!(decide(&later(left_ms - 1)), Decision::ServeOld { left_ms: 1 });
            prop_assert_eq!(decide(&later(left_ms)), Decision::Wait(WaitReason::Stale));
        }
    }

    /// Who wants no old answers gets none, but where the new version cannot start.
    #[test]
    fn strict_means_new_or_nothing(at in situations()) {
        let decision = decide(&Situation { freshness: Freshness::Strict, ..at });
        prop_assert!(!is_stale(decision));
    }

    /// A version is rolled back for starts that failed in a row, never once it has proved itself,
    /// and never into nothing.
    #[test]
    fn only_what_never_did_well_is_rolled_back(at in situations()) {
        if let Decision::RollBack { failed_starts } = decide(&at) {
            prop_assert!(failed_starts >= FAILED_STARTS_MAX && at.old != Old::Gone);
            prop_assert!(!is_proved(at.health));
            let healthier = Health { failed_starts: FAILED_STARTS_MAX - 1, ..at.health };
            let healed = Situation { health: healthier, ..at };
            prop_assert!(!is_rolled_back(decide(&healed)));
        }
    }
}

/// What a host would see: published, made beside the old one, answering, proved.
#[test]
fn a_version_is_made_beside_the_old_one_and_replaces_it() {
    let mut at = Situation { old: Old::Warm, ..Situation::default() };
    assert_eq!(decide(&at), Decision::ServeOld { left_ms: STALE_MS });
    at.published_ago_ms = 2_000;
    assert_eq!(decide(&at), Decision::ServeOld { left_ms: STALE_MS - 2_000 });
    at.new_is_warm = true;
    assert_eq!(decide(&at), Decision::Switch(SwitchReason::Warm));
    at.health.healthy_calls = HEALTHY_CALLS - 1;
    assert_eq!(decide(&at), Decision::Switch(SwitchReason::Warm));
    at.health.healthy_calls = HEALTHY_CALLS;
    assert_eq!(decide(&at), Decision::Switch(SwitchReason::Proved));
}

#[test]
fn the_whole_table() {
    let mut table = String::new();
    let stale = Freshness::StaleWhileDeploy { max_stale_ms: 100 };
    for (freshness, word) in [(stale, "stale for 100 ms"), (Freshness::Strict, "strict")] {
        for published_ago_ms in [40, 100] {
            for failed_starts in [0, FAILED_STARTS_MAX] {
                for warm in ["nothing", "old", "new", "both"] {
                    let at = Situation {
                        freshness,
                        pinned: false,
                        old: if warm == "old" || warm == "both" { Old::Warm } else { Old::Cold },
                        new_is_warm: warm == "new" || warm == "both",
                        published_ago_ms,
                        health: Health { healthy_calls: 0, failed_starts },
                    };
                    table += &format!(
                        "{word}, published {published_ago_ms} ms ago, {failed_starts} failed, \
                         warm: {warm}: {:?}\n",
                        decide(&at)
                    );
                }
            }
        }
    }
    insta::assert_snapshot!(table);
}
