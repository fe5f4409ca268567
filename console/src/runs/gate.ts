// Conditions of a gate, in words and in the units that people type: milliseconds and percent.

import type { Schema } from "../api/client";
import { count, micros, ppm } from "../parts/words";

export type Condition = Schema<"GateCondition">;
export type Metric = Schema<"GateMetric">;
export type Scope = Schema<"GateScope">;

type Unit = "us" | "ppm" | "count" | "none";

/** Each metric's name, and the unit that its name ends in. */
export const METRICS: Readonly<Record<Metric, readonly [string, Unit]>> = {
  response_p50_us: ["Response, median", "us"],
  response_p99_us: ["Response, 99 % with confidence", "us"],
  service_p50_us: ["The variant's own time, median", "us"],
  errors_ppm: ["Requests without a good answer", "ppm"],
  accuracy_ppm: ["Accuracy", "ppm"],
  precision_ppm: ["Precision", "ppm"],
  recall_ppm: ["Recall", "ppm"],
  auc_ppm: ["Area under the curve", "ppm"],
  calibration_ppm: ["Error of scores as chances", "ppm"],
  recovery_us: ["Well again after a drill", "us"],
  agreement_ppm: ["Says what production says", "ppm"],
  requests: ["Requests", "count"],
  verdict: ["Evidence on the same events", "none"],
};

/** Each kind of limit, in words. */
export const LIMITS = {
  at_most: "at most",
  at_least: "at least",
  at_most_of_incumbent_ppm: "at most, of production's",
  at_least_of_incumbent_ppm: "at least, of production's",
} as const;

export type Limit = keyof typeof LIMITS;

/** Of which events a condition is, in words; those that name a region or group need its name. */
export const SCOPES = {
  all: "all events",
  region: "those of a region",
  each_region: "those of each region",
  group: "those of a group",
  each_group: "those of each group",
} as const;

export type ScopeWord = keyof typeof SCOPES;

/** The scope of a word, with the name where it has one. */
export function scope(word: ScopeWord, name: string): Scope {
  switch (word) {
    case "region":
      return { region: name };
    case "group":
      return { group: name };
    default:
      return word;
  }
}

/** Whether a scope is told by a name. */
export function named(word: ScopeWord): boolean {
  return word === "region" || word === "group";
}

/** The limit of a condition, where it has one. */
export function limitOf(condition: Condition): readonly [Limit, number] | undefined {
  for (const limit of Object.keys(LIMITS) as Limit[]) {
    const value = condition[limit];
    if (value !== undefined && value !== null) return [limit, value];
  }
  return undefined;
}

/** Of which events, behind a metric. */
function place(of: Scope | undefined, each: string): string {
  if (of === undefined || of === "all") return "";
  if (of === "each_region") return `, in ${each} region`;
  if (of === "each_group") return `, of ${each} group`;
  return "region" in of ? `, in ${of.region}` : `, of the group ${of.group}`;
}

/** A condition in words; of several regions or groups it is so in each of them, or in any. */
export function told(condition: Condition, each: "each" | "any" = "each"): string {
  const [name, unit] = METRICS[condition.metric];
  const limit = limitOf(condition);
  if (!limit) return `${name}: is to promote`;
  const [kind, value] = limit;
  const of = { us: micros, ppm, count, none: String }[kind.endsWith("_ppm") ? "ppm" : unit];
  return `${name}${place(condition.scope, each)}: ${LIMITS[kind]} ${of(value)}`;
}

/** The unit in which a limit is typed. */
export function typed(metric: Metric, limit: Limit): "ms" | "%" | "requests" {
  const [, unit] = METRICS[metric];
  if (limit.endsWith("_ppm") || unit === "ppm") return "%";
  return unit === "count" ? "requests" : "ms";
}

/** A condition of what was typed. */
export function condition(metric: Metric, limit: Limit, text: string, of: Scope): Condition {
  if (METRICS[metric][1] === "none") return { metric };
  // Thousandths and ten-thousandths of what the API has: microseconds, and millionths.
  const scale = { ms: 1_000, "%": 10_000, requests: 1 }[typed(metric, limit)];
  const value = Math.round(Number(text) * scale);
  return { metric, ...(of !== "all" && { scope: of }), [limit]: value };
}
