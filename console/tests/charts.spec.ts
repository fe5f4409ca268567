// Charts: a part is chosen by dragging or by keys, and opened; the values are there as a table.

import { expect, open, test } from "./test";

const HOUR_MS = 3_600_000;

/** From when to when the address asks. */
function asked(address: string): number[] {
  const query = new URL(address).searchParams;
  return [Number(query.get("from_ms")), Number(query.get("to_ms"))];
}

test("a part of a chart is dragged, and opened in whole hours", async ({ page }) => {
  await open(page, "usage");
  const over = page.locator(".u-over");
  const box = await over.boundingBox();
  if (!box) throw new Error("nothing is drawn");
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width * 0.25, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.75, y, { steps: 4 });
  await page.mouse.up();
  await expect(page).toHaveURL(/from_ms=\d+&to_ms=\d+/);
  const [from = 0, to = 0] = asked(page.url());
  // Half of the 23 hours between the first point and the last, and what is begun of hours at both ends.
  expect(to - from).toBeGreaterThanOrEqual(11 * HOUR_MS);
  expect(to - from).toBeLessThanOrEqual(14 * HOUR_MS);
  expect([from % HOUR_MS, to % HOUR_MS]).toEqual([0, 0]);
  await expect(
    page.getByRole("region", { name: "Calls of functions" }).locator("time").first(),
  ).toHaveAttribute("datetime", new Date(from).toISOString());
});

test("the same by keys, with what is under the cursor told", async ({ page }) => {
  await open(page, "usage");
  const chart = page.getByRole("application", { name: "Calls by hour" });
  await chart.focus();
  await page.keyboard.press("Home");
  const told = page.getByRole("figure", { name: "Calls by hour" }).getByRole("status");
  await expect(told).toHaveText(/^\d{4}-\d\d-\d\d \d\d:00:00$/);
  const first = await told.textContent();
  await page.keyboard.press("ArrowRight");
  await expect(told).not.toHaveText(first ?? "");
  for (let press = 0; press < 3; press++) await page.keyboard.press("Shift+ArrowRight");
  await page.keyboard.press("Shift+ArrowLeft");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/from_ms=/);
  const [from = 0, to = 0] = asked(page.url());
  // Two hours were chosen; a pixel of the drawing may touch the one before or after.
  expect(to - from).toBeGreaterThanOrEqual(2 * HOUR_MS);
  expect(to - from).toBeLessThanOrEqual(4 * HOUR_MS);
});

test("a chart is there as a table too", async ({ page }) => {
  await open(page, "usage");
  await page.getByText("As a table").click();
  const rows = page.getByRole("table", { name: "Calls by hour, as a table" }).getByRole("row");
  await expect(rows).toHaveCount(25);
});
