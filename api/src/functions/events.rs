//! What becomes of a function's events: `GET|PUT /v1/functions/{name}/event-settings?qualifier=`.

use serde::{Deserialize, Serialize};

/// What becomes of a function's events, as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventSettings {
    /// Runs after the first one, where the function fails; 2 where absent.
    #[schema(minimum = 0, maximum = 2)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Age at which an event is given up, in seconds; six hours where absent.
    #[schema(minimum = 60, maximum = 21600)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_s: Option<u64>,
    /// Who is told of each event that the function answered: a function of the account, by its name
    /// or ARN, a webhook, by its URL, or a stream, as `stream:NAME`, which gets the answer as an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_success: Option<String>,
    /// Who is told of each event that was given up, which then is not kept as dead; a stream gets the
    /// event as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
}

/// What becomes of a function's events, and how its webhooks know that they are told by the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ShownEventSettings {
    #[serde(flatten)]
    pub settings: EventSettings,
    /// The secret that webhooks of this function check `webhook-signature` by (Standard Webhooks);
    /// only for those who may change the function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<String>,
}

/// Whose: of one version or alias, or the function's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct EventSettingsQuery {
    /// A version or alias; the function itself where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qualifier: Option<String>,
}
