//! Functions as routes tell of them: which version a name means, and who may call it.
//!
//! Always true: an alias chooses among its versions by the call alone; what it named before, and had
//! answer, is known only while this gateway lives.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use access::Action;
use api::functions::LATEST;
use api::functions::sizes::SizingMode;
use api::internal::functions::sizes::CallSizing;
use api::internal::functions::{AliasRoute, Fallback, FunctionRoute, LinkRoute};
use policy::alias::{Additional, Routing, Version};
use types::functions::{account_number, function_arn};
use types::{Name, RevisionId};
use uuid::Uuid;

use super::placing::Seen;
use crate::error::Error;
use crate::routes::{Caller, principal};

/// Least memory of an instance, where its owner has set no bound, in KiB: that of any function.
const KIB_MIN: u64 = 32 << 10;
/// What a function's ARN says where no client has told a region.
const REGION: &str = "local";

/// A function as routes tell it.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) told: FunctionRoute,
    aliases: HashMap<String, Alias>,
    /// What was seen of its calls.
    pub(super) seen: Arc<Seen>,
}

/// An alias, and what it named before.
#[derive(Debug)]
struct Alias {
    told: AliasRoute,
    routing: Routing,
    before: Option<Before>,
    /// Whether the version before was needed for the latest call.
    fell: Arc<AtomicBool>,
}

/// What an alias named before.
#[derive(Clone, Debug)]
struct Before {
    version: String,
    revision: RevisionId,
    /// When it was replaced, in Unix milliseconds.
    replaced_at_ms: u64,
}

/// What a call runs.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// `$LATEST`, or a number.
    pub(crate) version: String,
    pub(crate) revision: RevisionId,
    /// Memory of an instance, in KiB: what has been settled, or what the revision asks for.
    pub(crate) memory_kib: u64,
    /// What may run in its place for a while.
    pub(crate) fallback: Option<Fallback>,
    /// To be told whether that did.
    fell: Option<Arc<AtomicBool>>,
}

impl Target {
    /// The version that answered, given whether the fallback did.
    pub(crate) fn answered(self, fell: bool) -> String {
        if let Some(seen) = &self.fell {
            seen.store(fell, Ordering::Relaxed);
        }
        let fallback = self.fallback.filter(|_| fell);
        fallback.map_or(self.version, |fallback| fallback.version)
    }
}

impl Function {
    /// Builds it, knowing what was told before.
    pub(crate) fn build(told: FunctionRoute, before: Option<&Arc<Self>>) -> Self {
        let mut aliases = HashMap::new();
        for (name, route) in &told.aliases {
            let was = before.and_then(|before| before.aliases.get(name.as_str()));
            let same = was.filter(|was| was.told.version == route.version);
            let fell = same.map(|same| Arc::clone(&same.fell)).unwrap_or_default();
            // One that did not answer itself, or not yet, is nothing to go back to.
            let stays = |was: &Alias| same.is_some() || was.fell.load(Ordering::Relaxed);
            let before = match was {
                Some(was) if stays(was) => was.before.clone(),
                Some(was) => {
                    let version = was.told.version.clone();
                    let revision = before.and_then(|before| before.told.versions.get(&version));
                    let replaced_at_ms = route.changed_at_ms;
                    revision.map(|it| Before { version, revision: it.revision, replaced_at_ms })
                }
                None => None,
            };
            let there = |it: &Before| told.versions.contains_key(&it.version);
            let (told, routing, before) = (route.clone(), routing(route), before.filter(there));
            aliases.insert(name.to_string(), Alias { told, routing, before, fell });
        }
        let seen = before.map(|before| Arc::clone(&before.seen)).unwrap_or_default();
        Self { told, aliases, seen }
    }

    pub(crate) fn account_name(&self) -> &Name {
        &self.told.account_name
    }

    /// Whether the policies, or a permission of its owner, allow this caller to call it so.
    pub(crate) fn allows(
        &self,
        rights: &access::Authorizer,
        caller: &Caller,
        qualifier: &str,
    ) -> bool {
        let resource = access::Resource::of(access::Kind::Function, self.told.account);
        let (principal, action) = (principal(caller), Action::FunctionsInvoke);
        let Some(account) = caller.account() else { return false };
        if account != self.told.account {
            let number = account_number(account);
            let qualifier = if qualifier == LATEST { "" } else { qualifier };
            return self.told.permissions.iter().any(|permission| {
                let named = permission.account == "*" || permission.account == number;
                named && permission.qualifier == qualifier
            });
        }
        let named = |link: &LinkRoute| {
            let Caller::Known(known) = caller else { return false };
            link.tokens.is_empty() || link.tokens.contains(&known.token)
        };
        let narrowed = self.told.link.as_ref().is_none_or(named);
        narrowed && rights.allows(&access::Request { principal, action, resource })
    }

    /// What a call with this qualifier runs; an alias that divides its calls does so by `call`.
    ///
    /// # Errors
    ///
    /// [`Error::NoFunction`].
    pub(crate) fn target(&self, qualifier: &str, call: Uuid) -> Result<Target, Error> {
        let missing = || Error::no_function(&format!("{}:{qualifier}", self.told.name));
        let route = |version: &str| self.told.versions.get(version).ok_or_else(missing);
        let version = if qualifier.is_empty() { LATEST } else { qualifier };
        let Some(alias) = self.aliases.get(version) else {
            let revision = route(version)?.revision;
            let version = version.to_owned();
            let memory_kib = self.memory_kib(&version);
            return Ok(Target { version, revision, memory_kib, fallback: None, fell: None });
        };
        let seed = call.as_u64_pair();
        let version = match alias.routing.choose(seed.0 ^ seed.1) {
            Version::Latest => LATEST.to_owned(),
            Version::Numbered(number) => number.to_string(),
        };
        let route = route(&version)?;
        let main = version == alias.told.version;
        let before = alias.before.as_ref().filter(|_| main && alias.told.max_stale_ms > 0);
        let fallback = before.map(|before| Fallback {
            version: before.version.clone(),
            revision: before.revision,
            changed_at_ms: before.replaced_at_ms,
            max_stale_ms: alias.told.max_stale_ms,
        });
        let (revision, memory_kib) = (route.revision, self.memory_kib(&version));
        let fell = fallback.is_some().then(|| Arc::clone(&alias.fell));
        Ok(Target { version, revision, memory_kib, fallback, fell })
    }

    /// How the size of what a call runs is chosen, where it is; and whether all calls may be run
    /// twice.
    pub(crate) fn sizing(&self, target: &Target) -> (Option<CallSizing>, bool) {
        let Some(sizing) = self.told.sizing else { return (None, false) };
        let route = self.told.versions.get(&target.version);
        let route = route.filter(|_| sizing.mode == SizingMode::Auto);
        let chosen = route.map(|route| {
            let kib = |mib: u32| u64::from(mib) << 10;
            let twice_kib = (route.memory_bytes >> 10).saturating_mul(2);
            CallSizing {
                kib_min: sizing.memory_mib_min.map_or(KIB_MIN, kib),
                kib_max: sizing.memory_mib_max.map_or(twice_kib, kib),
                size: route.size,
            }
        });
        (chosen, sizing.idempotent)
    }

    /// What a version asks for, in KiB.
    pub(crate) fn asked_kib(&self, version: &str) -> u64 {
        self.told.versions.get(version).map_or(0, |route| route.memory_bytes >> 10)
    }

    fn memory_kib(&self, version: &str) -> u64 {
        let asked = self.asked_kib(version);
        let settled = self.told.versions.get(version).and_then(|route| route.size.kib);
        let auto = self.told.sizing.is_some_and(|sizing| sizing.mode == SizingMode::Auto);
        settled.filter(|_| auto).unwrap_or(asked)
    }

    /// What the function is called in Lambda's words.
    pub(crate) fn arn(&self, qualifier: &str) -> String {
        function_arn(REGION, self.told.account, &self.told.name, qualifier)
    }
}

/// How an alias divides its calls. Control has checked that it may.
fn routing(alias: &AliasRoute) -> Routing {
    let version = |text: &str| text.parse().map_or(Version::Latest, Version::Numbered);
    let other = alias
        .other
        .as_ref()
        .map(|(other, share_bp)| Additional { version: version(other), share_bp: *share_bp });
    let whole = || Routing::new(version(&alias.version), &[], |_| true);
    let divided = Routing::new(version(&alias.version), other.as_slice(), |_| true);
    divided.or_else(|_| whole()).expect("one version that exists is no rule broken")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use api::functions::sizes::Sizing;
    use api::internal::functions::sizes::SettledSize;
    use api::internal::functions::{Permission, VersionRoute};
    use types::{AccountId, FunctionId};

    use super::*;

    fn route(version: &str, other: Option<(&str, u32)>, max_stale_ms: u64) -> FunctionRoute {
        let versions = ["$LATEST", "1", "2", "3"].iter().zip(1_u128..);
        let versions = versions.map(|(version, number)| {
            let revision = RevisionId::new(Uuid::from_u128(number));
            (
                (*version).to_owned(),
                VersionRoute {
                    revision,
                    timeout_ms: 1_000,
                    memory_bytes: 128 << 20,
                    size: SettledSize::default(),
                    provisioned: BTreeMap::new(),
                },
            )
        });
        let alias = AliasRoute {
            version: version.to_owned(),
            other: other.map(|(version, share)| (version.to_owned(), share)),
            max_stale_ms,
            changed_at_ms: 5,
        };
        FunctionRoute {
            function: FunctionId::new(Uuid::from_u128(1)),
            account: AccountId::new(Uuid::from_u128(7)),
            account_name: "acme".parse().unwrap(),
            name: "f".parse().unwrap(),
            versions: versions.collect(),
            aliases: BTreeMap::from([("live".parse().unwrap(), alias)]),
            concurrency_max: None,
            link: None,
            sizing: None,
            urls: vec![],
            permissions: vec![Permission {
                qualifier: "live".to_owned(),
                account: account_number(AccountId::new(Uuid::from_u128(8))),
            }],
        }
    }

    #[test]
    fn a_name_means_a_version() {
        let function = Function::build(route("1", None, 0), None);
        let call = Uuid::from_u128(3);
        for (qualifier, version) in
            [("", "$LATEST"), ("$LATEST", "$LATEST"), ("2", "2"), ("live", "1")]
        {
            let target = function.target(qualifier, call).unwrap();
            assert_eq!((target.version.as_str(), target.fallback), (version, None), "{qualifier}");
        }
        for qualifier in ["4", "dead", "LATEST"] {
            assert!(function.target(qualifier, call).is_err(), "{qualifier}");
        }
    }

    #[test]
    fn a_size_is_chosen_where_the_owner_has_it_chosen() {
        let call = Uuid::from_u128(3);
        let told = |sizing: Option<Sizing>, kib: Option<u64>| {
            let mut told = route("1", None, 0);
            told.sizing = sizing;
            let size = SettledSize { number: 4, kib, refused_kib: None };
            told.versions.get_mut("1").unwrap().size = size;
            let function = Function::build(told, None);
            let target = function.target("live", call).unwrap();
            (target.memory_kib >> 10, function.sizing(&target))
        };
        assert_eq!(told(None, Some(64 << 10)), (128, (None, false)));
        let off = Sizing { idempotent: true, ..Sizing::default() };
        assert_eq!(told(Some(off), Some(64 << 10)), (128, (None, true)), "it was auto before");
        let auto = Sizing { mode: SizingMode::Auto, ..Sizing::default() };
        let (mib, (sizing, idempotent)) = told(Some(auto), Some(64 << 10));
        let sizing = sizing.unwrap();
        assert_eq!((mib, idempotent, sizing.size.number), (64, false, 4));
        assert_eq!((sizing.kib_min >> 10, sizing.kib_max >> 10), (32, 256), "twice what it asks");
        let bounded = Sizing { memory_mib_min: Some(100), memory_mib_max: Some(1_000), ..auto };
        let (mib, (sizing, _)) = told(Some(bounded), None);
        let sizing = sizing.unwrap();
        assert_eq!((mib, sizing.kib_min >> 10, sizing.kib_max >> 10), (128, 100, 1_000));
    }

    #[test]
    fn calls_are_divided_by_their_share() {
        let function = Function::build(route("1", Some(("2", 2_500)), 0), None);
        let calls = (0..4_000_u128).map(|it| Uuid::from_u128(it * 0x9E37_79B9_7F4A_7C15_F39C));
        let others = calls.filter(|call| function.target("live", *call).unwrap().version == "2");
        let others = others.count();
        assert!((900..1_100).contains(&others), "{others} of 4000");
    }

    #[test]
    fn what_was_before_a_change_is_remembered_where_it_may_answer() {
        let call = Uuid::from_u128(3);
        let first = Arc::new(Function::build(route("1", None, 60_000), None));
        assert_eq!(first.target("live", call).unwrap().fallback, None);
        let second = Arc::new(Function::build(route("2", None, 60_000), Some(&first)));
        let fallback = second.target("live", call).unwrap().fallback.unwrap();
        assert_eq!((fallback.version.as_str(), fallback.max_stale_ms), ("1", 60_000));
        assert_eq!(second.target("2", call).unwrap().fallback, None, "it is named");
        let again = Function::build(route("2", None, 60_000), Some(&second));
        assert!(again.target("live", call).unwrap().fallback.is_some());
        let strict = Function::build(route("2", None, 0), Some(&second));
        assert_eq!(strict.target("live", call).unwrap().fallback, None);
    }

    /// Versions that do not begin, one after the other, leave the last one that did.
    #[test]
    fn what_never_answered_itself_is_nothing_to_go_back_to() {
        let call = Uuid::from_u128(3);
        let moved = |version: &str, at_ms: u64, before: &Arc<Function>| {
            let mut told = route(version, None, 60_000);
            told.aliases.values_mut().for_each(|alias| alias.changed_at_ms = at_ms);
            Arc::new(Function::build(told, Some(before)))
        };
        let back = |function: &Function| {
            let fallback = function.target("live", call).unwrap().fallback.unwrap();
            (fallback.version, fallback.changed_at_ms)
        };
        let first = Arc::new(Function::build(route("1", None, 60_000), None));
        for (fell, expected) in [(true, ("1", 10)), (false, ("2", 30))] {
            let second = moved("2", 10, &first);
            assert_eq!(back(&second), ("1".to_owned(), 10));
            let answered = second.target("live", call).unwrap().answered(fell);
            assert_eq!(answered, if fell { "1" } else { "2" });
            // Other changes of the alias replace nothing.
            let second = moved("2", 20, &second);
            assert_eq!(back(&second), ("1".to_owned(), 10));
            let (version, at_ms) = expected;
            assert_eq!(back(&moved("3", 30, &second)), (version.to_owned(), at_ms));
        }
        let mut gone = route("2", None, 60_000);
        gone.versions.remove("1");
        let gone = Function::build(gone, Some(&first));
        assert_eq!(gone.target("live", call).unwrap().fallback, None, "it was deleted");
    }
}
