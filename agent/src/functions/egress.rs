//! A function's way out: names are resolved and connected to here, for the places that it names.
//!
//! Always true: what was judged is what is connected to; every address that a name has is judged by
//! itself, at each connection anew.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use api::internal::functions::Revision;
use executor::egress::{Dial, Refused, WayOut};
use futures::future::BoxFuture;
use policy::egress::{Network, Place, judge_address, judge_place, meant};
use tokio::net::{TcpStream, lookup_host};

use crate::Agent;

/// Longest time to resolve a name, and to be connected to one address: a server that is there
/// answers within a few round trips.
const DIAL_MS_MAX: u64 = 10_000;

/// Connects for the instances of one function.
#[derive(Debug)]
struct Dialler {
    named: Vec<Place>,
    open: Vec<Network>,
    /// Hosts of the cloud's own processes, which no function is to reach.
    cloud: Vec<String>,
}

/// The way out of a function's instance; none where it names no place.
pub(super) fn way_out(agent: &Agent, spec: &Revision) -> Option<WayOut> {
    // Control has read them; what it took and this agent does not know leads nowhere.
    let named: Vec<Place> = spec.egress.iter().filter_map(|text| text.parse().ok()).collect();
    if named.is_empty() {
        return None;
    }
    let settings = &agent.shared.settings;
    let (open, cloud) = (settings.egress_networks.clone(), settings.cloud_hosts.clone());
    Some(WayOut::new(Arc::new(Dialler { named, open, cloud })))
}

impl Dial for Dialler {
    fn dial<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, Result<TcpStream, Refused>> {
        Box::pin(self.connect(host, port))
    }
}

impl Dialler {
    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Refused> {
        let place = Place::new(host, port).map_err(|it| Refused::Forbidden(it.to_string()))?;
        judge_place(&self.named, &place).map_err(|it| Refused::Forbidden(it.to_string()))?;
        let mut last = Refused::Unreachable("it has no address".to_owned());
        for address in resolve(place.host(), port).await? {
            last = match self.judge(address.ip()).await {
                Err(why) => Refused::Forbidden(why),
                Ok(()) => match within(TcpStream::connect(address)).await {
                    Ok(stream) => return Ok(stream),
                    Err(why) => Refused::Unreachable(format!("{address}: {why}")),
                },
            };
        }
        Err(last)
    }

    /// Whether functions may reach an address.
    async fn judge(&self, address: IpAddr) -> Result<(), String> {
        let mut is_own = [address, meant(address)].into_iter().any(is_ours);
        for host in &self.cloud {
            // A host that cannot be resolved now could be any.
            let found = resolve(host, 1).await.map_err(|error| error.to_string())?;
            is_own |= found.iter().any(|it| [address, meant(address)].contains(&it.ip()));
        }
        judge_address(address, is_own, &self.open).map_err(|why| format!("{address}: {why}"))
    }
}

/// The addresses of a host.
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Refused> {
    match within(lookup_host((host, port))).await {
        Ok(found) => Ok(found.collect()),
        Err(why) => Err(Refused::Unreachable(format!("{host} cannot be resolved: {why}"))),
    }
}

async fn within<T>(action: impl Future<Output = std::io::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(Duration::from_millis(DIAL_MS_MAX), action).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {DIAL_MS_MAX} ms")),
    }
}

/// Whether an address is one of this machine's: only to those can a socket be bound. A machine that
/// lets sockets be bound to any lets nothing out.
fn is_ours(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialler(named: &[&str], open: &[&str], cloud: &[&str]) -> Dialler {
        Dialler {
            named: named.iter().map(|text| text.parse().unwrap()).collect(),
            open: open.iter().map(|text| text.parse().unwrap()).collect(),
            cloud: cloud.iter().map(|&text| text.to_owned()).collect(),
        }
    }

    /// A listener is there each time, so that only the judgement keeps it from being reached.
    #[tokio::test]
    async fn nothing_of_this_machine_is_reached_by_any_name() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let hosts = ["127.0.0.1", "localhost", "::ffff:127.0.0.1", "0.0.0.0", "127.0.0.2"];
        for host in hosts {
            let place = Place::new(host, port).unwrap().to_string();
            let everything = dialler(&[&place], &["0.0.0.0/0", "::/0"], &[]);
            match everything.connect(host, port).await {
                Err(Refused::Forbidden(why)) => assert!(why.contains("loopback"), "{why}"),
                other => panic!("{host}: {other:?}"),
            }
        }
        let nothing = dialler(&["example.org:443"], &["0.0.0.0/0"], &[]);
        let refused = nothing.connect("127.0.0.1", port).await.unwrap_err();
        assert!(matches!(refused, Refused::Forbidden(why) if why.contains("does not name it")));
    }

    #[tokio::test]
    async fn the_clouds_own_hosts_are_never_reached() {
        let other = dialler(&[], &["198.18.0.0/15"], &["198.18.0.7"]);
        let refused = other.judge("198.18.0.7".parse().unwrap()).await.unwrap_err();
        assert!(refused.contains("of this cloud"), "{refused}");
        assert_eq!(other.judge("198.18.0.8".parse().unwrap()).await, Ok(()));
        let unknown = dialler(&[], &[], &["nothing.invalid"]);
        assert!(unknown.judge("8.8.8.8".parse().unwrap()).await.is_err());
    }

    #[test]
    fn addresses_of_this_machine_are_known() {
        assert!(is_ours("127.0.0.1".parse().unwrap()));
        assert!(!is_ours("198.18.255.254".parse().unwrap()));
    }
}
