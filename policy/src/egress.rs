//! Egress: what a function may connect to outside its sandbox.
//!
//! A function names hosts and ports; whoever connects for it resolves the host and has each address
//! judged, and connects to an address that was judged, so that a name cannot come to mean another
//! place in between.
//!
//! Always true: nothing is reached that is not named; the host itself, its neighbours on the link,
//! and the cloud's own addresses are never reached, whoever names them; a private network only where
//! the operator has opened it.
//! Absent on purpose: names with wildcards, ranges of ports, resolving.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Most places of one function: more are a network, not a list.
pub const PLACES_MAX: usize = 50;
/// Longest name of a host. Source: RFC 1035.
const HOST_BYTES_MAX: usize = 253;

/// A host and a port that a function may connect to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// In small letters, or an address as it is usually written.
    host: String,
    port: u16,
}

/// Why a text is no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no place to connect to: write HOST:PORT, such as example.org:443 or [::1]:80")]
pub struct NotAPlace {
    text: String,
}

impl Place {
    /// A place; the host is a name or an address, without brackets.
    ///
    /// # Errors
    ///
    /// [`NotAPlace`] where the host is neither, or the port is 0.
    pub fn new(host: &str, port: u16) -> Result<Self, NotAPlace> {
        let wrong = || NotAPlace { text: format!("{host}:{port}") };
        let host = match host.parse::<IpAddr>() {
            Ok(address) => address.to_string(),
            Err(_) if is_name(host) => host.trim_end_matches('.').to_ascii_lowercase(),
            Err(_) => return Err(wrong()),
        };
        if port == 0 { Err(wrong()) } else { Ok(Self { host, port }) }
    }

    /// Its host.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Whether this can be resolved, and is not an address in one of the ways that only some resolvers
/// know, such as `127.1` or `0x7f000001`.
fn is_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(plain)
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    let numeric = last.starts_with(|first: char| first.is_ascii_digit());
    host.len() <= HOST_BYTES_MAX && host.split('.').all(label) && !numeric
}

impl FromStr for Place {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotAPlace { text: text.chars().take(80).collect() };
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let six = |host: &str| host.parse::<Ipv6Addr>().is_ok();
        if bare.map_or_else(|| six(host), |bare| !six(bare)) {
            return Err(wrong());
        }
        let plain = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|_| plain).ok_or_else(wrong)?;
        Self::new(bare.unwrap_or(host), port).map_err(|_| wrong())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// A network that the operator opens to functions, such as `10.1.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u32,
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (first, bits) = text.split_once('/')?;
            let first: IpAddr = first.parse().ok()?;
            let bits = bits.parse().ok().filter(|bits| *bits <= width(first))?;
            Some(Self { first, bits })
        };
        read().ok_or_else(|| format!("{text:?} is no network: write ADDRESS/BITS, as 10.1.0.0/16"))
    }
}

impl Network {
    fn has(&self, address: IpAddr) -> bool {
        let number = |address: IpAddr| match address {
            IpAddr::V4(four) => u128::from(u32::from(four)),
            IpAddr::V6(six) => u128::from(six),
        };
        let rest = width(self.first) - self.bits;
        let top = |address: IpAddr| number(address).checked_shr(rest).unwrap_or(0);
        width(address) == width(self.first) && top(address) == top(self.first)
    }
}

const fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Why a function may not connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The function does not name this place.
    #[error("the function does not name it in its egress")]
    Unnamed,
    /// The address is one of the host that the function runs on, or of the cloud.
    #[error("it is an address of this cloud")]
    OwnAddress,
    /// The address means the host itself, its link, several hosts, or none.
    #[error("it is a loopback, link-local, multicast or reserved address")]
    Local,
    /// The address is of a private network that is not open.
    #[error("it is in a private network that the operator has not opened (--egress-networks)")]
    Private,
}

/// Whether a function that names these places may connect to this one.
///
/// # Errors
///
/// [`Refusal::Unnamed`].
pub fn judge_place(named: &[Place], wanted: &Place) -> Result<(), Refusal> {
    if named.contains(wanted) { Ok(()) } else { Err(Refusal::Unnamed) }
}

/// Whether functions may connect to an address that a named place means. `is_own` says whether it is
/// one of this host's or of the cloud's.
///
/// # Errors
///
/// Every [`Refusal`] but the first.
pub fn judge_address(address: IpAddr, is_own: bool, open: &[Network]) -> Result<(), Refusal> {
    let meant = meant(address);
    if is_local(meant) || is_local(address) {
        return Err(Refusal::Local);
    }
    if is_own {
        return Err(Refusal::OwnAddress);
    }
    if is_private(meant) && !open.iter().any(|network| network.has(meant)) {
        return Err(Refusal::Private);
    }
    Ok(())
}

/// The address of version 4 that one of version 6 stands for, where it does: mapped and compatible
/// ones, and those that a translator or a tunnel takes apart.
pub fn meant(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let parts = six.segments();
    let four =
        |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match parts {
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] if high > 0 => four(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => four(high, low),
        [0x2002, high, low, ..] => four(high, low),
        _ => address,
    }
}

/// Loopback, link-local, unspecified, several hosts, or reserved.
fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => {
            let [first, ..] = four.octets();
            first == 0 || four.is_loopback() || four.is_link_local() || first >= 224
        }
        IpAddr::V6(six) => {
            let [first, ..] = six.segments();
            // Link-local and the former site-local.
            let link = first & 0xff80 == 0xfe80;
            six.is_unspecified() || six.is_loopback() || six.is_multicast() || link
        }
    }
}

/// Of networks that are not routed between owners: private ones, those of carriers, of tests and of
/// documents, and whatever of version 6 is not global.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => {
            let [first, second, third, _] = four.octets();
            four.is_private()
                || four.is_documentation()
                || first == 100 && second & 0xc0 == 64
                || first == 198 && second & 0xfe == 18
                || first == 192 && second == 0 && third == 0
        }
        IpAddr::V6(six) => six.segments()[0] & 0xe000 != 0x2000,
    }
}

#[cfg(test)]
mod tests;
