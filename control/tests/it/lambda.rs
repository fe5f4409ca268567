//! Lambda's management paths: who may, and in which words they are refused.

use access::Role;
use http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, House, Member, request};

/// Where the routes are declared.
const SOURCES: [&str; 5] = [
    include_str!("../../src/http/lambda/functions.rs"),
    include_str!("../../src/http/lambda/aliases.rs"),
    include_str!("../../src/http/lambda/provisioned.rs"),
    include_str!("../../src/http/lambda/settings.rs"),
    include_str!("../../src/http/lambda/urls.rs"),
];

/// Every method and path, filled with what belongs to `alice`.
fn routes() -> Vec<(String, String)> {
    let mut routes = Vec::new();
    for declared in SOURCES.iter().flat_map(|source| source.split(".route(").skip(1)) {
        let mut quoted = declared.split('"');
        let path = quoted.nth(1).unwrap().to_owned();
        let handlers = quoted.next().unwrap();
        for method in ["get", "put", "post", "delete"] {
            let end = handlers.find(".route").unwrap_or(handlers.len());
            if handlers[..end].contains(&format!("{method}(")) {
                let path = path
                    .replace("{function}", "Resize")
                    .replace("{alias}", "live")
                    .replace("{statement}", "let")
                    .replace("{arn}", "Resize");
                routes.push((method.to_uppercase(), path));
            }
        }
    }
    routes
}

async fn ask(house: &House, member: Option<&Member>, route: &(String, String)) -> Answer {
    let (method, path) = route;
    let body: Option<Value> = (method != "GET").then(|| json!({}));
    house.send(request(method, path, member, body)).await
}

/// Clients take an error without one of Lambda's names for one without words.
#[tokio::test]
async fn what_is_not_here_is_refused_in_lambdas_words() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    let paths = ["/2018-10-31/layers", "/2015-03-31/functions/Resize/nothing"];
    let of_another_method = [("PATCH", "/2015-03-31/functions")];
    for (method, path) in paths.map(|path| ("GET", path)).into_iter().chain(of_another_method) {
        let answer = house.send(request(method, path, Some(&alice), None)).await;
        assert_eq!((answer.status, &*answer.kind), (404, "UnknownOperationException"), "{path}");
        assert!(answer.body["message"].as_str().unwrap().contains(path), "{:?}", answer.body);
    }
}

#[tokio::test]
async fn every_path_asks_who_calls_and_shows_a_stranger_nothing() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    let bob = house.account("bob").await;
    let reader = house.member(&alice, Role::Reader).await;
    let object = house.upload(&alice, &[0; 1024]).await;
    let wanted = json!({ "name": "Resize", "runtime": "provided", "object": object });
    assert_eq!(house.post(&alice, "/v1/functions", wanted).await.status, 201);
    let routes = routes();
    assert!(routes.len() >= 36, "{routes:?}");
    for route in &routes {
        let nobody = ask(&house, None, route).await;
        assert_eq!((nobody.status, &*nobody.kind), (403, "UnrecognizedClientException"));
        let of_one = route.1.contains("Resize");
        let stranger = ask(&house, Some(&bob), route).await;
        // A body that says nothing is refused before anything is looked for.
        let right: &[u16] = if of_one { &[400, 404] } else { &[200, 400] };
        assert!(right.contains(&stranger.status), "{route:?}: {stranger:?}");
        if stranger.status == 200 {
            assert!(!stranger.body.to_string().contains("Resize"), "{route:?}: {stranger:?}");
        }
        if route.0 != Method::GET.as_str() {
            let read = ask(&house, Some(&reader), route).await;
            assert!((400..500).contains(&read.status), "{route:?}: {read:?}");
        }
    }
    let there = house.get(&alice, "/2015-03-31/functions/Resize/configuration").await;
    assert_eq!(there.body["FunctionName"], "Resize", "nobody has changed it: {there:?}");
}

#[tokio::test]
async fn a_path_that_is_not_there_is_refused_in_words() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    let answer = house.get(&alice, "/2015-03-31/layers").await;
    assert_eq!(answer.status, 404, "{answer:?}");
    let answer = house.get(&alice, "/2015-03-31/functions/no:such:thing:at:all").await;
    assert_eq!((answer.status, &*answer.kind), (400, "InvalidParameterValueException"));
}
