// How the pages look, in light, in dark and on a phone: pictures, contrasts, and nothing wider than
// the window. And that the keyboard is enough.

import type { Page } from "@playwright/test";

import { at, expect, open, signIn, test } from "./test";

/** Each page, and what is there once it is drawn. */
const PAGES = [
  ["endpoints", "table"],
  ["endpoints/risk", "list"],
  ["endpoints/judge", "table"],
  ["runs", "table"],
  ["streams", "table"],
  ["streams/payments", "table"],
  ["functions", "table"],
  ["functions/greet", "list"],
  ["items", "table"],
  ["items?text=risk", "table"],
  ["items/producer/signin-risk", "table"],
  ["usage", "table"],
  ["status", "table"],
] as const;

/** Those whose content is the same on every machine. */
const PICTURED = ["endpoints", "streams/payments", "functions", "items"];

test("the page of signing in looks as it did", async ({ page, picture }) => {
  await page.goto(at("sign-in"));
  await expect(page.getByLabel("Token")).toBeFocused();
  await readable(page);
  await picture("sign-in");
});

for (const [path, role] of PAGES) {
  test(`${path} is readable and no wider than the window`, async ({ page, picture }) => {
    await open(page, path);
    await expect(page.getByRole(role).last()).toBeVisible();
    await expect(page.getByText("Loading…")).toHaveCount(0);
    await readable(page);
    expect(await tooWide(page)).toEqual([]);
    if (PICTURED.includes(path)) await picture(path);
  });
}

test("a run is readable and no wider than the window", async ({ page }) => {
  await open(page, "runs");
  const row = page.getByRole("row", { name: /next, main/ }).first();
  await row.getByRole("link").click();
  await expect(page.getByRole("figure").nth(3)).toBeVisible();
  await expect(page.getByText("Loading…")).toHaveCount(0);
  await readable(page);
  expect(await tooWide(page)).toEqual([]);
});

/** What reaches beyond the window, by its tag and class. */
async function tooWide(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    if (document.documentElement.scrollWidth <= innerWidth) return [];
    const all = [...document.querySelectorAll("body *")];
    const wide = all.filter((it) => it.getBoundingClientRect().right > innerWidth + 0.5);
    return wide.map(
      (it) => `${it.tagName} ${it.getAttribute("class") ?? ""} ${it.textContent?.slice(0, 30)}`,
    );
  });
}

/** Holds every text on the page against WCAG's AA: a contrast of 4.5, and 3 where it is large. */
async function readable(page: Page): Promise<void> {
  const poor = await page.evaluate(() => {
    type Colour = [number, number, number, number];
    const colour = (text: string): Colour => {
      const [red = 0, green = 0, blue = 0, alpha = 1] = (text.match(/[\d.]+/g) ?? []).map(Number);
      return [red, green, blue, alpha];
    };
    const ground = (element: Element | null): Colour => {
      for (let at = element; at; at = at.parentElement) {
        const found = colour(getComputedStyle(at).backgroundColor);
        if (found[3] === 1) return found;
      }
      return [255, 255, 255, 1];
    };
    const light = ([red, green, blue]: Colour) => {
      const part = (value: number) => {
        const it = value / 255;
        return it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4;
      };
      return 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
    };
    const found: string[] = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const element = texts.currentNode.parentElement;
      const words = texts.currentNode.textContent?.trim();
      if (!words || !element || element.closest("noscript, option, :disabled")) continue;
      const style = getComputedStyle(element);
      const [a, b] = [light(colour(style.color)), light(ground(element))];
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      const large = parseFloat(style.fontSize) >= 24;
      if (contrast < (large ? 3 : 4.5)) found.push(`${contrast.toFixed(2)}: ${words.slice(0, 40)}`);
    }
    return found;
  });
  expect(poor).toEqual([]);
}

test("the keyboard leads everywhere, and what has the focus is seen", async ({ page }) => {
  await signIn(page);
  await expect(page.getByRole("heading", { level: 1 })).toBeFocused();
  await page.reload();
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "To the page" })).toBeFocused();
  await expect(page.getByRole("link", { name: "To the page" })).toBeInViewport();
  for (const name of ["Freehold", "Endpoints", "Runs"]) {
    await page.keyboard.press("Tab");
    await expect(page.getByRole("link", { name, exact: true })).toBeFocused();
  }
  const outline = await page.evaluate(
    () => getComputedStyle(document.activeElement as Element).outlineWidth,
  );
  expect(outline).toBe("3px");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(at("runs"));
  await expect(page.getByRole("heading", { level: 1 })).toBeFocused();
});
