// Conditions of a gate, in words and in the units that people type: milliseconds and percent.

import type { Schema } from "../api/client";
import { micros, ppm } from "../parts/words";

export type Condition = Schema<"GateCondition">;
export type Metric = Schema<"GateMetric">;

/** Each metric's name, and the unit that its name ends in. */
export const METRICS: Readonly<Record<Metric, readonly [string, "us" | "ppm" | "none"]>> = {
  response_p50_us: ["Response, median", "us"],
  response_p99_us: ["Response, 99 % with confidence", "us"],
  service_p50_us: ["The variant's own time, median", "us"],
  errors_ppm: ["Requests without a good answer", "ppm"],
  accuracy_ppm: ["Accuracy", "ppm"],
  precision_ppm: ["Precision", "ppm"],
  recall_ppm: ["Recall", "ppm"],
  auc_ppm: ["Area under the curve", "ppm"],
  calibration_ppm: ["Error of scores as chances", "ppm"],
  agreement_ppm: ["Says what production says", "ppm"],
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

/** The limit of a condition, where it has one. */
export function limitOf(condition: Condition): readonly [Limit, number] | undefined {
  for (const limit of Object.keys(LIMITS) as Limit[]) {
    const value = condition[limit];
    if (value !== undefined && value !== null) return [limit, value];
  }
  return undefined;
}

/** A condition in words. */
export function told(condition: Condition): string {
  const [name, unit] = METRICS[condition.metric];
  const limit = limitOf(condition);
  if (!limit) return `${name}: is to promote`;
  const [kind, value] = limit;
  return `${name}: ${LIMITS[kind]} ${kind.endsWith("_ppm") || unit === "ppm" ? ppm(value) : micros(value)}`;
}

/** The unit in which a limit is typed. */
export function typed(metric: Metric, limit: Limit): "ms" | "%" {
  return limit.endsWith("_ppm") || METRICS[metric][1] === "ppm" ? "%" : "ms";
}

/** A condition of what was typed. */
export function condition(metric: Metric, limit: Limit, text: string): Condition {
  if (METRICS[metric][1] === "none") return { metric };
  // Both are thousandths and ten-thousandths of what the API has: microseconds, and millionths.
  const scale = typed(metric, limit) === "ms" ? 1_000 : 10_000;
  return { metric, [limit]: Math.round(Number(text) * scale) };
}
