// How the console is tested: in a real browser, over the real program.
//
// Always true: what varies from machine to machine is fixed, so that a picture differs only where
// the page does: the fonts, the time zone, the size of the window.

import { defineConfig } from "@playwright/test";

/** A whole run takes some seconds; a browser that hangs is not waited for. */
const TEST_MS = 30_000;

const page = { width: 1200, height: 800 };
const phone = { width: 390, height: 844 };

export default defineConfig({
  testDir: "tests",
  globalSetup: "./tests/cloud.ts",
  outputDir: "test-results",
  snapshotPathTemplate: "tests/pictures/{projectName}/{arg}{ext}",
  timeout: TEST_MS,
  // Each test has a browser's context of its own; the cloud is one, and no test changes what another sees.
  fullyParallel: true,
  workers: 2,
  forbidOnly: true,
  updateSnapshots: process.env.FREEHOLD_TEST_PICTURES === "write" ? "all" : "none",
  expect: { toHaveScreenshot: { maxDiffPixelRatio: 0.005 } },
  use: {
    locale: "en-GB",
    timezoneId: "Europe/Berlin",
    launchOptions: {
      ...(process.env.FREEHOLD_TEST_BROWSER && {
        executablePath: process.env.FREEHOLD_TEST_BROWSER,
      }),
      args: ["--no-sandbox", "--disable-gpu", "--font-render-hinting=none", "--disable-lcd-text"],
    },
  },
  projects: [
    { name: "light", use: { viewport: page, colorScheme: "light" } },
    { name: "dark", use: { viewport: page, colorScheme: "dark" }, testMatch: "looks.spec.ts" },
    {
      name: "phone",
      use: { viewport: phone, colorScheme: "light", hasTouch: true },
      testMatch: "looks.spec.ts",
    },
  ],
  reporter: [["list"]],
});
