//! An account of a cloud, and what its owner does, each step waited for.

use std::collections::BTreeMap;
use std::fs::File;

use api::client::{Called, Client, Error};
use api::endpoints::{DeployRequest, Endpoint, EndpointState};
use api::items::{ShareRequest, Sharing};
use api::objects::Object;
use api::pages::{LogLine, LogQuery};
use api::publishes::{Publish, PublishRequest, PublishState};
use api::trainings::{TrainRequest, Training, TrainingState};
use bytes::Bytes;
use types::{FunctionName, Name, PublishId, Reference, TrainingId};

use crate::Package;
use crate::wait::until;

/// Longest time of a step, in seconds, with room for a busy machine.
const STEP_S: u64 = 60;
/// Longest wait for the answer of a function, in milliseconds, with such room.
const CALL_MS_MAX: u64 = 60_000;

/// An account and its first token.
#[derive(Clone, Debug)]
pub struct Account {
    pub name: Name,
    pub token: String,
    pub client: Client,
}

impl Account {
    /// Sends a package as an object, as the command line does.
    ///
    /// # Errors
    ///
    /// The client's.
    pub async fn send(&self, package: &Package) -> Result<Object, Error> {
        let folder = tempfile::tempdir().expect("the temporary folder can be written");
        let path = folder.path().join("package.tar");
        let file = File::create(&path).expect("the folder is ours");
        formats::archive::pack(package.folder(), file).expect("the package can be packed");
        self.client.object_upload_file(&path, "application/x-tar", |_| {}).await
    }

    /// Begins to publish a package.
    ///
    /// # Errors
    ///
    /// The client's.
    pub async fn begin_publish(
        &self,
        package: &Package,
        sharing: Sharing,
    ) -> Result<Publish, Error> {
        let object = self.send(package).await?.id;
        let wanted = PublishRequest { object, sharing: Some(sharing) };
        self.client.publish_create(&wanted).await
    }

    /// Waits until a publishing has ended.
    pub async fn ended_publish(&self, id: PublishId) -> Publish {
        until(STEP_S, "a publishing to end", || async {
            let publish = self.client.publish_fetch(id).await.ok()?;
            (publish.state != PublishState::Running).then_some(publish)
        })
        .await
    }

    /// Publishes a package for everybody, and gives its version.
    pub async fn publish(&self, package: &Package) -> Reference {
        self.publish_for(package, Sharing::Everybody).await
    }

    /// The same for whom it is shared with.
    pub async fn publish_for(&self, package: &Package, sharing: Sharing) -> Reference {
        let begun = self.begin_publish(package, sharing).await.expect("it can be begun");
        let publish = self.ended_publish(begun.id).await;
        let Some(version) = publish.version else {
            panic!("{publish:?}\n{:#?}", self.publish_log(begun.id).await);
        };
        version
    }

    /// The whole log of a publishing.
    pub async fn publish_log(&self, id: PublishId) -> Vec<LogLine> {
        let log = self.client.publish_log(id, &LogQuery::default()).await;
        log.expect("its owner may read it").lines
    }

    /// Begins a training with the data set in the channel `training`.
    ///
    /// # Errors
    ///
    /// The client's.
    pub async fn begin_train(
        &self,
        (algorithm, dataset): (&Reference, &Reference),
        parameters: &[(&str, u64)],
        model: &str,
    ) -> Result<Training, Error> {
        let parameters = parameters.iter();
        let wanted = TrainRequest {
            algorithm: algorithm.clone(),
            data: BTreeMap::from([("training".to_owned(), dataset.clone())]),
            parameters: parameters.map(|&(name, value)| (name.to_owned(), value.into())).collect(),
            instance_type: None,
            model: model.parse().expect("tests choose good names"),
        };
        self.client.training_create(&wanted).await
    }

    /// Waits until a training is in one of these states, or has ended.
    pub async fn training_in(&self, id: TrainingId, states: &[TrainingState]) -> Training {
        use TrainingState::{Cancelled, Failed, Succeeded};
        until(STEP_S, "a training to go on", || async {
            let training = self.client.training_fetch(id).await.ok()?;
            let ended = matches!(training.state, Succeeded | Failed | Cancelled);
            (ended || states.contains(&training.state)).then_some(training)
        })
        .await
    }

    /// The whole log of a training, once it has ended.
    pub async fn training_log(&self, id: TrainingId) -> Vec<LogLine> {
        let log = self.client.training_log(id, &LogQuery::default()).await;
        log.expect("its owner may read it").lines
    }

    /// Trains, and gives the model.
    pub async fn train(
        &self,
        algorithm: &Reference,
        dataset: &Reference,
        model: &str,
    ) -> Reference {
        let begun = self.begin_train((algorithm, dataset), &[], model).await;
        let training = self.training_in(begun.expect("it can be begun").id, &[]).await;
        let id = training.id;
        let Some(model) = training.model else {
            panic!("{training:?}\n{:#?}", self.training_log(id).await);
        };
        model
    }

    /// Begins to deploy a model or pipeline.
    ///
    /// # Errors
    ///
    /// The client's.
    pub async fn begin_deploy(&self, name: &str, source: &Reference) -> Result<Endpoint, Error> {
        let name = name.parse().expect("tests choose good names");
        let wanted = DeployRequest { name, source: source.clone().into(), instance_type: None };
        self.client.endpoint_create(&wanted).await
    }

    /// Waits until an endpoint is ready.
    pub async fn ready(&self, name: &Name) -> Endpoint {
        let mut last = None;
        for _ in 0..STEP_S * 50 {
            match self.client.endpoint_fetch(name).await {
                Ok(endpoint) if endpoint.state == EndpointState::Ready => return endpoint,
                other => last = Some(other),
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let log = self.client.endpoint_log(name, &LogQuery::default()).await;
        panic!("{name} is not ready: {last:?}\n{log:#?}");
    }

    /// Deploys, and gives the endpoint once it is ready and the gateway answers for it.
    pub async fn deploy(&self, name: &str, source: &Reference) -> Endpoint {
        let begun = self.begin_deploy(name, source).await.expect("it can be begun");
        let endpoint = self.ready(&begun.name).await;
        until(STEP_S, "the gateway to have an instance to ask", || async {
            self.client.model_ready(None, &endpoint.name).await.ok()?.then_some(())
        })
        .await;
        endpoint
    }

    /// Calls a function, once the gateway knows it.
    pub async fn call(&self, function: &FunctionName, event: impl Into<Bytes>) -> Called {
        let event = event.into();
        until(STEP_S, "the gateway to know the function", || async {
            let payload = (event.clone(), CALL_MS_MAX);
            match self.client.function_call(function, None, payload).await {
                Err(error) if error.status() == Some(404) => None,
                other => Some(other.expect("its owner may call it")),
            }
        })
        .await
    }

    /// Shares an endpoint.
    pub async fn share_endpoint(&self, name: &Name, sharing: Sharing) -> Endpoint {
        let generation =
            self.client.endpoint_fetch(name).await.expect("it is its owner's").generation;
        let wanted = ShareRequest { sharing, generation };
        self.client.endpoint_share(name, &wanted).await.expect("its owner may share it")
    }
}
