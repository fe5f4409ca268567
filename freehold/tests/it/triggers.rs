//! Triggers: what fails before customers is taken out by itself, and those concerned are told.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use api::endpoints::captures::{CaptureSpec, Captured};
use api::endpoints::{AskGate, ChangeMode, GateCondition, GateMetric, GateScope, GateSpec};
use api::pages::PageQuery;
use api::runs::{Judged, Load, RunOutcome};
use api::streams::{CreateStream, EventLabel, LabelEvents, StreamSpec};
use api::triggers::{
    Firing, TriggerAction, TriggerCondition, TriggerOn, TriggerOutcome, TriggerSpec, TriggerState,
};
use serde_json::Value;
use testkit::wait::until;
use testkit::{Account, Cloud};
use types::Mode;

use crate::elsewhere::Elsewhere;
use crate::functions::has_python;
use crate::replays::{ask, endpoint, run_of, stream, valid};
use crate::webhooks::{PORT, RECEIVER};
use crate::world::{PROGRAM, http, name, strangers};

/// Longest time until something is so: a window, and a telling after a pause, among it.
const WAIT_S: u64 = 60;
/// Python's own SMTP server, of its standard library: it writes down what it is sent.
const MAIL: &str = r#"
import asyncore, smtpd, sys

class Server(smtpd.SMTPServer):
    def process_message(self, peer, sender, to, data, **kwargs):
        with open(sys.argv[2], "ab") as file:
            file.write(("%s %s\n" % (sender, to)).encode() + data + b"\n--\n")

Server(("127.0.0.1", int(sys.argv[1])), None)
asyncore.loop()
"#;

/// A mail server; it ends with the test.
struct Mail(Child);

impl Mail {
    /// Starts it; none, said aloud, where this Python has none.
    async fn serve(port: u16, kept: &Path) -> Option<Self> {
        let python = |words: &[&str]| {
            let mut python = Command::new("/usr/bin/python3");
            python.args(["-W", "ignore"]).args(words).stdout(Stdio::null()).stderr(Stdio::null());
            python
        };
        if !python(&["-c", "import smtpd"]).status().is_ok_and(|it| it.success()) {
            eprintln!("SKIPPED: this Python has no smtpd");
            return None;
        }
        let (port_text, kept) = (port.to_string(), kept.to_str().unwrap());
        let server = python(&["-c", MAIL, &port_text, kept]).spawn().unwrap();
        testkit::processes::know(server.id());
        let mail = Self(server);
        until(WAIT_S, "the mail server to listen", || async {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Some(mail)
    }
}

impl Drop for Mail {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn errors(at_least: i64) -> TriggerCondition {
    let of = GateCondition::of(GateMetric::ErrorsPpm);
    TriggerCondition::Is(GateCondition { at_least: Some(at_least), ..of })
}

/// The newest firing of a trigger, once all that it does is done.
async fn done(owner: &Account, trigger: &str) -> Firing {
    until(WAIT_S, &format!("{trigger} to have done what it does"), || async {
        let page = owner.client.firings_list(&name("risk"), &PageQuery::default()).await.unwrap();
        let fired = page.items.into_iter().find(|it| it.trigger == name(trigger))?;
        fired.did.iter().all(|did| did.outcome == TriggerOutcome::Done).then_some(fired)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_taken_out_and_those_concerned_are_told() {
    if !has_python() {
        return;
    }
    let Some(mut elsewhere) = Elsewhere::make() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |text: &str| folder.path().join(text);
    let (kept, secret, mails) = (path("kept"), path("secret"), path("mails"));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    elsewhere.serve(&["-c", RECEIVER, &text(&kept), &text(&secret)], PORT).await;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let Some(_mail) = Mail::serve(port, &mails).await else { return };
    let smtp = format!("smtp://127.0.0.1:{port}");
    let flags = ["--egress-networks", "198.18.0.0/15", "--smtp", &smtp];
    let flags = [&flags[..], &["--smtp-from", "cloud@example.org"]].concat();
    let cloud = Cloud::one_with(PROGRAM, &flags).await;
    let (owner, _) = strangers(&cloud).await;
    endpoint(&owner).await;
    let url = format!("http://{}:{PORT}/ok", elsewhere.far);
    begin(&owner, &url, &secret).await;
    let fired = failed(&owner).await;
    assert_eq!(fired.saw.variant, Some(name("broken")));
    assert!(fired.saw.words.contains("at least 200000 is watched for"), "{fired:?}");
    assert!(fired.saw.requests >= 20 && fired.saw.failures == fired.saw.requests, "{fired:?}");
    let endpoint = owner.client.endpoint_fetch(&name("risk")).await.unwrap();
    let broken = endpoint.variants.iter().find(|it| it.used.variant == name("broken")).unwrap();
    assert_eq!((broken.used.mode, endpoint.modes_number), (Mode::Test, 2));
    let told = std::fs::read_to_string(&kept).unwrap();
    let told: Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&told["signed"], &told["body"]["data"]["trigger"]),
        (&true.into(), &"failing".into())
    );
    let mail = std::fs::read_to_string(&mails).unwrap();
    assert!(mail.contains("cloud@example.org ['ops@example.org']"), "{mail}");
    assert!(mail.contains("Subject: failing of risk has fired"), "{mail}");
    // Everybody is answered by what is in production.
    for _ in 0..20 {
        ask(&owner, "risk", 60).await.unwrap();
    }

    judged(&owner, &url).await;
    changed(&owner).await;
    cloud.close().await;
}

/// What fails is given half of the keys, and is watched.
async fn begin(owner: &Account, url: &str, secret: &Path) {
    let client = &owner.client;
    let then = vec![
        TriggerAction::Out {},
        TriggerAction::Webhook { url: url.to_owned() },
        TriggerAction::Email { to: "ops@example.org".to_owned() },
    ];
    let failing = TriggerSpec {
        name: name("failing"),
        variant: Some(name("broken")),
        on: TriggerOn::Live,
        when: errors(200_000),
        window_ms: Some(10_000),
        judged: Judged::default(),
        then,
    };
    client.trigger_create(&name("risk"), &failing).await.unwrap();
    let told = client.triggers_list(&name("risk")).await.unwrap();
    std::fs::write(secret, told.webhook_secret.expect("its owner sees it")).unwrap();
    let change = ChangeMode {
        mode: Mode::Canary,
        share_bp: 5_000,
        for_ms: None,
        reason: "to see".to_owned(),
        modes_number: 0,
    };
    client.variant_mode(&name("risk"), &name("broken"), &change).await.unwrap();
}

/// Customers ask, half of them what fails, until it has been acted on.
async fn failed(owner: &Account) -> Firing {
    let asked = async {
        loop {
            // Some of them fail: that is what is watched.
            let _ = ask(owner, "risk", 60).await;
        }
    };
    tokio::select! {
        fired = done(owner, "failing") => fired,
        () = asked => unreachable!("it asks until somebody acts"),
    }
}

/// A replay is judged when it has ended, also by region, and is no live event.
async fn judged(owner: &Account, url: &str) {
    let client = &owner.client;
    let then = vec![TriggerAction::Webhook { url: url.to_owned() }];
    let worse = TriggerSpec {
        name: name("worse"),
        variant: None,
        on: TriggerOn::Replay,
        when: errors(500_000),
        window_ms: None,
        judged: Judged::default(),
        then,
    };
    client.trigger_create(&name("risk"), &worse).await.unwrap();
    let stream = stream(owner).await;
    let (run, _) = valid(owner, &run_of(&["broken", "main"], &stream)).await;
    let fired = done(owner, "worse").await;
    assert_eq!((fired.saw.variant, fired.saw.lower), (Some(name("broken")), Some(1_000_000)));
    let told = client.triggers_list(&name("risk")).await.unwrap().triggers;
    let failing = told.iter().find(|it| it.spec.name == name("failing")).unwrap();
    let now = failing.now.as_ref().unwrap();
    // What was under way when it was taken out may be told of later, and is less than a replay.
    assert!(failing.state == TriggerState::Fired && now.requests < 20, "{now:?}");
    let of = GateCondition::of(GateMetric::ErrorsPpm);
    let each = GateCondition { scope: GateScope::EachRegion, at_most: Some(10_000), ..of };
    let gate = GateSpec { conditions: vec![each], automatic: false };
    client.gate_put(&name("risk"), &gate).await.unwrap();
    let said = client.gate_ask(&name("risk"), &AskGate { run: run.id }).await.unwrap();
    let words: Vec<&str> = said.lines.iter().map(|line| line.words.as_str()).collect();
    assert_eq!(
        words,
        [
            "condition 1 fails: errors_ppm in no is 1000000; at most 10000 is wanted",
            "condition 1 fails: errors_ppm in se is 1000000; at most 10000 is wanted",
        ]
    );
    assert!(!said.holds);
}

/// What went well is sent anew at another rate and for another time, and not once more when it has
/// both.
async fn changed(owner: &Account) {
    let client = &owner.client;
    let (rate, for_ms) = (Load::Rate { uhz: 75_000_000 }, Some(2_000));
    let few = GateCondition { at_most: Some(100_000), ..GateCondition::of(GateMetric::ErrorsPpm) };
    let load = Some(rate.clone());
    let then = TriggerAction::Change { load, times_milli: None, for_ms, events: None };
    let shorter = TriggerSpec {
        name: name("shorter"),
        variant: Some(name("main")),
        on: TriggerOn::Replay,
        when: TriggerCondition::Is(few),
        window_ms: None,
        judged: Judged::default(),
        then: vec![then],
    };
    client.trigger_create(&name("risk"), &shorter).await.unwrap();
    let (run, _) = valid(owner, &run_of(&["main"], &name("sales"))).await;
    let next = until(WAIT_S, "the run that follows to end", || async {
        let all = client.runs_list(&PageQuery::default()).await.unwrap().items;
        let follows = |it: &api::runs::Run| it.follows.as_ref().is_some_and(|it| it.run == run.id);
        all.into_iter().find(|it| follows(it) && it.state.ended())
    })
    .await;
    assert_eq!((&next.spec.load, next.spec.for_ms, next.spec.seed), (&rate, for_ms, Some(7)));
    assert_eq!(next.follows.as_ref().map(|it| it.changes), Some(1));
    let outcome: RunOutcome = serde_json::from_value(next.outcome.unwrap()).unwrap();
    // Of fewer than a hundred nothing is known.
    assert_eq!(outcome.schedule.sends, 150);
    let firings = async |of| {
        let page = client.firings_list(&name("risk"), &PageQuery::default()).await.unwrap();
        page.items.into_iter().find(|it| it.run == Some(of))
    };
    let fired = firings(run.id).await.unwrap();
    assert_eq!(fired.did[0].outcome, TriggerOutcome::Done, "{fired:?}");
    assert!(fired.did[0].words.contains(&next.id.to_string()), "{fired:?}");
    // One whose sender was late says nothing.
    if outcome.valid {
        let fired = until(WAIT_S, "it to be judged too", || async { firings(next.id).await }).await;
        assert!(fired.did[0].words.contains("it was sent so already"), "{fired:?}");
    }
}

async fn use_it(owner: &Account, variant: &str, (mode, share_bp): (Mode, u32), modes_number: u64) {
    let reason = "to see".to_owned();
    let change = ChangeMode { mode, share_bp, for_ms: None, reason, modes_number };
    owner.client.variant_mode(&name("risk"), &name(variant), &change).await.unwrap();
}

/// Customers ask, and each time it turns out soon what would have been right.
async fn ask_and_label(cloud: &Cloud, owner: &Account) {
    let url = format!("{}/endpoints/risk/invocations", cloud.http());
    for batch in 0_u64.. {
        let customers: Vec<u64> = (batch * 20..(batch + 1) * 20).collect();
        let asked = customers.iter().map(|customer| {
            let request = http().post(&url).bearer_auth(&owner.token);
            let request = request.header("x-request-id", format!("request-{customer}"));
            request.json(&serde_json::json!({ "amount": customer % 100 })).send()
        });
        for answer in futures::future::join_all(asked).await {
            assert_eq!(answer.unwrap().status().as_u16(), 200);
        }
        let label = |customer: &u64| EventLabel {
            source: String::new(),
            id: format!("request-{customer}"),
            label: (customer % 100 > 50).to_string(),
        };
        let labels = LabelEvents { labels: customers.iter().map(label).collect(), rule: None };
        owner.client.stream_label(&name("requests"), &labels).await.unwrap();
    }
}

/// What answers wrongly is taken out once enough labels say so, and what answers rightly stays.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_answers_to_live_requests_are_noticed_by_their_labels() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let client = &owner.client;
    endpoint(&owner).await;
    let requests = CreateStream { name: name("requests"), spec: StreamSpec::default() };
    client.stream_create(&requests).await.unwrap();
    let few =
        GateCondition { at_most: Some(900_000), ..GateCondition::of(GateMetric::AccuracyPpm) };
    let wrong = |called: &str, variant: &str| TriggerSpec {
        name: name(called),
        variant: Some(name(variant)),
        on: TriggerOn::Live,
        when: TriggerCondition::Is(few.clone()),
        window_ms: Some(600_000),
        judged: Judged { prediction: Some("/score".to_owned()), ..Judged::default() },
        then: vec![TriggerAction::Out {}],
    };
    let refused = client.trigger_create(&name("risk"), &wrong("wrong", "main")).await.unwrap_err();
    assert_eq!(refused.code(), "conflict", "nothing is captured");
    let spec =
        CaptureSpec { stream: name("requests"), what: Captured::Both, share_bp: 10_000, key: None };
    client.capture_put(&name("risk"), &spec).await.unwrap();
    // What was there first answers half of the keys from now on, and the better one the others.
    use_it(&owner, "better", (Mode::Production, 0), 0).await;
    use_it(&owner, "main", (Mode::Canary, 5_000), 1).await;
    client.trigger_create(&name("risk"), &wrong("wrong", "main")).await.unwrap();
    let also = TriggerSpec { then: vec![TriggerAction::Revert {}], ..wrong("also", "better") };
    client.trigger_create(&name("risk"), &also).await.unwrap();
    let fired = tokio::select! {
        fired = done(&owner, "wrong") => fired,
        () = ask_and_label(&cloud, &owner) => unreachable!("it asks until somebody acts"),
    };
    assert_eq!(fired.saw.variant, Some(name("main")));
    assert!(fired.saw.words.contains("events with a label"), "{fired:?}");
    let wrong = fired.saw.failures * 100 / fired.saw.requests;
    assert!(fired.saw.requests >= 100 && (20..60).contains(&wrong), "{fired:?}");
    let endpoint = client.endpoint_fetch(&name("risk")).await.unwrap();
    let mode = |called: &str| {
        let mut all = endpoint.variants.iter();
        all.find(|it| it.used.variant == name(called)).unwrap().used.mode
    };
    assert_eq!((mode("main"), mode("better")), (Mode::Test, Mode::Production));
    let page = client.firings_list(&name("risk"), &PageQuery::default()).await.unwrap();
    assert_eq!(page.items.len(), 1, "the better one is right: {page:?}");
    cloud.close().await;
}
