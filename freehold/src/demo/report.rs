//! The end of the demo: what there is, what was judged, and where the time went.

use serde::Serialize;

use types::{ItemKind, Reference};

use super::signins::SignIn;
use super::teller::Step;
use crate::exit::Failure;
use crate::output::{Output, micros, table};

/// What the demo came to.
#[derive(Debug, Serialize)]
pub struct Report {
    pub items: Vec<Shown>,
    /// A risky sign-in and an ordinary one.
    pub judged: Vec<Judged>,
    /// Sign-ins that were asked about in one request.
    pub asked: usize,
    /// How many of them were judged as they are labelled.
    pub right: usize,
    pub sign_ins_of_log: usize,
    pub sign_ins_generated: usize,
    pub engine: String,
    pub rest_median_us: u64,
    pub grpc_median_us: u64,
    pub steps: Vec<Step>,
    pub total_ms: u64,
}

/// An item and its figures.
#[derive(Debug, Serialize)]
pub struct Shown {
    pub item: Reference,
    pub kind: ItemKind,
    pub figures: Vec<String>,
}

/// A sign-in and what the endpoint said of it.
#[derive(Debug, Serialize)]
pub struct Judged {
    pub sign_in: SignIn,
    pub risk_rest: f32,
    pub risk_grpc: f32,
}

impl Report {
    /// Writes the report: as JSON, or as tables and the commands to go on by hand.
    pub fn write(&self, out: &Output, by_hand: &[String]) -> Result<(), Failure> {
        out.text(self, |report| report.text(by_hand))
    }

    fn text(&self, by_hand: &[String]) -> String {
        let items = self.items.iter().map(|shown| {
            vec![shown.item.to_string(), shown.kind.to_string(), shown.figures.join("\n")]
        });
        let judged = self.judged.iter().map(|judged| {
            vec![
                judged.sign_in.words.clone(),
                if judged.sign_in.risky { "an attack" } else { "ordinary" }.to_owned(),
                format!("{:.4}", judged.risk_rest),
                format!("{:.4}", judged.risk_grpc),
            ]
        });
        let steps = self.steps.iter().map(|step| vec![step.title.clone(), seconds(step.took_ms)]);
        let total = vec!["all of it".to_owned(), seconds(self.total_ms)];
        let by_hand: Vec<String> = by_hand.iter().map(|line| format!("  {line}")).collect();
        let by_hand = by_hand.join("\n");
        format!(
            "\n{}\n{}\n\
             {} of {} sign-ins that the model never saw were judged as they are labelled.\n\
             Median time of one question: {} over REST, {} over gRPC, by {}.\n\n\
             {}\nGo on by hand:\n{by_hand}\n",
            table(&["item", "kind", "figures"], items),
            table(&["sign-in", "labelled", "risk (REST)", "risk (gRPC)"], judged),
            self.right,
            self.asked,
            micros(self.rest_median_us),
            micros(self.grpc_median_us),
            self.engine,
            table(&["where the time went", "seconds"], steps.chain([total])),
        )
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{:02}", ms / 1_000, ms % 1_000 / 10)
}
