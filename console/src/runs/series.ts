// Series: records of a run as lines over its time.
//
// Always true: each record is in one window; a window without records has a rate of 0 and no time.

import type { RunRecord } from "./told";

/** What is drawn of a window. */
export interface Window {
  /** Requests that were intended in it, in each second. */
  readonly rate: number;
  /** The part of them that did not end well, in percent; none where there are none. */
  readonly notOk: number | null;
  /** Response times of those that had an answer, in milliseconds. */
  readonly p50: number | null;
  readonly p99: number | null;
}

/** Windows of the same length, from the start of the run on. */
export interface Series {
  /** When each begins, in milliseconds from the start. */
  readonly atMs: readonly number[];
  readonly windowMs: number;
  /** The windows of each key, those with the most records first. */
  readonly lines: readonly (readonly [string, readonly Window[]])[];
}

/** Lengths of windows that people know, in milliseconds. */
const LENGTHS = [1, 2, 5, 10, 20, 50, 100, 200, 500].concat(
  [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 86_400].map(
    (it) => it * 1_000,
  ),
);

/** The shortest known length of which `most` windows cover so many milliseconds. */
export function windowOf(spanMs: number, most: number): number {
  return LENGTHS.find((length) => spanMs / length <= most) ?? Math.ceil(spanMs / most);
}

/** Puts records into windows: at most `most` of them, and at most `keys` keys. */
export function series(
  records: readonly RunRecord[],
  keyOf: (record: RunRecord) => string,
  { most = 60, keys = 6 } = {},
): Series {
  const spanMs = records.reduce((last, record) => Math.max(last, record.offset_ns), 0) / 1e6;
  const windowMs = windowOf(spanMs, most);
  const windows = Math.floor(spanMs / windowMs) + 1;
  const byKey = new Map<string, RunRecord[][]>();
  for (const record of records) {
    const key = keyOf(record);
    let lists = byKey.get(key);
    if (!lists) byKey.set(key, (lists = Array.from({ length: windows }, () => [])));
    lists[Math.floor(record.offset_ns / 1e6 / windowMs)]?.push(record);
  }
  const size = (lists: RunRecord[][]) => lists.reduce((sum, list) => sum + list.length, 0);
  const lines = [...byKey]
    .sort(([a, x], [b, y]) => size(y) - size(x) || (a < b ? -1 : 1))
    .slice(0, keys);
  return {
    atMs: Array.from({ length: windows }, (_, at) => at * windowMs),
    windowMs,
    lines: lines.map(([key, lists]) => [key, lists.map((list) => summed(list, windowMs))] as const),
  };
}

function summed(records: readonly RunRecord[], windowMs: number): Window {
  const responses = records
    .flatMap((it) => (it.response_ns === undefined ? [] : [it.response_ns]))
    .sort((a, b) => a - b);
  const bad = records.filter((it) => it.outcome !== "ok").length;
  return {
    rate: (records.length * 1_000) / windowMs,
    notOk: records.length > 0 ? (bad * 100) / records.length : null,
    p50: ranked(responses, 0.5),
    p99: ranked(responses, 0.99),
  };
}

/** The smallest value that so many of all are no larger than, in milliseconds. */
function ranked(sorted: readonly number[], part: number): number | null {
  const value = sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)];
  return value === undefined ? null : value / 1e6;
}
