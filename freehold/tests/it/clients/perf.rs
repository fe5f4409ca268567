//! `perf_analyzer` measures an endpoint over REST, gRPC and a gRPC stream, and gets the server's
//! own account of where the time went. Its figures are its own business.

use testkit::{Cloud, Package};
use tokio::process::Command;

use super::{bare, given, run};
use crate::world::{PROGRAM, strangers};

#[tokio::test(flavor = "multi_thread")]
async fn clients_measure_with_perf_analyzer() {
    let Some(folder) = given("FREEHOLD_TEST_PERF_ANALYZER") else { return };
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let model = owner.publish(&Package::linear("double", ("x", "y"), 2.0, 0.0)).await;
    owner.deploy("twice", &model).await;
    let (rest, grpc) = (cloud.http(), cloud.grpc());
    for words in [
        vec!["-i", "http", "-u", bare(&rest)],
        vec!["-i", "grpc", "-u", bare(&grpc)],
        vec!["-i", "grpc", "--streaming", "-u", bare(&grpc)],
    ] {
        let table = cloud.folder().join("table.csv");
        let mut command = Command::new(folder.join("bin/perf_analyzer"));
        command.env("LD_LIBRARY_PATH", folder.join("nvidia/cuda_runtime/lib"));
        command.args(&words).args(["-m", "twice", "-b", "4", "--concurrency-range", "2"]);
        // A busy machine's figures are never stable; that they are there is what counts.
        command.args(["--measurement-mode", "count_windows", "--measurement-request-count", "50"]);
        command.args(["-r", "3", "-s", "100000", "-f"]).arg(&table);
        command.args(["-H", &format!("authorization: Bearer {}", owner.token)]);
        let (succeeded, text) = run(&mut command).await;
        assert!(succeeded, "{words:?}: {text}");
        assert!(text.contains("Server:") && text.contains("compute infer"), "{words:?}: {text}");
        let table = std::fs::read_to_string(table).unwrap();
        let line = table.lines().nth(1).expect("it writes a line of figures");
        let rate: f64 = line.split(',').nth(1).unwrap().parse().unwrap();
        assert!(rate > 0.0, "{table}");
    }
    cloud.close().await;
}
