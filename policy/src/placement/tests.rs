use proptest::collection::vec;
use proptest::prelude::*;
use types::HostId;

use super::*;

fn id(number: u128) -> HostId {
    HostId::new(uuid::Uuid::from_u128(number))
}

prop_compose! {
    fn hosts()(
        hosts in vec((0..4_u32, 0..4_u64, any::<bool>()), 0..12),
    ) -> Vec<Host> {
        let named = |(number, (free_cpu_milli, free_memory_bytes, holds_package))| {
            Host { id: id(number), free_cpu_milli, free_memory_bytes, holds_package }
        };
        (1..).zip(hosts).map(named).collect()
    }
}

prop_compose! {
    fn needs()(cpu_milli in 0..4_u32, memory_bytes in 0..4_u64) -> Need {
        Need { cpu_milli, memory_bytes }
    }
}

fn fits(host: &Host, need: &Need) -> bool {
    host.free_cpu_milli >= need.cpu_milli && host.free_memory_bytes >= need.memory_bytes
}

proptest! {
    /// A host is found exactly when one fits, and the one found fits.
    #[test]
    fn what_fits_is_placed_and_nothing_else(hosts in hosts(), need in needs()) {
        match pick(&hosts, &need) {
            Ok(id) => {
                let picked = hosts.iter().find(|host| host.id == id).unwrap();
                prop_assert!(fits(picked, &need));
            }
            Err(_) => prop_assert!(!hosts.iter().any(|host| fits(host, &need))),
        }
    }

    /// The order in which hosts are listed does not matter.
    #[test]
    fn the_order_of_hosts_does_not_matter(
        (hosts, shuffled) in
            hosts().prop_flat_map(|hosts| (Just(hosts.clone()), Just(hosts).prop_shuffle())),
        need in needs(),
    ) {
        prop_assert_eq!(pick(&hosts, &need).ok(), pick(&shuffled, &need).ok());
    }

    /// A host that holds the package comes before every host that does not.
    #[test]
    fn the_package_is_fetched_only_when_it_must_be(hosts in hosts(), need in needs()) {
        if let Ok(id) = pick(&hosts, &need) {
            let picked = hosts.iter().find(|host| host.id == id).unwrap();
            let holder = hosts.iter().any(|host| host.holds_package && fits(host, &need));
            prop_assert_eq!(picked.holds_package, holder);
        }
    }

    /// A refusal counts every host for what it lacks, and each lacks something.
    #[test]
    fn a_refusal_tells_the_truth(hosts in hosts(), need in needs()) {
        match pick(&hosts, &need) {
            Err(Refusal::NoHost) => prop_assert!(hosts.is_empty()),
            Err(Refusal::NoRoom { hosts: count, short_of_cpu, short_of_memory, .. }) => {
                prop_assert_eq!(count, hosts.len());
                prop_assert!(short_of_cpu + short_of_memory >= count);
            }
            Ok(_) => {}
        }
    }
}
