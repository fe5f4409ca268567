// Runs in words.

import type { Schema } from "../api/client";
import { count, millis } from "../parts/words";

type Spec = Schema<"RunSpec">;

/** An id, short enough for a table: its end, which tells it from others of the same hour. */
export function short(id: string): string {
  return `…${id.slice(-8)}`;
}

/** When events are sent. */
export function load(of: Spec["load"]): string {
  if (!of || of.kind === "as_recorded") return "as recorded";
  if (of.kind === "speed") return `as recorded, ${of.milli / 1_000} times as fast`;
  if (of.kind === "rate") return `${count(of.uhz / 1e6)} per second`;
  if (of.kind === "poisson") return `${count(of.uhz / 1e6)} per second on average, at random`;
  return `by the pattern ${of.pattern}`;
}

/** Which events are sent. */
export function selection(of: Spec["selection"]): string {
  const said = Object.entries(of ?? {}).filter(([, value]) => value);
  return said.length > 0 ? said.map(([name, value]) => `${name} ${value}`).join(", ") : "all";
}

/** For how long. */
export function lasting(of: Spec): string {
  return of.for_ms ? millis(of.for_ms) : "until there are no more events";
}
