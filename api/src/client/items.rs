//! Items, their versions, and the two ways to find them.

use types::Name;

use super::call::Call;
use super::{Client, Error};
use crate::items::{Findings, Item, SearchQuery, ShareRequest, SuggestRequest, Usage, Version};
use crate::pages::{Page, PageQuery};

impl Client {
    /// The caller's items. `GET /v1/items`
    pub async fn items_list(&self, page: &PageQuery) -> Result<Page<Item>, Error> {
        self.ask(Call::get("/v1/items").query(page)).await
    }

    /// One item. `GET /v1/items/{account}/{name}`
    pub async fn item_fetch(&self, account: &Name, name: &Name) -> Result<Item, Error> {
        self.ask(Call::get(format!("/v1/items/{account}/{name}"))).await
    }

    /// One version. `GET /v1/items/{account}/{name}/versions/{number}`
    pub async fn version_fetch(
        &self,
        account: &Name,
        name: &Name,
        number: u32,
    ) -> Result<Version, Error> {
        self.ask(Call::get(format!("/v1/items/{account}/{name}/versions/{number}"))).await
    }

    /// Changes who may see and use an item. `PUT /v1/items/{account}/{name}/sharing`
    pub async fn item_share(
        &self,
        account: &Name,
        name: &Name,
        wanted: &ShareRequest,
    ) -> Result<Item, Error> {
        let call = Call::put(format!("/v1/items/{account}/{name}/sharing"));
        self.ask(call.json(wanted).once()).await
    }

    /// What others made of an item. `GET /v1/items/{account}/{name}/usage`
    pub async fn item_usage(&self, account: &Name, name: &Name) -> Result<Usage, Error> {
        self.ask(Call::get(format!("/v1/items/{account}/{name}/usage"))).await
    }

    /// Finds items by words and filters. `GET /v1/search`
    pub async fn search(&self, query: &SearchQuery) -> Result<Findings, Error> {
        self.ask(Call::get("/v1/search").query(query)).await
    }

    /// Ranks items by how well they serve. `POST /v1/suggest`
    pub async fn suggest(&self, wish: &SuggestRequest) -> Result<Findings, Error> {
        self.ask(Call::post("/v1/suggest").json(wish).repeatable()).await
    }
}
