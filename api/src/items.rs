//! Items, their versions and listings, and the two ways to find them.
//!
//! Paths: `GET /v1/items`, `GET /v1/items/{account}/{name}`,
//! `GET /v1/items/{account}/{name}/versions/{number}`, `PUT /v1/items/{account}/{name}/sharing`,
//! `GET /v1/items/{account}/{name}/usage`, `GET /v1/search`, `POST /v1/suggest`.
//! Always true: a version never changes; only its item's sharing does.

use serde::{Deserialize, Serialize};

use types::{Digest, Figure, Format, ItemId, ItemKind, Name, ObjectId, Reference, Runtime};

/// Who may see and use an item or call an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "with", rename_all = "lowercase", deny_unknown_fields)]
pub enum Sharing {
    /// Its owner only.
    Nobody,
    /// These accounts.
    Accounts {
        /// At most 1,000.
        accounts: Vec<Name>,
    },
    /// Every account; for an endpoint also callers without one.
    Everybody,
}

/// Changes who may see and use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShareRequest {
    pub sharing: Sharing,
    /// The generation this change was made for; refused when there is a newer one.
    pub generation: u64,
}

/// An item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Item {
    pub id: ItemId,
    pub account: Name,
    pub name: Name,
    pub kind: ItemKind,
    /// The newest version.
    pub newest: u32,
    /// Shown to its owner only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing: Option<Sharing>,
    /// Grows with every change of the item.
    pub generation: u64,
    pub created_at_ms: u64,
    /// What the newest version offers.
    pub listing: Listing,
}

/// What the catalogue shows of an item version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Listing {
    pub title: String,
    pub summary: String,
    pub category: String,
    pub subcategory: String,
    pub tags: Vec<String>,
    pub license: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Format>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Format>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    pub requires: Requires,
    /// The channels an algorithm reads.
    pub channels: Vec<String>,
    /// The parameters an algorithm takes, as in its manifest.
    #[schema(value_type = Object)]
    pub parameters: serde_json::Value,
    /// The stages of a pipeline.
    pub stages: Vec<Reference>,
    pub figures: Vec<Figure>,
    /// Examples of requests, as in the manifest.
    #[schema(value_type = Vec<Object>)]
    pub examples: Vec<serde_json::Value>,
    /// Markdown.
    pub documentation: String,
}

/// What an instance needs to run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Requires {
    pub memory_bytes: u64,
    pub cpu_milli: u32,
}

/// A file of a package. Only the owner sees these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PackageFile {
    pub path: String,
    pub bytes: u64,
    pub sha256: Digest,
}

/// Where a trained model came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Lineage {
    /// The algorithm and its version.
    pub algorithm: Reference,
    /// SHA-256 of the algorithm's package.
    pub algorithm_sha256: Digest,
    /// Each channel's data set and the SHA-256 of its package.
    pub data: Vec<LineageData>,
    #[schema(value_type = Object)]
    pub parameters: serde_json::Value,
}

/// One data set in a lineage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LineageData {
    pub channel: String,
    pub dataset: Reference,
    pub sha256: Digest,
}

/// A version of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Version {
    pub item: ItemId,
    pub reference: Reference,
    pub kind: ItemKind,
    pub number: u32,
    pub listing: Listing,
    pub created_at_ms: u64,
    /// SHA-256 of the package.
    pub package_sha256: Digest,
    pub package_bytes: u64,
    /// The package. Shown to its owner only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectId>,
    /// The files and their digests. Shown to its owner only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<PackageFile>>,
    /// Ed25519 over the list of digests, in base64, and the key it is checked with.
    pub signature: String,
    pub signed_by: String,
    /// Shown to its owner only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<Lineage>,
}

/// What others made of an item: counts, never content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Usage {
    pub requests: u64,
    pub failures: u64,
    pub trainings: u64,
    /// How many accounts used it.
    pub accounts: u64,
}

/// What to look for. Everything given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SearchQuery {
    /// Words, in any order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ItemKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subcategory: Option<String>,
    /// A kind of input format: `tensors`, `table`, `json`, or a media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Least accuracy, in parts per million.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy_ppm_min: Option<u64>,
    /// Longest median latency, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_us_max: Option<u64>,
    /// Largest memory, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes_max: Option<u64>,
    /// Most results, from 1 to 200; 20 where absent.
    #[param(minimum = 1, maximum = 200)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// What the asker has and needs; the answer is ranked by how well it serves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SuggestRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ItemKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subcategory: Option<String>,
    /// A data set at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<Reference>,
    /// The format of the data at hand, where it is no data set here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Format>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy_ppm_min: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_us_max: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes_max: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_milli_max: Option<u32>,
    /// Most results, and most of what nearly serves, from 1 to 200; 10 where absent.
    #[schema(minimum = 1, maximum = 200)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// One result of a search or suggestion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Found {
    pub item: Item,
    /// Its rank, in thousandths; only its order means something.
    pub score_milli: u64,
    /// Why it stands where it does.
    pub reasons: Vec<String>,
}

/// An item that would serve but for what it misses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NearMiss {
    pub found: Found,
    /// What of the wish does not hold: one thing or two.
    pub misses: Vec<String>,
}

/// Results, best first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Findings {
    pub found: Vec<Found>,
    /// What nearly serves, fewest misses first, at most 10; empty for a search.
    #[serde(default)]
    pub near: Vec<NearMiss>,
}
