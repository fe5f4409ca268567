//! Models made by others, out of Python packages: published with their unit tests, found,
//! deployed by somebody else, and asked through unmodified clients; every answer is held against
//! Python's onnxruntime.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use api::items::{SearchQuery, Sharing};
use api::publishes::PublishState;
use formats::manifest::{self, Expect, ExpectedOutput, TestCase, TestInput};
use serde::Deserialize;
use serde_json::{Value, json};
use testkit::wait::until;
use testkit::{Account, Cloud, Package};
use tokio::process::Command;
use types::{ItemKind, Reference};

use super::{bare, cloud_with_onnxruntime, given, run, run_script};
use crate::world::{PROGRAM, name, strangers};

/// A model that somebody else made.
struct Foreign {
    /// The item, and the endpoint. `models.py` knows by it what to ask.
    name: &'static str,
    /// Where it is in the Python packages.
    file: &'static str,
    category: &'static str,
    summary: &'static str,
    /// Words that find it.
    words: &'static str,
    /// Whether the built-in engine takes it too.
    in_tract: bool,
}

const FOREIGN: [Foreign; 6] = [
    Foreign {
        name: "magika",
        file: "magika/models/standard_v3_3/model.onnx",
        category: "file-classification",
        summary: "Tells the type of a file from its bytes.",
        words: "type of a file",
        in_tract: true,
    },
    Foreign {
        name: "silero",
        file: "silero_vad/data/silero_vad.onnx",
        category: "voice-activity-detection",
        summary: "Tells speech from silence, at 8 and 16 kHz.",
        words: "speech silence",
        in_tract: false,
    },
    Foreign {
        name: "silero-fixed",
        file: "silero_vad/data/silero_vad_openvino_16k.onnx",
        category: "voice-activity-detection",
        summary: "Tells speech from silence, at 16 kHz, one piece of sound at a time.",
        words: "speech silence 16 kHz",
        in_tract: true,
    },
    Foreign {
        name: "ocr-detector",
        file: "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
        category: "text-detection",
        summary: "Finds lines of text in a picture.",
        words: "find text picture",
        in_tract: true,
    },
    Foreign {
        name: "ocr-recogniser",
        file: "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
        category: "image-to-text",
        summary: "Reads a line of text.",
        words: "read a line of text",
        in_tract: true,
    },
    Foreign {
        name: "ocr-classifier",
        file: "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        category: "image-classification",
        summary: "Tells whether a line of text stands on its head.",
        words: "upside-down text head",
        in_tract: true,
    },
];

/// What onnxruntime answers to a request.
#[derive(Deserialize)]
struct Case {
    request: Value,
    outputs: Vec<ExpectedOutput>,
}

/// Where packages are in a virtual environment.
fn site_packages(venv: &Path) -> PathBuf {
    let folders = std::fs::read_dir(venv.join("lib")).unwrap();
    let mut folders = folders.map(|entry| entry.unwrap().path().join("site-packages"));
    folders.find(|folder| folder.is_dir()).expect("an environment has packages")
}

impl Foreign {
    /// A package as its publisher would make it: drafted by the program, then said better.
    async fn package(&self, file: &Path, case: &Case) -> Package {
        let package = Package::empty().file("model.onnx", std::fs::read(file).unwrap());
        let (drafted, told) = run(Command::new(PROGRAM).arg("init").arg(package.folder())).await;
        assert!(drafted, "{told}");
        let path = package.folder().join(manifest::FILE_NAME);
        let text = std::fs::read_to_string(path).unwrap();
        let mut said = manifest::parse(&text).unwrap();
        said.name = name(self.name);
        self.name.clone_into(&mut said.title);
        self.summary.clone_into(&mut said.summary);
        self.category.clone_into(&mut said.category);
        said.tests = vec![TestCase {
            name: "it answers what onnxruntime answers".to_owned(),
            input: TestInput::File("tests/request.json".to_owned()),
            expect: Expect { outputs: case.outputs.clone(), files: vec![] },
        }];
        package
            .file("tests/request.json", case.request.to_string())
            .file(manifest::FILE_NAME, manifest::write(&said))
    }

    /// It is found by its words, by somebody who does not know its name.
    async fn find(&self, requester: &Account) {
        let query = SearchQuery {
            text: Some(self.words.to_owned()),
            kind: Some(ItemKind::Model),
            ..SearchQuery::default()
        };
        until(30, self.words, || async {
            let found = requester.client.search(&query).await.ok()?.found;
            found.iter().any(|one| one.item.name == name(self.name)).then_some(())
        })
        .await;
    }
}

/// Every model, its file, and a case of it.
async fn foreign(python: &Path) -> Option<Vec<(&'static Foreign, PathBuf, Case)>> {
    let packages = site_packages(&given("FREEHOLD_TEST_VENV")?);
    let files: BTreeMap<&str, PathBuf> =
        FOREIGN.iter().map(|model| (model.name, packages.join(model.file))).collect();
    let cases = run_script(python, "models.py", &json!({ "cases": files })).await;
    let mut cases: BTreeMap<String, Case> = serde_json::from_value(cases).unwrap();
    let with_case = |model: &'static Foreign| {
        (model, files[model.name].clone(), cases.remove(model.name).unwrap())
    };
    Some(FOREIGN.iter().map(with_case).collect())
}

/// Deploys as the requester, asks every way, and says how far the worst number was off.
async fn ask(
    (cloud, python): (&Cloud, &Path),
    requester: &Account,
    published: &[(&Foreign, &Path, Reference)],
    engine: &str,
) {
    let mut models = BTreeMap::new();
    for (model, file, reference) in published {
        model.find(requester).await;
        let endpoint = requester.deploy(model.name, reference).await;
        assert_eq!(endpoint.stages[0].engine.as_deref(), Some(engine), "{endpoint:?}");
        models.insert(model.name, file);
    }
    let argument = json!({
        "http": bare(&cloud.http()), "grpc": bare(&cloud.grpc()), "token": requester.token,
        "models": models, "brief": engine == "tract",
    });
    let told = run_script(python, "models.py", &argument).await;
    eprintln!("{engine}: {told}");
    for (model, ..) in published {
        let ways = told[model.name]["ways"].as_u64().unwrap();
        assert_eq!(ways, if engine == "tract" { 3 } else { 12 }, "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_get_what_onnxruntime_answers_from_models_made_by_others() {
    let Some((cloud, python)) = cloud_with_onnxruntime(PROGRAM).await else { return };
    let Some(foreign) = foreign(&python).await else { return };
    let (producer, requester) = strangers(&cloud).await;
    let mut published = Vec::new();
    for (model, file, case) in &foreign {
        let reference = producer.publish(&model.package(file, case).await).await;
        published.push((*model, file.as_path(), reference));
    }
    ask((&cloud, &python), &requester, &published, "onnxruntime").await;
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_get_the_same_from_the_built_in_engine_where_it_takes_the_model() {
    let Some(python) = given("FREEHOLD_TEST_PYTHON") else { return };
    let Some(foreign) = foreign(&python).await else { return };
    // An empty folder, so that no library of the machine is found.
    let nowhere = tempfile::tempdir().unwrap();
    let flags = ["--onnxruntime", nowhere.path().to_str().unwrap()];
    let cloud = Cloud::one_with(PROGRAM, &flags).await;
    let (producer, requester) = strangers(&cloud).await;
    let mut published = Vec::new();
    for (model, file, case) in &foreign {
        let package = model.package(file, case).await;
        if model.in_tract {
            published.push((*model, file.as_path(), producer.publish(&package).await));
        } else {
            refuse(&producer, &package).await;
        }
    }
    ask((&cloud, &python), &requester, &published, "tract").await;
    cloud.close().await;
}

/// A model that the only engine does not take is not published, and its producer learns why.
async fn refuse(producer: &Account, package: &Package) {
    let begun = producer.begin_publish(package, Sharing::Everybody).await.unwrap();
    let ended = producer.ended_publish(begun.id).await;
    assert_eq!((ended.state, ended.step.as_str()), (PublishState::Failed, "unit-test"));
    assert_eq!(ended.version, None);
    let log = producer.publish_log(begun.id).await;
    assert!(log.iter().any(|line| line.text.contains("tract")), "{log:#?}");
}
