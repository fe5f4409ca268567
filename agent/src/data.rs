//! The data port: gateways on other hosts reach instances and functions through it.
//!
//! A gateway proves itself by its certificate and says what it wants (two little-endian bytes of
//! length, then JSON). Where that is an instance of a generation, it is spliced to the instance's
//! socket; where that is functions, HTTP follows as on the functions socket.
//!
//! Always true: only gateways of this cloud get through; a wrong instance or generation closes
//! the connection.

use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use api::identity::Process;
use api::listen::{self, Peer, Tls};
use types::InstanceId;

use crate::Agent;

/// Longest time from the connection to the end of what is said first.
const HELLO_MS_MAX: u64 = 10_000;
/// Longest text that is said first.
const HELLO_BYTES_MAX: u16 = 1_024;

/// What a gateway wants.
#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Hello {
    /// To speak to an instance.
    Instance { instance: InstanceId, generation: u64 },
    /// To call functions; nothing more is said.
    Functions { functions: Empty },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

/// Answers gateways on this listener until the tasks stop.
pub async fn serve_data(agent: Agent, listener: TcpListener, tls: Tls) {
    let tasks = agent.shared.tasks.clone();
    let stopping = tasks.stopping();
    loop {
        let accepted = tokio::select! {
            () = stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (agent, tls) = (agent.clone(), tls.clone());
                tasks.spawn("data connection", async move {
                    if let Err(error) = answer(&agent, stream, &tls).await {
                        tracing::debug!(%error, "a data connection ended");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the data port cannot take connections");
                agent.shared.clock.sleep_ms(100).await;
            }
        }
    }
}

async fn answer(agent: &Agent, stream: TcpStream, tls: &Tls) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let hello = async {
        let from = stream.peer_addr()?;
        let (mut stream, peer) = tls.accept(stream, from).await?;
        match &peer {
            Peer::Certificate(subject) if subject.process == Process::Gateway => {}
            _ => return Err(std::io::Error::other("the caller is no gateway of this cloud")),
        }
        let hello = read_hello(&mut stream).await?;
        Ok((stream, peer, hello))
    };
    let hello = tokio::time::timeout(Duration::from_millis(HELLO_MS_MAX), hello).await;
    let (mut stream, peer, hello) = hello.map_err(std::io::Error::other)??;
    let (instance, generation) = match hello {
        Hello::Instance { instance, generation } => (instance, generation),
        Hello::Functions { functions: Empty {} } => {
            let stopping = agent.shared.tasks.stopping();
            listen::serve_one(stream, peer, agent.functions_router(), stopping).await;
            return Ok(());
        }
    };
    let socket = agent.shared.held.socket(instance, generation);
    let socket = socket.ok_or_else(|| std::io::Error::other("no such instance serves here"))?;
    let mut worker = UnixStream::connect(socket).await?;
    copy_bidirectional(&mut stream, &mut worker).await.map(|_| ())
}

async fn read_hello(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Hello> {
    let length = stream.read_u16_le().await?;
    if length > HELLO_BYTES_MAX {
        return Err(std::io::Error::other("what is said first is too long"));
    }
    let mut text = vec![0; usize::from(length)];
    stream.read_exact(&mut text).await?;
    serde_json::from_slice(&text).map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_said_in_one_of_two_ways() {
        let read = |text: &str| serde_json::from_str::<Hello>(text);
        let instance = InstanceId::new(uuid::Uuid::from_u128(7));
        let told = format!("{{\"instance\":\"{instance}\",\"generation\":3}}");
        let hello = read(&told).unwrap();
        assert!(matches!(hello, Hello::Instance { instance: it, generation: 3 } if it == instance));
        assert!(matches!(read("{\"functions\":{}}").unwrap(), Hello::Functions { .. }));
        for wrong in ["{}", "{\"functions\":1}", "{\"generation\":3}", "functions"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
