// Calls by hour: what usage came to in each of the last hours, as lines for a chart.

import { api, need, type Schema } from "../api/client";

const HOUR_MS = 3_600_000;
/** How many hours are drawn: each is a request. */
const HOURS = 24;
/** How many are asked for at once. */
const AT_ONCE = 4;

/** Hours, each by its beginning, and what calls came to in it. */
export interface Hours {
  readonly atMs: readonly number[];
  readonly came: readonly Schema<"Consumption">[];
}

/** Asks for the last hours, up to and with the one that has begun. */
export async function hours(nowMs: number, signal: AbortSignal): Promise<Hours> {
  const last = Math.floor(nowMs / HOUR_MS) * HOUR_MS;
  const atMs = Array.from({ length: HOURS }, (_, index) => last - (HOURS - 1 - index) * HOUR_MS);
  const came: Schema<"Consumption">[] = [];
  for (let from = 0; from < HOURS; from += AT_ONCE) {
    const some = atMs.slice(from, from + AT_ONCE).map(async (from_ms) => {
      const query = { from_ms, to_ms: from_ms + HOUR_MS };
      return (await need(api.GET("/v1/usage", { params: { query }, signal }))).total;
    });
    came.push(...(await Promise.all(some)));
  }
  return { atMs, came };
}

/** The hours that a part of the chart touches: from the first one's beginning to the last one's end. */
export function whole(fromMs: number, toMs: number): { from_ms: string; to_ms: string } {
  const from = Math.floor(fromMs / HOUR_MS) * HOUR_MS;
  const to = Math.ceil(toMs / HOUR_MS) * HOUR_MS;
  return { from_ms: String(from), to_ms: String(Math.max(to, from + HOUR_MS)) };
}
