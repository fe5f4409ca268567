// What each page shows of the cloud, and what it changes there.

import { at, expect, open, signIn, test } from "./test";

test("endpoints are listed, and one tells what it runs and what it wrote", async ({ page }) => {
  await signIn(page);
  const row = page.getByRole("table", { name: "Endpoints" }).getByRole("row", { name: /risk/ });
  await expect(row).toContainText("ready");
  await row.getByRole("link", { name: "risk" }).click();
  await expect(page).toHaveURL(at("endpoints/risk"));
  await expect(page.getByRole("table", { name: "Stages" })).toContainText("my-risk@1");
  await expect(page.getByRole("region", { name: "Takes" })).toContainText("features");
});

test("sharing is changed, and was changed", async ({ page, request }) => {
  const authorization = `Bearer ${process.env.TOKEN}`;
  const kept = async () => {
    const answer = await request.get(`${process.env.CLOUD}/v1/items/requester/my-risk`, {
      headers: { authorization },
    });
    return ((await answer.json()) as { sharing: unknown }).sharing;
  };
  await open(page, "items/requester/my-risk");
  const form = page.getByRole("region", { name: "Sharing" });
  await form.getByLabel("These accounts").check();
  await form.getByLabel("Accounts, with commas").fill("producer");
  await form.getByRole("button", { name: "Change sharing" }).click();
  await expect.poll(kept).toEqual({ with: "accounts", accounts: ["producer"] });
  await expect(form.getByLabel("Accounts, with commas")).toHaveValue("producer");
  await form.getByLabel("This account only").check();
  await form.getByRole("button", { name: "Change sharing" }).click();
  await expect.poll(kept).toEqual({ with: "nobody" });
});

test.describe(() => {
  test.use({ complaints: [/status of 40[04]/] });

  test("what the cloud refuses is told with its reason", async ({ page }) => {
    await open(page, "items/requester/my-risk");
    const form = page.getByRole("region", { name: "Sharing" });
    await form.getByLabel("These accounts").check();
    await form.getByLabel("Accounts, with commas").fill("nobody-of-this-name");
    await form.getByRole("button", { name: "Change sharing" }).click();
    await expect(form.getByRole("alert")).toContainText("nobody-of-this-name");
  });

  test("a page about nothing says so", async ({ page }) => {
    await open(page, "endpoints/absent");
    await expect(page.getByRole("alert").first()).toContainText("absent");
    await page.goto(at("nothing/at/all"));
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("There is no such page");
  });
});

test("a function shows its versions, where an alias leads, and its log", async ({ page }) => {
  await open(page, "functions");
  await page.getByRole("link", { name: "greet" }).click();
  await expect(page.getByRole("table", { name: "Versions" }).getByRole("row")).toHaveCount(3);
  await expect(page.getByRole("table", { name: "Aliases" })).toContainText("90 % to 1, 10 % to 2");
  await expect(page.getByRole("list", { name: "Log of the function" })).toContainText(
    "asked by you",
  );
});

test("items are searched, and the address holds what was searched for", async ({ page }) => {
  await open(page, "items");
  await expect(page.getByRole("table", { name: "Items" })).toContainText("risk-check");
  await page.getByLabel("What it does").fill("sign-in risk");
  await page.getByLabel("Kind").selectOption("algorithm");
  await page.getByRole("button", { name: "Search" }).click();
  await expect(page).toHaveURL(/text=sign-in\+risk&kind=algorithm/);
  const found = page.getByRole("table", { name: "Found items" });
  await expect(found).toContainText("producer");
  await page.reload();
  await expect(found).toContainText("producer");
  await found.getByRole("link").first().click();
  await expect(page.getByRole("region", { name: "Figures" })).toBeVisible();
});

test("usage counts the call, and status names the host and what it lacks", async ({ page }) => {
  await open(page, "usage");
  await expect(async () => {
    await page.reload();
    await expect(page.getByRole("table", { name: "Calls by function" })).toContainText("greet", {
      timeout: 1_000,
    });
  }).toPass();
  await page.getByRole("link", { name: "Status" }).click();
  await expect(page.getByRole("table", { name: /What .* gives/ })).toContainText("held");
});

test("times are told in the zone that was chosen, and stay in it", async ({ page }) => {
  await open(page, "endpoints");
  const made = page.getByRole("table", { name: "Endpoints" }).locator("time").first();
  const at = (await made.getAttribute("datetime")) ?? "";
  await page.getByLabel("Time zone").selectOption("UTC");
  await expect(made).toHaveText(at.slice(0, 19).replace("T", " "));
  await page.reload();
  await expect(made).toHaveText(at.slice(0, 19).replace("T", " "));
  await page.getByLabel("Time zone").selectOption("Asia/Tokyo");
  const shifted = new Date(Date.parse(at) + 9 * 3_600_000).toISOString();
  await expect(made).toHaveText(shifted.slice(0, 19).replace("T", " "));
});
