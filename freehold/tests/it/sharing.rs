//! Who may call: tokens that end, and endpoints shared with somebody, everybody and nobody.

use api::accounts::{CreateToken, Role};
use api::items::Sharing;
use testkit::tensors::{json_request, numbers};
use testkit::wait::until;
use testkit::{Cloud, Package};

use crate::grpc;
use crate::world::{PROGRAM, name, strangers};

/// Longest time until a gateway knows of a change.
const KNOWN_S: u64 = 1;

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_or_expired_token_ends_within_a_second() {
    let cloud = Cloud::one(PROGRAM).await;
    let (producer, _) = strangers(&cloud).await;
    let model = producer.publish(&Package::linear("double", ("x", "y"), 2.0, 0.0)).await;
    producer.deploy("twice", &model).await;
    let twice = name("twice");
    let token = |lifetime_ms| CreateToken {
        label: "for a while".to_owned(),
        role: Role::Reader,
        lifetime_ms,
        access_key: false,
    };
    let made = producer.client.token_create(&token(None)).await.unwrap();
    let short = producer.client.token_create(&token(Some(2_500))).await.unwrap();
    let clients = [&made.secret, &short.secret].map(|secret| cloud.client(Some(secret)));
    for client in &clients {
        until(KNOWN_S, "the gateway to know the token", || async {
            client.model_infer(None, &twice, json_request("x", [1.0, 2.0])).await.ok()
        })
        .await;
        // A reader may not deploy.
        let wanted = api::endpoints::DeployRequest {
            name: name("other"),
            source: model.clone().into(),
            instance_type: None,
        };
        assert_eq!(client.endpoint_create(&wanted).await.unwrap_err().status(), Some(403));
    }
    producer.client.token_revoke(made.token.id).await.unwrap();
    for (client, limit_s, code) in
        [(&clients[0], KNOWN_S, "unauthenticated"), (&clients[1], 4, "token_expired")]
    {
        let refused = until(limit_s, "the gateway to refuse the token", || async {
            client.model_infer(None, &twice, json_request("x", [1.0, 2.0])).await.err()
        })
        .await;
        assert_eq!(refused.status(), Some(401), "{refused:?}");
        let refused = client.whoami().await.unwrap_err();
        assert_eq!((refused.status(), refused.code()), (Some(401), code), "{refused:?}");
    }
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_answers_whom_it_is_shared_with() {
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, guest) = strangers(&cloud).await;
    let other = cloud.account("cygnus").await;
    let model = owner.publish(&Package::linear("double", ("x", "y"), 2.0, 0.0)).await;
    owner.deploy("twice", &model).await;
    let (acme, twice) = (name("acme"), name("twice"));
    let anonymous = cloud.client(None);
    let asks = [(&guest.client, 0), (&other.client, 1), (&anonymous, 2)];
    let everybody = Sharing::Everybody;
    let guests = Sharing::Accounts { accounts: vec![name("borealis")] };
    // Who is answered, in the order of `asks`.
    let steps = [
        (None, [404, 404, 401]),
        (Some(guests.clone()), [200, 404, 401]),
        (Some(everybody.clone()), [200, 200, 200]),
        (Some(guests), [200, 404, 401]),
        (Some(everybody), [200, 200, 200]),
        (Some(Sharing::Nobody), [404, 404, 401]),
    ];
    for (sharing, wanted) in steps {
        if let Some(sharing) = sharing.clone() {
            owner.share_endpoint(&twice, sharing).await;
        }
        for (client, place) in asks {
            let ask = || async {
                let request = json_request("x", [1.0, 2.0]);
                match client.model_infer(Some(&acme), &twice, request).await {
                    Ok(answer) => {
                        assert_eq!(numbers(&answer), [2.0, 4.0]);
                        200
                    }
                    Err(error) => error.status().unwrap(),
                }
            };
            let what = format!("{} from caller {place} under {sharing:?}", wanted[place]);
            until(KNOWN_S, &what, || async { (ask().await == wanted[place]).then_some(()) }).await;
            let ready = client.model_metadata(Some(&acme), &twice).await;
            assert_eq!(ready.map_or_else(|e| e.status().unwrap(), |_| 200), wanted[place]);
        }
        let shared = wanted[2] == 200;
        let answer = grpc::infer(&cloud.grpc(), None, ("acme.twice", "x"), [1.0, 2.0]).await;
        assert_eq!(answer.is_ok(), shared, "{answer:?}");
        // The owner is always answered, by the short name and the long one.
        for account in [None, Some(&acme)] {
            let request = json_request("x", [1.0, 2.0]);
            owner.client.model_infer(account, &twice, request).await.unwrap();
        }
    }
    // The short name is one's own: it never means another account's endpoint.
    let refused = guest.client.model_infer(None, &twice, json_request("x", [1.0, 2.0])).await;
    assert_eq!(refused.unwrap_err().status(), Some(404));
    cloud.close().await;
}
