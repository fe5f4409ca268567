// Figures and series of runs: without a page.

import { against, FIGURES } from "../src/runs/figures";
import { series, windowOf } from "../src/runs/series";
import type { RunRecord, Times, VariantOutcome } from "../src/runs/told";
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

function record(told: Partial<RunRecord>): RunRecord {
  return { sequence: 1, copy: 0, variant: "main", offset_ns: 0, outcome: "ok", ...told };
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

test("every record is in one window, whatever the span and however many keys", () => {
  for (const spanMs of [0, 1, 999, 60_000, 3_600_000, 400_000_000]) {
    const records = Array.from({ length: 997 }, (_, at) =>
      record({
        offset_ns: Math.floor((spanMs * 1e6 * at) / 996),
        variant: `v${at % 3}`,
        response_ns: at * 1e6,
      }),
    );
    const { atMs, windowMs, lines } = series(records, (it) => it.variant);
    expect(atMs.length).toBeLessThanOrEqual(61);
    const all = lines.flatMap(([, windows]) => windows.map((it) => (it.rate * windowMs) / 1_000));
    expect(Math.round(all.reduce((sum, it) => sum + it, 0))).toBe(997);
  }
});

test("percentiles are ranks, and a window without records has none", () => {
  const records = [1, 2, 3, 4].map((ms) => record({ response_ns: ms * 1e6 }));
  records.push(record({ offset_ns: 2e9, outcome: "timeout" }));
  const { lines, windowMs } = series(records, () => "all", { most: 2 });
  expect(windowMs).toBe(1_000);
  const windows = lines[0]?.[1] ?? [];
  expect(windows.map((it) => it.p50)).toEqual([2, null, null]);
  expect(windows.map((it) => it.p99)).toEqual([4, null, null]);
  expect(windows.map((it) => it.notOk)).toEqual([0, null, 100]);
});

test("keys with the most records are kept, and windows have lengths that people know", () => {
  const records = ["a", "b", "b", "c"].map((region) => record({ region }));
  const { lines } = series(records, (it) => it.region ?? "", { keys: 2 });
  expect(lines.map(([key]) => key)).toEqual(["b", "a"]);
  expect([0, 59, 61_000, 3_600_000].map((spanMs) => windowOf(spanMs, 60))).toEqual([
    1, 1, 2_000, 60_000,
  ]);
});
