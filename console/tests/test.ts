// A test of the console: a page over the cloud of the tests, which must not complain of anything and
// must not ask anybody else.

import { readFileSync } from "node:fs";

import { test as base, expect, type Page } from "@playwright/test";

export { expect };

const cloud = () => process.env.CLOUD ?? "";

/** Where a page of the console is. */
export const at = (path: string) => `${cloud()}/console/${path}`;

interface World {
  /** Signed in as the account that trained, deployed and asked. */
  page: Page;
  /** Holds the page against the picture of this name. */
  picture: (name: string) => Promise<void>;
  /** What the page may complain of in this test: none, unless the test says so. */
  complaints: RegExp[];
}

const FIXED = readFileSync(new URL("pictures/fixed.css", import.meta.url), "utf8");

/** Set while a picture is taken: Playwright's own styles are refused by the page's policy, rightly. */
const pictured = new WeakSet<Page>();

export const test = base.extend<World>({
  complaints: [[], { option: true }],
  page: async ({ page, complaints }, use) => {
    const said: string[] = [];
    page.on("console", (message) => {
      // An endpoint that has no gate, or is not captured, is told so.
      const told = /\/(gate|capture)$/.test(message.location().url);
      if (!pictured.has(page) && !told) said.push(`${message.type()}: ${message.text()}`);
    });
    page.on("pageerror", (error) => said.push(`error: ${error.message}`));
    page.on("request", (request) => {
      if (!request.url().startsWith(cloud())) said.push(`asked of somebody else: ${request.url()}`);
    });
    await use(page);
    expect(said.filter((line) => !complaints.some((allowed) => allowed.test(line)))).toEqual([]);
  },
  picture: async ({ page }, use) => {
    await use(async (name) => {
      await page.evaluate((text) => {
        const sheet = new CSSStyleSheet();
        sheet.replaceSync(text);
        document.adoptedStyleSheets = [sheet];
      }, FIXED);
      pictured.add(page);
      await expect(page).toHaveScreenshot(`${name}.png`, { fullPage: true });
      pictured.delete(page);
    });
  },
});

/** Opens a page as one who is signed in already. */
export async function open(page: Page, path: string): Promise<void> {
  await page.addInitScript(
    (token) => sessionStorage.setItem("freehold.token", token),
    process.env.TOKEN ?? "",
  );
  await page.goto(at(path));
}

/** Signs in by the form, as people do. */
export async function signIn(
  page: Page,
  path = "endpoints",
  token = process.env.TOKEN ?? "",
): Promise<void> {
  await page.goto(at(path));
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("navigation", { name: "Pages" })).toBeVisible();
}
