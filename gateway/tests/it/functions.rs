//! Calls of functions: given to hosts over their sockets, or through their data ports from another
//! host; and to the next where one does not take them.

use std::path::{Path, PathBuf};

use api::identity::{Process, Shown};
use api::internal::Routes;
use api::internal::functions::{
    CALL_HEADER, CALLED_HEADER, Call, Called, FunctionHost, HostLeft, StartTimes,
};
use api::listen::{self, Address, Listener};
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use gateway::{Proof, Settings};
use http::{HeaderMap, header};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixListener;
use tokio::sync::watch;
use types::{Fleet, HostId};
use uuid::Uuid;

use crate::remote::{agent, identity, new_authority};
use crate::world::{Answered, Ask, World, function_of};

/// What a fake agent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    /// Answers with its name.
    Runs,
    /// The same, and tells that it has no room for more.
    RunsLast,
    /// Says that it has no room.
    Full,
    /// Closes the connection after it was told.
    Dies,
    /// Answers never.
    Waits,
}

/// A host that can be asked, by a name that it answers with.
fn host(number: u128, name: &str, socket: &Path) -> FunctionHost {
    FunctionHost {
        host: HostId::new(Uuid::from_u128(number)),
        socket: socket.display().to_string(),
        data_address: None,
        name: name.parse().unwrap(),
        fleet: Fleet::Cold,
    }
}

/// A fake agent's functions socket, and how many calls came.
async fn functions(
    world: &World,
    name: &'static str,
    does: Does,
) -> (PathBuf, watch::Receiver<u64>) {
    let socket = world.path(name);
    let (came, seen) = watch::channel(0);
    let stopping = world.tasks.stopping();
    if does == Does::Dies {
        let listener = UnixListener::bind(&socket).unwrap();
        let ends = async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read_u8().await;
                came.send_modify(|came| *came += 1);
            }
        };
        world.tasks.spawn("fake functions", async move {
            tokio::select! { () = ends => {}, () = stopping.cancelled() => {} }
        });
        return (socket, seen);
    }
    let answer = move |headers: HeaderMap| {
        came.send_modify(|came| *came += 1);
        async move {
            let call: Call = serde_json::from_str(headers[CALL_HEADER].to_str().unwrap()).unwrap();
            match does {
                Does::Runs => answered(name, &call, None),
                Does::RunsLast => answered(name, &call, Some(HostLeft::default())),
                Does::Full => refused(),
                Does::Dies | Does::Waits => std::future::pending().await,
            }
        }
    };
    let router = Router::new().route("/revisions/{revision}/calls", post(answer));
    let listener = Listener::bind(&Address::Unix(socket.clone())).await.unwrap();
    world.tasks.spawn("fake functions", listen::serve(listener, router, None, stopping));
    (socket, seen)
}

/// An answer with the name, and what was said of the call.
fn answered(name: &str, call: &Call, left: Option<HostLeft>) -> Response {
    // As if each call were the first of an instance that takes a second to start.
    let start = Some(StartTimes { init_us: 1_000_000, ..StartTimes::default() });
    let called = Called { duration_us: 1, start, left, ..Called::default() };
    let told = serde_json::to_string(&called).unwrap();
    let burst = if call.burst { " of a burst" } else { "" };
    let twice = if call.idempotent { " or twice" } else { "" };
    ([(CALLED_HEADER, told)], format!("\"{name}{burst}{twice}\"")).into_response()
}

fn refused() -> Response {
    let problem = api::Problem {
        page: "/v1/errors/no_capacity".to_owned(),
        status: 503,
        code: "no_capacity".to_owned(),
        title: "this host has no room".to_owned(),
        hint: None,
        request_id: None,
    };
    let body = serde_json::to_vec(&problem).unwrap();
    (StatusCode::SERVICE_UNAVAILABLE, [(header::CONTENT_TYPE, "application/json")], body)
        .into_response()
}

/// Routes with one function of `acme`, on these hosts.
fn routes(world: &World, generation: u64, hosts: Vec<FunctionHost>) -> Routes {
    let routes = world.routes(generation);
    let function = function_of(&routes.endpoints[0]);
    Routes { functions: vec![function], hosts, ..routes }
}

/// Calls the function once.
async fn call(world: &World) -> Answered {
    world.ask(Ask::post("/v1/functions/f/invocations", b"{}")).await
}

/// Whether a call may have run, and nobody knows.
fn is_lost(answer: &Answered) -> bool {
    answer.status == 503 && answer.text().contains("went away")
}

#[tokio::test]
async fn a_host_that_does_not_take_a_call_is_followed_by_the_next() {
    let world = World::start().await;
    let gone = host(1, "gone", Path::new("/not/here"));
    let full = host(2, "full", &functions(&world, "full", Does::Full).await.0);
    let runs = host(3, "runs", &functions(&world, "runs", Does::Runs).await.0);
    world.tell(routes(&world, 2, vec![gone.clone(), full.clone(), runs])).await;
    for _ in 0..3 {
        let answer = call(&world).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "\"runs\""));
    }
    world.tell(routes(&world, 3, vec![gone.clone(), full])).await;
    let answer = call(&world).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    world.tell(routes(&world, 4, vec![gone])).await;
    assert_eq!(call(&world).await.status, 503);
}

#[tokio::test]
async fn a_call_that_may_have_run_is_not_given_to_another_host() {
    let world = World::start().await;
    let (socket, seen) = functions(&world, "dies", Does::Dies).await;
    let dies = host(1, "dies", &socket);
    world.tell(routes(&world, 2, vec![dies.clone()])).await;
    assert!(is_lost(&call(&world).await));
    let (runs, came) = functions(&world, "runs", Does::Runs).await;
    let runs = host(2, "runs", &runs);
    world.tell(routes(&world, 3, vec![dies, runs])).await;
    let (mut lost, mut ran) = (1, 0);
    for _ in 0..12 {
        let answer = call(&world).await;
        assert!(is_lost(&answer) || answer.status == 200, "{}", answer.text());
        lost += u64::from(is_lost(&answer));
        ran += u64::from(answer.status == 200);
    }
    assert_eq!((*seen.borrow(), *came.borrow()), (lost, ran), "each call came to one of them");
}

#[tokio::test]
async fn functions_on_another_host_are_called_through_its_data_port() {
    let authority = new_authority();
    let shown = Shown::new(&identity(&authority, Process::Gateway)).unwrap();
    let proof = Proof { authority_pem: authority.certificate_pem().to_owned(), identity: shown };
    let world = World::start_with(Settings { proof: Some(proof), ..Settings::default() }).await;
    let (there, _) = functions(&world, "there", Does::Runs).await;
    let address = agent(&world.tasks, &authority, Process::Agent, there).await;
    let mut far = host(1, "far", Path::new("/not/here"));
    far.data_address = Some(address.to_string());
    world.tell(routes(&world, 2, vec![far.clone()])).await;
    for _ in 0..3 {
        let answer = call(&world).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "\"there\""));
    }

    // Nobody else is spoken to, whatever address was told.
    let (there, _) = functions(&world, "false", Does::Runs).await;
    let address = agent(&world.tasks, &authority, Process::Gateway, there).await;
    far.data_address = Some(address.to_string());
    world.tell(routes(&world, 3, vec![far])).await;
    assert_eq!(call(&world).await.status, 503);
}

#[tokio::test]
async fn what_is_under_way_on_a_far_host_that_is_lost_is_lost_with_it() {
    let authority = new_authority();
    let shown = Shown::new(&identity(&authority, Process::Gateway)).unwrap();
    let proof = Proof { authority_pem: authority.certificate_pem().to_owned(), identity: shown };
    let world = World::start_with(Settings { proof: Some(proof), ..Settings::default() }).await;
    let (there, mut came) = functions(&world, "there", Does::Waits).await;
    let address = agent(&world.tasks, &authority, Process::Agent, there).await;
    let mut far = host(1, "far", Path::new("/not/here"));
    far.data_address = Some(address.to_string());
    world.tell(routes(&world, 2, vec![far])).await;
    let lost = async {
        came.wait_for(|came| *came == 1).await.unwrap();
        world.tell(routes(&world, 3, vec![])).await;
    };
    let (answer, ()) = tokio::join!(call(&world), lost);
    assert!(is_lost(&answer), "{}", answer.text());
}

/// Hosts of these fleets, each with its name and how many calls came.
async fn fleets(
    world: &World,
    fleets: &[(&'static str, Fleet)],
) -> (Vec<FunctionHost>, Vec<watch::Receiver<u64>>) {
    let (mut hosts, mut came) = (Vec::new(), Vec::new());
    for (number, (name, fleet)) in (1..).zip(fleets) {
        let (socket, seen) = functions(world, name, Does::Runs).await;
        hosts.push(FunctionHost { fleet: fleet.clone(), ..host(number, name, &socket) });
        came.push(seen);
    }
    (hosts, came)
}

#[tokio::test]
async fn a_function_that_is_called_often_stays_with_one_hot_host() {
    let world = World::start().await;
    let wanted = [
        ("hot-1", Fleet::Hot),
        ("hot-2", Fleet::Hot),
        ("hot-3", Fleet::Hot),
        ("cold-1", Fleet::Cold),
        ("cold-2", Fleet::Cold),
    ];
    let (hosts, came) = fleets(&world, &wanted).await;
    world.tell(routes(&world, 2, hosts.clone())).await;
    let first = call(&world).await.text();
    assert!(first.contains("cold"), "it is called seldom until it is called often: {first}");
    // Eight calls make sixty an hour.
    for _ in 0..8 {
        call(&world).await;
    }
    let hot = call(&world).await.text();
    assert!(hot.contains("hot"), "{hot}");
    for _ in 0..20 {
        assert_eq!(call(&world).await.text(), hot, "it stays there");
    }
    let calls: u64 = came[..3].iter().map(|came| *came.borrow()).sum();
    assert!(calls >= 21 && came[..3].iter().filter(|came| *came.borrow() > 0).count() == 1);

    // Its host goes: another one has it, and keeps it.
    let left: Vec<_> = hosts.into_iter().filter(|host| !hot.contains(host.name.as_str())).collect();
    world.tell(routes(&world, 3, left)).await;
    let next = call(&world).await.text();
    assert!(next.contains("hot") && next != hot, "{next}");
    assert_eq!(call(&world).await.text(), next);
}

#[tokio::test]
async fn an_account_with_hosts_of_its_own_runs_nowhere_else() {
    let world = World::start().await;
    let own = |name: &str| Fleet::Dedicated(name.parse().unwrap());
    let wanted = [("shared", Fleet::Cold), ("acmes", own("acme")), ("others", own("other"))];
    let (hosts, _) = fleets(&world, &wanted).await;
    world.tell(routes(&world, 2, hosts.clone())).await;
    for _ in 0..5 {
        assert_eq!(call(&world).await.text(), "\"acmes\"");
    }
    world.tell(routes(&world, 3, vec![hosts[0].clone(), hosts[2].clone()])).await;
    for _ in 0..5 {
        assert_eq!(call(&world).await.text(), "\"shared\"");
    }
    world.tell(routes(&world, 4, vec![hosts[2].clone()])).await;
    let answer = call(&world).await;
    assert_eq!(answer.status, 503, "a host of another account is none: {}", answer.text());
}

#[tokio::test]
async fn a_fleet_without_hosts_is_served_by_the_other() {
    for fleet in [Fleet::Hot, Fleet::Cold] {
        let world = World::start().await;
        let wanted = [("one", fleet.clone()), ("two", fleet)];
        let (hosts, came) = fleets(&world, &wanted).await;
        world.tell(routes(&world, 2, hosts)).await;
        for _ in 0..30 {
            assert_eq!(call(&world).await.status, 200);
        }
        let calls: u64 = came.iter().map(|came| *came.borrow()).sum();
        assert_eq!(calls, 30);
    }
}

#[tokio::test]
async fn what_hot_hosts_have_no_room_for_runs_on_cold_ones_for_a_while() {
    let world = World::start().await;
    let (hot, _) = functions(&world, "hot", Does::RunsLast).await;
    let (cold, _) = functions(&world, "cold", Does::Runs).await;
    let hot = FunctionHost { fleet: Fleet::Hot, ..host(1, "hot", &hot) };
    world.tell(routes(&world, 2, vec![hot, host(2, "cold", &cold)])).await;
    let mut answers = Vec::new();
    for _ in 0..12 {
        answers.push(call(&world).await.text());
    }
    // Seldom, then often, and then its host tells that it is full.
    let cold = answers.iter().take_while(|answer| *answer == "\"cold\"").count();
    assert!((5..=9).contains(&cold), "{answers:?}");
    assert_eq!(answers[cold], "\"hot\"");
    assert!(answers[cold + 1..].iter().all(|it| it == "\"cold of a burst\""), "{answers:?}");
}

#[tokio::test]
async fn a_caller_may_say_that_a_call_may_be_run_twice() {
    let world = World::start().await;
    let (socket, _) = functions(&world, "runs", Does::Runs).await;
    world.tell(routes(&world, 2, vec![host(1, "runs", &socket)])).await;
    assert_eq!(call(&world).await.text(), "\"runs\"");
    let key = [("idempotency-key", "\"8e03978e\"")];
    let ask = Ask::post("/v1/functions/f/invocations", b"{}").with(&key);
    assert_eq!(world.ask(ask).await.text(), "\"runs or twice\"");
}
