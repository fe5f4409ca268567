//! The native API against its own description: `schemathesis` asks every operation what the
//! document allows and what it does not, and no answer may be a fault or undocumented.
//!
//! The number of requests is `FREEHOLD_TEST_EXAMPLES` per operation; a long run sets more.

use std::fmt::Write as _;
use std::path::PathBuf;

use api::accounts::{CreateToken, Role};
use api::items::Sharing;
use api::pages::PageQuery;
use testkit::{Account, Cloud, Package};
use tokio::process::Command;
use types::{PublishId, TrainingId};

use super::{given, given_number, run};
use crate::world::PROGRAM;

/// Requests per operation in the short run.
const EXAMPLES: u64 = 20;

/// What every answer must be. Left out: that every request the document allows is accepted, since
/// no document can say which cursors, ids and media types there are.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,negative_data_rejection,\
    unsupported_method,allow_header_conformance,missing_required_header,ignored_auth";

/// Revokes the very token that is asked with, so it has a run of its own.
const REVOKE: &str = "/v1/tokens/{token}";

#[tokio::test(flavor = "multi_thread")]
async fn contract_is_kept_towards_the_operator() {
    let Some(world) = World::new().await else { return };
    let token = world.cloud.operator_token().to_owned();
    world.hold(&token, &["--exclude-path", REVOKE]).await;
    world.cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_is_kept_towards_a_developer_and_a_revoked_token() {
    let Some(world) = World::new().await else { return };
    let client = &world.maker.client;
    let wanted = |label: &str, role| CreateToken {
        label: label.to_owned(),
        role,
        lifetime_ms: None,
        access_key: false,
    };
    let developer = client.token_create(&wanted("developer", Role::Developer)).await.unwrap();
    world.hold(&developer.secret, &["--exclude-path", REVOKE]).await;
    let owner = client.token_create(&wanted("owner", Role::Owner)).await.unwrap();
    world.hold(&owner.secret, &["--include-path", REVOKE]).await;
    world.cloud.close().await;
}

/// A cloud in which there is something of every kind to ask about.
struct World {
    cloud: Cloud,
    maker: Account,
    /// The program `schemathesis`.
    program: PathBuf,
    publish: PublishId,
    training: TrainingId,
}

impl World {
    async fn new() -> Option<Self> {
        let program = given("FREEHOLD_TEST_VENV")?.join("bin/st");
        let mut cloud = Cloud::one(PROGRAM).await;
        // What was made up may be published twice at a time; the step is then run again.
        cloud.expect("another version of the item was published meanwhile");
        let maker = cloud.account("maker").await;
        let trainer = Package::trainer("trainer");
        let publish = maker.begin_publish(&trainer, Sharing::Everybody).await.unwrap().id;
        let algorithm = maker.ended_publish(publish).await.version.unwrap();
        let dataset = maker.publish(&Package::events("events")).await;
        let begun = maker.begin_train((&algorithm, &dataset), &[], "learnt").await.unwrap();
        let training = maker.training_in(begun.id, &[]).await;
        maker.deploy("answers", &training.model.unwrap()).await;
        Some(Self { cloud, maker, program, publish, training: begun.id })
    }

    /// Ids that exist, so that not every question is about nothing; and no long waits for logs.
    async fn settings(&self) -> String {
        let tokens = self.maker.client.tokens_list(&PageQuery::default()).await.unwrap().items;
        let token = tokens.last().unwrap().id;
        let object = self.maker.client.publish_fetch(self.publish).await.unwrap().object;
        let mut text = format!(
            "[parameters]\n\"path.account\" = \"maker\"\n\"path.number\" = 1\n\
             \"path.code\" = \"not_found\"\n\"path.publish\" = \"{}\"\n\
             \"path.training\" = \"{}\"\n\"path.object\" = \"{object}\"\n\
             \"path.token\" = \"{token}\"\n\"query.wait_ms\" = 20\n",
            self.publish, self.training,
        );
        for (paths, name) in [("items", "learnt"), ("endpoints", "answers")] {
            write!(
                text,
                "\n[[operations]]\ninclude-path-regex = \"^/v1/{paths}/\"\n\
                 parameters = {{ \"path.name\" = \"{name}\" }}\n"
            )
            .unwrap();
        }
        text
    }

    /// Asks with a token, and fails with what was found.
    async fn hold(&self, token: &str, which: &[&str]) {
        // What it keeps between runs goes away with this folder, so that every run is the same.
        let folder = tempfile::tempdir().unwrap();
        let settings = folder.path().join("schemathesis.toml");
        std::fs::write(&settings, self.settings().await).unwrap();
        let examples = given_number("FREEHOLD_TEST_EXAMPLES", EXAMPLES).to_string();
        let mut command = Command::new(&self.program);
        command.env_clear().env("HOME", folder.path()).current_dir(folder.path());
        command.args(["--config-file", settings.to_str().unwrap(), "run"]);
        command.arg(format!("{}/v1/openapi.json", self.cloud.http()));
        command.args(["-H", &format!("Authorization: Bearer {token}")]);
        command.args(["--seed", "1", "--max-examples", &examples, "--checks", CHECKS]);
        command.args(["--phases", "examples,coverage,fuzzing", "--continue-on-failure"]);
        command.args(["--request-timeout", "30", "--warnings", "off", "--no-color"]);
        let (succeeded, text) = run(command.args(which)).await;
        assert!(succeeded, "{text}");
        let last = text.lines().rfind(|line| line.contains("generated")).unwrap_or_default();
        eprintln!("{which:?}: {}", last.trim());
    }
}
