// What streams are filled by and feed: captures of endpoints, and sources of functions.

import { at, expect, open, test } from "./test";

const headers = () => ({ authorization: `Bearer ${process.env.TOKEN}` });

test("live requests are kept as events and counted, until they are no more", async ({
  page,
  request,
}) => {
  test.setTimeout(60_000);
  await open(page, "endpoints/judge");
  const panel = page.getByRole("region", { name: "Live requests as events" });
  await expect(panel).toContainText("None is kept");
  await panel.getByLabel("Into the stream").fill("asked");
  await panel.getByLabel("Of each request").selectOption("requests");
  await panel.getByRole("button", { name: "Keep requests" }).click();
  await expect(panel).toContainText("Keepsrequests");
  // Gateways hear of it a moment later, and tell what they kept.
  await expect(async () => {
    const asked = await request.post(`${process.env.CLOUD}/endpoints/judge/invocations`, {
      headers: headers(),
      data: { amount: 60 },
    });
    expect(asked.ok()).toBe(true);
    await expect(panel).toContainText(/Kept[1-9]/, { timeout: 4_000 });
  }).toPass({ timeout: 40_000 });
  await panel.getByLabel("Part of the keys").fill("25");
  await panel.getByRole("button", { name: "Change what is kept" }).click();
  await expect(panel).toContainText("25 % of the keys");
  await panel.getByRole("link", { name: "asked" }).click();
  const kept = page.getByRole("region", { name: "How it is kept" });
  await expect(kept).toContainText("Takes requests ofjudge");
  await kept.getByRole("link", { name: "judge" }).click();
  await expect(page).toHaveURL(at("endpoints/judge"));
  await panel.getByRole("button", { name: "Keep no more" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Keep no more" }).click();
  await expect(panel).toContainText("None is kept");
});

test("a function is fed from a stream, paused where it is, and fed no more", async ({ page }) => {
  await open(page, "functions/page");
  const panel = page.getByRole("region", { name: "Fed from streams" });
  await expect(panel).toContainText("It is fed from none");
  await panel.getByLabel("From the stream").fill("ticks");
  await panel.getByRole("button", { name: "Feed it" }).click();
  const row = panel.getByRole("table", { name: "Sources" }).getByRole("row", { name: /^ticks/ });
  await expect(row).toContainText("OK", { timeout: 20_000 });
  await expect(row.getByRole("cell").nth(2)).toHaveText("3");
  await row.getByRole("button", { name: "Pause" }).click();
  await expect(row).toContainText("paused");
  await row.getByRole("button", { name: "Resume" }).click();
  await expect(row).toContainText("feeds");
  await row.getByRole("link", { name: "ticks" }).click();
  await expect(page.getByRole("region", { name: "How it is kept" })).toContainText(/Feeds.*page/);
  await page.goto(at("functions/page"));
  await row.getByRole("button", { name: "Remove" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await expect(panel).toContainText("It is fed from none");
});

test("what a function fails on is told where it is fed", async ({ page }) => {
  // It asks for a name, which no event has.
  await open(page, "functions/greet");
  const panel = page.getByRole("region", { name: "Fed from streams" });
  await panel.getByLabel("From the stream").fill("ticks");
  await panel.getByLabel("Events of a batch").fill("2");
  await panel.getByRole("button", { name: "Feed it" }).click();
  const row = panel.getByRole("table", { name: "Sources" }).getByRole("row", { name: /^ticks/ });
  await expect(row).toContainText("PROBLEM", { timeout: 20_000 });
  await row.getByRole("button", { name: "Remove" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await expect(panel).toContainText("It is fed from none");
});
