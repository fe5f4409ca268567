// Figures and series of runs: without a page.

import { against, FIGURES } from "../src/runs/figures";
import { drawn, values } from "../src/runs/series";
import type { RunSeries, SeriesPoint, Times, VariantOutcome } from "../src/runs/told";
import { expect, test } from "@playwright/test";

const NONE: Times = {
  count: 0,
  mean_ns: 0,
  p50_ns: 0,
  p90_ns: 0,
  p99_ns: 0,
  p999_ns: 0,
  max_ns: 0,
};

function variant(told: Partial<VariantOutcome>): VariantOutcome {
  const accuracy = {
    true_positives: 0,
    false_positives: 0,
    true_negatives: 0,
    false_negatives: 0,
    unlabelled: 0,
    unread: 0,
    unanswered: 0,
  };
  return {
    name: "main",
    under_way: 0,
    recorded: 0,
    sent: 0,
    answered: 0,
    outcomes: {},
    lag: NONE,
    response: NONE,
    latency: NONE,
    service: NONE,
    bytes_out: 0,
    bytes_in: 0,
    accuracy,
    ...told,
  };
}

const told = (name: string, of: VariantOutcome) => {
  const found = FIGURES.flatMap(([, figures]) => figures).find((it) => it.name === name);
  const value = found?.of(of);
  return value === undefined ? undefined : found?.tell(value);
};

test("what is not known is absent, and is not 0", () => {
  const empty = variant({});
  expect([told("Median", empty), told("Accuracy", empty), told("Not ok, of all", empty)]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  const some = variant({
    recorded: 8,
    outcomes: { ok: 6, timeout: 1, failed: 1 },
    response: { ...NONE, count: 8, p50_ns: 1_500_000 },
    accuracy: {
      ...empty.accuracy,
      true_positives: 3,
      false_positives: 1,
      false_negatives: 2,
      true_negatives: 2,
    },
  });
  expect(
    ["Median", "Not ok", "Not ok, of all", "Accuracy", "Precision", "Recall"].map((it) =>
      told(it, some),
    ),
  ).toEqual(["1.5 ms", "2", "25 %", "62.5 %", "75 %", "60 %"]);
  const judged = variant({
    used: { busy_milli: 1_500, memory_bytes: 3 << 20 },
    accuracy: {
      ...some.accuracy,
      right: 8,
      auc: { value_ppm: 912_345, positives: 4, negatives: 4 },
    },
  });
  expect(
    ["Accuracy", "F1", "Area under the curve", "At least, surely", "At work at a time"].map((it) =>
      told(it, judged),
    ),
  ).toEqual(["100 %", "66.7 %", "91.2 %", undefined, "1.5"]);
  expect([told("Memory, at most", judged), told("Cold starts", judged)]).toEqual([
    "3 MiB",
    undefined,
  ]);
});

test("a difference says which way, and whether that is better", () => {
  expect(against(110, 100, "less")).toBe("10 % more, worse");
  expect(against(50, 100, "less")).toBe("50 % less, better");
  expect(against(300, 100, "more")).toBe("200 % more, better");
  expect(against(3, 0, undefined)).toBe("more");
  expect([
    against(1, 1, "more"),
    against(undefined, 1, "more"),
    against(1, undefined, "more"),
  ]).toEqual(["", "", ""]);
});

function point(told: Partial<SeriesPoint>): SeriesPoint {
  return { at_ms: 0, requests: 0, not_ok: 0, judged: 0, right: 0, ...told };
}

function series(lines: Record<string, SeriesPoint[]>): RunSeries {
  const told = Object.entries(lines).map(([key, points]) => ({ key, points }));
  return { by: "variant", step_ms: 2_000, lines: told };
}

test("lines have the same times, and where nothing was sent nothing is made up", () => {
  const times = { p50_ns: 1e6, p90_ns: 2e6, p99_ns: 3e6, max_ns: 4e6 };
  const told = series({
    next: [point({ at_ms: 2_000, requests: 8, not_ok: 2, judged: 4, right: 3, response: times })],
    main: [
      point({ at_ms: 0, requests: 4, busy_milli: 500 }),
      point({ at_ms: 6_000, requests: 1, not_ok: 1 }),
    ],
  });
  const lines = drawn(told, 6);
  expect(lines.atMs).toEqual([0, 2_000, 4_000, 6_000]);
  const of = (value: Parameters<typeof values>[1]) => values(lines, value).map((it) => it.values);
  expect(values(lines, "rate").map((it) => it.label)).toEqual(["next", "main"]);
  expect(of("rate")).toEqual([
    [0, 4, 0, 0],
    [2, 0, 0, 0.5],
  ]);
  expect(of("notOk")).toEqual([
    [null, 250_000, null, null],
    [0, null, null, 1_000_000],
  ]);
  expect(of("p99")[0]).toEqual([null, 3e6, null, null]);
  expect(of("right")).toEqual([
    [null, 750_000, null, null],
    [null, null, null, null],
  ]);
  expect(of("busy")[1]).toEqual([500, null, null, null]);
});

test("of many lines the first are drawn, and of none there is nothing", () => {
  const many = series({ a: [point({})], "": [point({})], c: [point({ at_ms: 90_000 })] });
  expect(drawn(many, 2).lines.map(([key]) => key)).toEqual(["a", "none"]);
  expect(drawn(many, 2).atMs).toEqual([0]);
  expect(drawn(series({}), 6)).toEqual({ atMs: [], stepMs: 2_000, lines: [] });
});
