//! Egress: the way out of this machine to what users have named.
//!
//! A name is resolved here, each address that it has is judged, and only those that were judged are
//! handed out to be connected to, so that a name cannot come to mean another place in between.
//!
//! Always true: no address of this machine, of its link or of the cloud's own processes is handed
//! out; one of a private network only where the operator has opened it.
//! Absent on purpose: which places a user has named (`policy::egress::judge_place`), protocols.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use policy::egress::{Network, judge_address, meant};
use tokio::net::{TcpStream, lookup_host};

/// Longest time to resolve a name, and to be connected to one address, in milliseconds: a server
/// that is there answers within a few round trips.
const DIAL_MS_MAX: u64 = 10_000;

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There may be none.
    #[error("not allowed: {0}")]
    Forbidden(String),
    /// The place cannot be reached.
    #[error("not reached: {0}")]
    Unreachable(String),
}

/// The way out of this machine.
#[derive(Clone, Debug, Default)]
pub struct Door {
    open: Vec<Network>,
    cloud: Vec<String>,
}

impl Door {
    /// A way to every public address and to the networks that the operator has opened; to none of
    /// the `cloud`: hosts of the cloud's own processes.
    pub fn new(open: Vec<Network>, cloud: Vec<String>) -> Self {
        Self { open, cloud }
    }

    /// A connection to a host, a name or an address.
    ///
    /// # Errors
    ///
    /// [`Refused`], of the last address that was tried.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Refused> {
        let mut last = Refused::Unreachable("it has no address".to_owned());
        for address in resolve(host, port).await? {
            last = match self.judge(address.ip()).await {
                Err(why) => why,
                Ok(()) => match within(TcpStream::connect(address)).await {
                    Ok(stream) => return Ok(stream),
                    Err(why) => Refused::Unreachable(format!("{address}: {why}")),
                },
            };
        }
        Err(last)
    }

    /// The addresses of a host that may be connected to; at least one.
    ///
    /// # Errors
    ///
    /// [`Refused`] where there is none.
    pub async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Refused> {
        let mut last = Refused::Unreachable("it has no address".to_owned());
        let mut good = Vec::new();
        for address in resolve(host, port).await? {
            match self.judge(address.ip()).await {
                Ok(()) => good.push(address),
                Err(why) => last = why,
            }
        }
        if good.is_empty() { Err(last) } else { Ok(good) }
    }

    /// Whether an address may be connected to.
    ///
    /// # Errors
    ///
    /// [`Refused::Forbidden`], with the reason.
    pub async fn judge(&self, address: IpAddr) -> Result<(), Refused> {
        let forbidden = |why: String| Refused::Forbidden(format!("{address}: {why}"));
        let mut is_own = [address, meant(address)].into_iter().any(is_ours);
        for host in &self.cloud {
            // A host that cannot be resolved now could be any.
            let found = resolve(host, 1).await.map_err(|error| forbidden(error.to_string()))?;
            is_own |= found.iter().any(|it| [address, meant(address)].contains(&it.ip()));
        }
        judge_address(address, is_own, &self.open).map_err(|why| forbidden(why.to_string()))
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

    fn door(open: &[&str], cloud: &[&str]) -> Door {
        let open = open.iter().map(|text| text.parse().unwrap()).collect();
        Door::new(open, cloud.iter().map(|&text| text.to_owned()).collect())
    }

    /// A listener is there each time, so that only the judgement keeps it from being reached.
    #[tokio::test]
    async fn nothing_of_this_machine_is_reached_by_any_name() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let everything = door(&["0.0.0.0/0", "::/0"], &[]);
        for host in ["127.0.0.1", "localhost", "::ffff:127.0.0.1", "0.0.0.0", "127.0.0.2"] {
            for refused in [
                everything.connect(host, port).await.map(drop).unwrap_err(),
                everything.addresses(host, port).await.map(drop).unwrap_err(),
            ] {
                match refused {
                    Refused::Forbidden(why) => assert!(why.contains("loopback"), "{why}"),
                    Refused::Unreachable(why) => panic!("{host}: {why}"),
                }
            }
        }
    }

    #[tokio::test]
    async fn the_clouds_own_hosts_are_never_reached() {
        let other = door(&["198.18.0.0/15"], &["198.18.0.7"]);
        let Err(Refused::Forbidden(why)) = other.judge("198.18.0.7".parse().unwrap()).await else {
            panic!("it was let out");
        };
        assert!(why.contains("of this cloud"), "{why}");
        assert_eq!(other.judge("198.18.0.8".parse().unwrap()).await, Ok(()));
        let unknown = door(&[], &["nothing.invalid"]);
        assert!(unknown.judge("8.8.8.8".parse().unwrap()).await.is_err());
    }

    #[test]
    fn addresses_of_this_machine_are_known() {
        assert!(is_ours("127.0.0.1".parse().unwrap()));
        assert!(!is_ours("198.18.255.254".parse().unwrap()));
    }
}
