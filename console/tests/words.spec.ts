// Words of numbers and times, and the ticks of axes: without a page.

import { bytes, clock, count, micros, millis, ppm, since, time } from "../src/parts/words";
import { ticks } from "../src/parts/ticks";
import { expect, test } from "@playwright/test";

const HOUR_MS = 3_600_000;

test("numbers are told in the unit that reads best", () => {
  expect([0, 1023, 1024, 1536, 1 << 20].map(bytes)).toEqual([
    "0 B",
    "1023 B",
    "1 KiB",
    "1.5 KiB",
    "1 MiB",
  ]);
  expect([850, 1_234, 3_000_000].map(micros)).toEqual(["850 µs", "1.23 ms", "3 s"]);
  expect([120, 59_999, 90_000, 7_200_000].map(millis)).toEqual([
    "120 ms",
    "60 s",
    "1.5 min",
    "2 h",
  ]);
  expect([982_000, 1_000_000].map(ppm)).toEqual(["98.2 %", "100 %"]);
  expect([9_999, 12_345, 1_234_567].map(count)).toEqual([
    "9999",
    "12\u202f345",
    "1\u202f234\u202f567",
  ]);
});

test("a time since a start is told as clocks of sports do", () => {
  expect([0, 65_000, 65_250, 3_600_000, 7_325_000].map(since)).toEqual([
    "0:00",
    "1:05",
    "1:05.250",
    "1:00:00",
    "2:02:05",
  ]);
});

test("a time is told in its zone, over the change to summer time too", () => {
  // The clocks of Berlin go from 2 to 3 at this time.
  const change = Date.UTC(2026, 2, 29, 1);
  expect([change - 1, change].map((at) => time(at, "Europe/Berlin"))).toEqual([
    "2026-03-29 01:59:59",
    "2026-03-29 03:00:00",
  ]);
  expect(clock(change + 7, "UTC")).toBe("01:00:00.007");
});

test("ticks name the date once a day, and are no finer than their step", () => {
  const at = [22, 23, 24, 25].map((hour) => Date.UTC(2026, 2, 28, hour));
  expect(ticks(at, HOUR_MS, "UTC")).toEqual(["22:00\n28 Mar", "23:00", "00:00\n29 Mar", "01:00"]);
  expect(ticks(at, HOUR_MS, "Europe/Berlin")).toEqual([
    "23:00\n28 Mar",
    "00:00\n29 Mar",
    "01:00",
    "03:00",
  ]);
  expect(ticks([at[0] ?? 0], 24 * HOUR_MS, "UTC")).toEqual(["28 Mar"]);
  expect(ticks([(at[0] ?? 0) + 250], 250, "UTC")).toEqual(["22:00:00.250\n28 Mar"]);
});
