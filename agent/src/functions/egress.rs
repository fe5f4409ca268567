//! A function's way out: to the places that it names, and through the host's door.

use std::sync::Arc;

use api::internal::functions::Revision;
use egress::{Door, Refused};
use executor::egress::{Dial, WayOut};
use futures::future::BoxFuture;
use policy::egress::{Place, judge_place};
use tokio::net::TcpStream;

use crate::Agent;

/// Connects for the instances of one function.
#[derive(Debug)]
struct Dialler {
    named: Vec<Place>,
    door: Door,
}

/// The way out of a function's instance; none where it names no place.
pub(super) fn way_out(agent: &Agent, spec: &Revision) -> Option<WayOut> {
    // Control has read them; what it took and this agent does not know leads nowhere.
    let named: Vec<Place> = spec.egress.iter().filter_map(|text| text.parse().ok()).collect();
    if named.is_empty() {
        return None;
    }
    let door = agent.shared.settings.door.clone();
    Some(WayOut::new(Arc::new(Dialler { named, door })))
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
        self.door.connect(place.host(), port).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_that_is_not_named_is_not_even_resolved() {
        let open = vec!["0.0.0.0/0".parse().unwrap()];
        let named = vec!["example.org:443".parse().unwrap()];
        let dialler = Dialler { named, door: Door::new(open, Vec::new()) };
        for (host, port) in [("127.0.0.1", 443), ("nothing.invalid", 443), ("example.org", 80)] {
            let refused = dialler.connect(host, port).await.unwrap_err();
            assert!(matches!(refused, Refused::Forbidden(why) if why.contains("does not name it")));
        }
    }
}
