//! Accounts and tokens.

use types::{Name, TokenId};

use super::call::Call;
use super::{Client, Error};
use crate::accounts::{
    Account, CreateAccount, CreateToken, CreatedAccount, CreatedToken, RotatedKey, Token, Whoami,
};
use crate::pages::{Page, PageQuery};

impl Client {
    /// Who the caller is. `GET /v1/whoami`
    pub async fn whoami(&self) -> Result<Whoami, Error> {
        self.ask(Call::get("/v1/whoami")).await
    }

    /// Makes an account and its first token; operators only. `POST /v1/accounts`
    pub async fn account_create(&self, wanted: &CreateAccount) -> Result<CreatedAccount, Error> {
        self.ask(Call::post("/v1/accounts").json(wanted).creates()).await
    }

    /// The accounts; operators only. `GET /v1/accounts`
    pub async fn accounts_list(&self, page: &PageQuery) -> Result<Page<Account>, Error> {
        self.ask(Call::get("/v1/accounts").query(page)).await
    }

    /// One account. `GET /v1/accounts/{account}`
    pub async fn account_fetch(&self, account: &Name) -> Result<Account, Error> {
        self.ask(Call::get(format!("/v1/accounts/{account}"))).await
    }

    /// Makes a token of the caller's account. `POST /v1/tokens`
    pub async fn token_create(&self, wanted: &CreateToken) -> Result<CreatedToken, Error> {
        self.ask(Call::post("/v1/tokens").json(wanted).creates()).await
    }

    /// The tokens of the caller's account. `GET /v1/tokens`
    pub async fn tokens_list(&self, page: &PageQuery) -> Result<Page<Token>, Error> {
        self.ask(Call::get("/v1/tokens").query(page)).await
    }

    /// Makes a fresh version of the account's key. `POST /v1/keys/rotate`
    pub async fn key_rotate(&self) -> Result<RotatedKey, Error> {
        self.ask(Call::post("/v1/keys/rotate").once()).await
    }

    /// Revokes a token. `DELETE /v1/tokens/{token}`
    pub async fn token_revoke(&self, token: TokenId) -> Result<(), Error> {
        self.tell(Call::delete(format!("/v1/tokens/{token}"))).await
    }
}
