// Signing in and out, and addresses that lead back to where one was.

import { at, expect, signIn, test } from "./test";

test("a token opens the console, and the address of a page survives it", async ({ page }) => {
  await signIn(page, "endpoints/risk");
  await expect(page).toHaveURL(at("endpoints/risk"));
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("risk");
  await page.reload();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("risk");
});

test.describe(() => {
  // A browser tells of every answer that refuses.
  test.use({ complaints: [/status of 401/] });

  test("a wrong token opens nothing, and says why", async ({ page }) => {
    await page.goto(at(""));
    await page.getByLabel("Token").fill("wrong");
    await page.getByLabel("Token").press("Enter");
    await expect(page.getByRole("alert")).toContainText("The token is not valid");
    await expect(page).toHaveURL(/sign-in/);
    expect(await page.evaluate(() => JSON.stringify(sessionStorage))).toBe("{}");
  });

  test("a token that is revoked ends the session, and leads back after the next", async ({
    page,
    request,
  }) => {
    const authorization = `Bearer ${process.env.TOKEN}`;
    const made = await request.post(`${process.env.CLOUD}/v1/tokens`, {
      headers: { authorization },
      data: { label: "for a moment", role: "reader" },
    });
    const { secret, token } = (await made.json()) as { secret: string; token: { id: string } };
    await signIn(page, "functions/greet", secret);
    await request.delete(`${process.env.CLOUD}/v1/tokens/${token.id}`, {
      headers: { authorization },
    });
    // It is known within a second, and asked about every five.
    await expect(page).toHaveURL(/sign-in\?next=/, { timeout: 15_000 });
    await page.getByLabel("Token").fill(process.env.TOKEN ?? "");
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page).toHaveURL(at("functions/greet"));
  });
});

test("signing out forgets the token, and going back shows nothing", async ({ page }) => {
  await signIn(page);
  await page.getByRole("link", { name: "Functions" }).click();
  await expect(page).toHaveURL(at("functions"));
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByLabel("Token")).toBeVisible();
  expect(await page.evaluate(() => JSON.stringify(sessionStorage))).toBe("{}");
  await page.goBack();
  await expect(page.getByLabel("Token")).toBeVisible();
});

test("the token is not shared with another tab, and nothing else of it is kept", async ({
  page,
  context,
}) => {
  await signIn(page);
  expect(await page.evaluate(() => JSON.stringify(localStorage) + document.cookie)).not.toContain(
    process.env.TOKEN,
  );
  const other = await context.newPage();
  await other.goto(at("endpoints"));
  await expect(other.getByLabel("Token")).toBeVisible();
});

test("the cloud's own address leads people to the console", async ({ page }) => {
  await page.goto(process.env.CLOUD ?? "");
  await expect(page).toHaveURL(/\/console\/sign-in/);
});

test("a function's page at the same address does not come to the token", async ({ page }) => {
  await signIn(page, "functions/page");
  const path = await page.getByRole("table", { name: "URLs" }).locator("code").textContent();
  await page.goto(`${process.env.CLOUD}${path}`);
  await expect(page).toHaveTitle("kept out");
  // It is the same tab, and what the console keeps there is still there.
  await page.goto(at("functions"));
  await expect(page.getByRole("link", { name: "greet" })).toBeVisible();
});
