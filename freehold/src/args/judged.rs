//! Words about how answers are held against labels.

use api::runs::Judged;
use clap::Args;

use super::values::parse_share;

#[derive(Debug, Args)]
pub struct JudgedArguments {
    /// Where in answers the prediction stands, such as /score
    #[arg(long, value_name = "POINTER")]
    pub prediction: Option<String>,
    /// A prediction at or above it is positive [default: 0.5]
    #[arg(long, value_parser = parse_share)]
    pub threshold: Option<u64>,
    /// The label that is positive [default: true]
    #[arg(long, value_name = "LABEL")]
    pub positive: Option<String>,
}

impl JudgedArguments {
    /// How predictions are read.
    pub fn told(self) -> Judged {
        Judged {
            prediction: self.prediction,
            threshold_ppm: self.threshold.and_then(|ppm| i64::try_from(ppm).ok()),
            positive: self.positive,
        }
    }
}
