//! The story: each step as one call after the other of the public API.

use std::ffi::OsStr;
use std::path::Path;

use serde_json::json;

use api::accounts::CreateAccount;
use api::client::Client;
use api::endpoints::DeployRequest;
use api::items::{Found, Item, SearchQuery, Sharing, SuggestRequest};
use api::pages::LogLine;
use api::publishes::Publish;
use api::trainings::TrainRequest;
use formats::manifest;
use types::{ItemKind, Name, Reference};

use super::asking::{self, Grpc};
use super::program::Program;
use super::report::{Judged, Report, Shown};
use super::signins::SignIns;
use super::teller::{Teller, say};
use crate::args::Format;
use crate::cloud::Running;
use crate::commands::{
    self, Follower, Subject, engines, figures, pipeline_folder, pipeline_manifest, publish_folder,
    train_outcome, wait_until_ready,
};
use crate::exit::Failure;
use crate::output::Output;

/// What things are called in the requester's account.
pub const MODEL: &str = "my-risk";
pub const PIPELINE: &str = "risk-check";
pub const ENDPOINT: &str = "risk";
/// What the producer calls its data set, and the channel of the algorithm that it feeds.
const CHANNEL: &str = "training";
/// How often the endpoint is asked to tell its median time.
const ASKED_TIMES: usize = 50;
/// How often a name is tried for an account before the demo gives up.
const NAMES_MAX: u32 = 100;
/// How far the answers of two protocols may differ: none of the model's digits.
const SAME: f32 = 1e-6;

/// What the story came to.
#[derive(Debug)]
pub struct Told {
    pub requester_token: String,
    items: Vec<Shown>,
    judged: Vec<Judged>,
    /// Of the sign-ins asked about, how many were judged as they are labelled.
    right: usize,
    engine: String,
    rest_us: u64,
    grpc_us: u64,
}

/// The two accounts.
struct Cast {
    producer: Client,
    requester: Client,
    requester_name: Name,
    requester_token: String,
}

/// Tells the story.
pub async fn tell(
    cloud: &Running,
    (program, signins, scratch): (&Program, &SignIns, &Path),
    teller: &mut Teller,
) -> Result<Told, Failure> {
    let cast = teller.step("two accounts, and a token for each", cast(cloud)).await?;
    let (producer, requester) = (&cast.producer, &cast.requester);
    let made = publish_algorithm(producer, program, scratch);
    let algorithm = teller.step("the producer publishes an algorithm", made).await?;
    let made = publish_dataset(producer, program, signins, scratch);
    let dataset = teller.step("the producer publishes a data set", made).await?;
    let chosen = choose(requester, &dataset);
    let chosen = teller.step("the requester looks for what it needs", chosen).await?;
    let made = train(requester, &chosen, &dataset);
    let model = teller.step("the requester trains it, on allocated resources", made).await?;
    let made = publish_pipeline(requester, &model);
    let pipeline = teller.step("the requester puts the model in a pipeline", made).await?;
    let made = deploy(requester, &pipeline);
    let engine = teller.step("the requester deploys the pipeline", made).await?;
    let asked = ask(cloud, &cast, signins, scratch);
    let (judged, right, times) =
        teller.step("the requester asks, over REST and gRPC", asked).await?;
    let checked = check_borders(&cast, &algorithm);
    teller.step("neither sees what is the other's", checked).await?;
    let mut items = Vec::new();
    for (client, reference) in
        [(producer, &algorithm), (producer, &dataset), (requester, &model), (requester, &pipeline)]
    {
        items.push(shown(client, reference).await?);
    }
    Ok(Told {
        requester_token: cast.requester_token,
        items,
        judged,
        right,
        engine,
        rest_us: times.0,
        grpc_us: times.1,
    })
}

impl Told {
    /// The report about it.
    pub fn report(self, teller: &Teller, signins: &SignIns) -> Report {
        Report {
            items: self.items,
            judged: self.judged,
            asked: signins.asked.len(),
            right: self.right,
            sign_ins_of_log: signins.from_log,
            sign_ins_generated: signins.generated,
            engine: self.engine,
            rest_median_us: self.rest_us,
            grpc_median_us: self.grpc_us,
            steps: teller.steps.clone(),
            total_ms: teller.total_ms(),
        }
    }
}

async fn cast(cloud: &Running) -> Result<Cast, Failure> {
    let operator = commands::client(&cloud.http, &cloud.operator_token, None)?;
    let (producer_name, producer_token) = account(&operator, "producer").await?;
    let (requester_name, requester_token) = account(&operator, "requester").await?;
    say(&format!("{producer_name} and {requester_name}"))?;
    Ok(Cast {
        producer: commands::client(&cloud.http, &producer_token, None)?,
        requester: commands::client(&cloud.http, &requester_token, None)?,
        requester_name,
        requester_token,
    })
}

/// Makes an account of this name, or with a number behind it where an earlier demo made one.
pub(super) async fn account(operator: &Client, word: &str) -> Result<(Name, String), Failure> {
    for number in 1..=NAMES_MAX {
        let name = if number == 1 { word.to_owned() } else { format!("{word}-{number}") };
        let name: Name = name.parse().expect("a plain word and a number are a name");
        match operator.account_create(&CreateAccount { name }).await {
            Ok(created) => return Ok((created.account.name, created.token.secret)),
            Err(error) if error.code() == "name_taken" => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::refused(format!("there are {NAMES_MAX} accounts {word} already"))
        .hint("begin anew with another --data folder"))
}

async fn publish_algorithm(
    producer: &Client,
    program: &Program,
    scratch: &Path,
) -> Result<Reference, Failure> {
    let folder = scratch.join("package");
    let words = [OsStr::new("package"), OsStr::new("--into"), folder.as_os_str()];
    program.run(&words).await?;
    publish(producer, &folder, Some(Sharing::Everybody)).await
}

async fn publish_dataset(
    producer: &Client,
    program: &Program,
    signins: &SignIns,
    scratch: &Path,
) -> Result<Reference, Failure> {
    let folder = scratch.join("dataset");
    let words =
        [OsStr::new("dataset"), signins.file.as_os_str(), OsStr::new("--into"), folder.as_os_str()];
    program.run(&words).await?;
    if signins.from_log > 0 {
        tell_of_log(&folder)?;
    }
    publish(producer, &folder, Some(Sharing::Everybody)).await
}

/// Changes the manifest's words: these sign-ins are not made up.
fn tell_of_log(folder: &Path) -> Result<(), Failure> {
    let path = folder.join(manifest::FILE_NAME);
    let failed = |error: std::io::Error| Failure::refused(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(&path).map_err(failed)?;
    let mut said = manifest::parse(&text)
        .map_err(|error| Failure::internal("the example's manifest is wrong", &error))?;
    "Sign-ins of an sshd log, labelled by a rule.".clone_into(&mut said.summary);
    said.license.clear();
    said.tags.retain(|tag| tag != "synthetic");
    std::fs::write(&path, manifest::write(&said)).map_err(failed)
}

async fn publish(
    client: &Client,
    folder: &Path,
    sharing: Option<Sharing>,
) -> Result<Reference, Failure> {
    let tell = |line: &LogLine| say(&commands::sentence(line));
    // Progress is told line by line; a bar would disturb.
    let quiet = Output::new(Format::Json);
    let publish: Publish = publish_folder(client, folder, sharing, (&quiet, &tell)).await?;
    publish.version.ok_or_else(|| Failure::refused("it was published without a version"))
}

/// Searches by what is needed, gets suggestions for the data at hand, and takes the best.
async fn choose(requester: &Client, dataset: &Reference) -> Result<Reference, Failure> {
    let text = "sign-in risk";
    let query = SearchQuery { text: Some(text.to_owned()), ..SearchQuery::default() };
    let found = requester.search(&query).await?.found;
    say(&format!("search {text:?} finds {}", names(&found)))?;
    let wish = SuggestRequest {
        text: Some(text.to_owned()),
        kind: Some(ItemKind::Algorithm),
        dataset: Some(dataset.clone()),
        ..SuggestRequest::default()
    };
    let suggested = requester.suggest(&wish).await?.found;
    let best = suggested
        .first()
        .ok_or_else(|| Failure::refused(format!("nothing was suggested for {dataset}")))?;
    let listed = found.iter().any(|one| one.item.id == best.item.id);
    if !listed {
        return Err(Failure::refused("the search did not find what was suggested"));
    }
    say(&format!("suggested for {dataset}: {}", names(&suggested)))?;
    for reason in &best.reasons {
        say(&format!("  because {reason}"))?;
    }
    Ok(reference(&best.item))
}

fn names(found: &[Found]) -> String {
    let names: Vec<String> = found.iter().map(|one| reference(&one.item).to_string()).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

fn reference(item: &Item) -> Reference {
    let (account, name) = (Some(item.account.clone()), item.name.clone());
    Reference { account, name, version: Some(item.newest) }
}

async fn train(
    requester: &Client,
    algorithm: &Reference,
    dataset: &Reference,
) -> Result<Reference, Failure> {
    let request = TrainRequest {
        algorithm: algorithm.clone(),
        data: [(CHANNEL.to_owned(), dataset.clone())].into(),
        parameters: [("epochs".to_owned(), json!(20))].into(),
        instance_type: None,
        model: name(MODEL),
    };
    let id = requester.training_create(&request).await?.id;
    let mut follower = Follower::new(requester, Subject::Training(id));
    loop {
        let log = follower.next().await?;
        for line in &log.lines {
            say(&commands::sentence(line))?;
        }
        if log.ended {
            break;
        }
    }
    let training = train_outcome(requester.training_fetch(id).await?)?;
    training.model.ok_or_else(|| Failure::refused("the training ended without a model"))
}

async fn publish_pipeline(requester: &Client, model: &Reference) -> Result<Reference, Failure> {
    let manifest = pipeline_manifest(
        name(PIPELINE),
        vec![model.clone()],
        "Judges sign-ins with a model of our own.".to_owned(),
        "security".to_owned(),
    );
    let folder = pipeline_folder(&manifest)?;
    publish(requester, folder.path(), None).await
}

async fn deploy(requester: &Client, pipeline: &Reference) -> Result<String, Failure> {
    let source = pipeline.clone();
    let request =
        DeployRequest { name: name(ENDPOINT), source: source.into(), instance_type: None };
    let endpoint = requester.endpoint_create(&request).await?;
    let endpoint = wait_until_ready(requester, &endpoint.name).await?;
    let engine = engines(&endpoint);
    say(&format!(
        "{} is ready, an instance of type {}, engine {engine}",
        endpoint.name, endpoint.instance_type
    ))?;
    Ok(engine)
}

type Asked = (Vec<Judged>, usize, (u64, u64));

async fn ask(
    cloud: &Running,
    cast: &Cast,
    signins: &SignIns,
    scratch: &Path,
) -> Result<Asked, Failure> {
    let (requester, endpoint) = (&cast.requester, name(ENDPOINT));
    let all: Vec<_> = signins.asked.iter().collect();
    let risks = asking::rest(requester, &endpoint, &all).await?;
    let agrees = |(signin, risk): &(&super::signins::SignIn, f32)| (*risk >= 0.5) == signin.risky;
    let right = signins.asked.iter().zip(risks.iter().copied()).filter(agrees).count();
    say(&format!(
        "{} sign-ins the model never saw, in one request: {right} judged as they are labelled",
        all.len()
    ))?;
    let mut grpc = Grpc::connect(&cloud.grpc, &cast.requester_token, &endpoint).await?;
    let mut judged = Vec::new();
    for at in [signins.risky, signins.ordinary] {
        let signin = &signins.asked[at];
        let (rest, grpc) = (risks[at], grpc.risk(signin).await?);
        if (rest - grpc).abs() > SAME {
            let message = format!("REST says {rest} and gRPC {grpc} of the same sign-in");
            return Err(Failure::refused(message));
        }
        judged.push(Judged { sign_in: signin.clone(), risk_rest: rest, risk_grpc: grpc });
    }
    let one = [&signins.asked[signins.risky]];
    let request = asking::request(&one).to_string();
    let path = scratch.join("request.json");
    std::fs::write(&path, request)
        .map_err(|error| Failure::refused(format!("{}: {error}", path.display())))?;
    let rest_us = asking::median_us(ASKED_TIMES, async || {
        asking::rest(requester, &endpoint, &one).await.map(drop)
    });
    let rest_us = rest_us.await?;
    let grpc_us =
        asking::median_us(ASKED_TIMES, async || grpc.risk(one[0]).await.map(drop)).await?;
    say(&format!("one sign-in, median of {ASKED_TIMES}: REST {rest_us} us, gRPC {grpc_us} us"))?;
    Ok((judged, right, (rest_us, grpc_us)))
}

/// Tries what neither account may do, and shows what the producer learns.
async fn check_borders(cast: &Cast, algorithm: &Reference) -> Result<(), Failure> {
    let Cast { producer, requester, .. } = cast;
    let (account, item) = parts(algorithm)?;
    let number = algorithm.version.unwrap_or(1);
    let own = producer.version_fetch(account, item, number).await?;
    let object =
        own.object.ok_or_else(|| Failure::refused("the producer does not see its own package"))?;
    let seen = requester.version_fetch(account, item, number).await?;
    if seen.object.is_some() || seen.files.is_some() {
        return Err(Failure::refused("the requester sees the files of the producer's package"));
    }
    let read = requester.object_content(object, 0).await.map(drop);
    refused("the requester reads the algorithm's package", read)?;
    let read = producer.item_fetch(&cast.requester_name, &name(MODEL)).await.map(drop);
    refused("the producer looks at the model", read)?;
    let described = producer.model_metadata(Some(&cast.requester_name), &name(ENDPOINT)).await;
    refused("the producer asks the endpoint", described.map(drop))?;
    let usage = producer.item_usage(account, item).await?;
    say(&format!(
        "the producer learns counts only: trainings {}, accounts {}",
        usage.trainings, usage.accounts
    ))
}

/// Says that something was refused; a failure where it was not.
fn refused(what: &str, outcome: Result<(), api::client::Error>) -> Result<(), Failure> {
    match outcome {
        Ok(()) => Err(Failure::refused(format!("{what}, which has to be refused"))),
        Err(error) if matches!(error.status(), Some(401 | 403 | 404)) => {
            say(&format!("{what}: refused ({})", error.code()))
        }
        Err(error) => Err(error.into()),
    }
}

async fn shown(client: &Client, reference: &Reference) -> Result<Shown, Failure> {
    let (account, item) = parts(reference)?;
    let version = client.version_fetch(account, item, reference.version.unwrap_or(1)).await?;
    Ok(Shown {
        item: reference.clone(),
        kind: version.kind,
        figures: figures(&version.listing.figures).lines().map(str::to_owned).collect(),
    })
}

fn parts(reference: &Reference) -> Result<(&Name, &Name), Failure> {
    let account = reference.account.as_ref();
    account
        .map(|account| (account, &reference.name))
        .ok_or_else(|| Failure::refused(format!("{reference} does not say whose it is")))
}

fn name(word: &str) -> Name {
    word.parse().expect("the demo's words are names")
}
