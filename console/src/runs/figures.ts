// Figures: what a variant came to, as named numbers that can stand beside another's.
//
// Always true: a figure that is not known is absent, and is not 0; which way is better is said with
// each, so that nobody has to guess it from a sign.

import { bytes, count, micros, ppm } from "../parts/words";
import type { Accuracy, Times, VariantOutcome } from "./told";

/** A figure: its name, its value where it is known, and how it is told. */
export interface Figure {
  readonly name: string;
  readonly of: (variant: VariantOutcome) => number | undefined;
  readonly tell: (value: number) => string;
  /** Which way is better; neither where absent. */
  readonly better?: "more" | "less";
}

/** Every figure, in groups. */
export const FIGURES: readonly (readonly [string, readonly Figure[]])[] = [
  [
    "Requests",
    [
      { name: "Sent", of: (it) => it.sent, tell: count },
      { name: "Answered", of: (it) => it.answered, tell: count },
      { name: "Not ok", of: notOk, tell: count, better: "less" },
      { name: "Not ok, of all", of: notOkPpm, tell: ppm, better: "less" },
      { name: "Available", of: (it) => known(it.availability_ppm), tell: ppm, better: "more" },
    ],
  ],
  ["Response, from when it was intended", times((it) => it.response)],
  ["Latency, from when it was sent", times((it) => it.latency)],
  ["The variant's own time", times((it) => it.service)],
  ["Overhead, what is not its own", times((it) => it.overhead)],
  ["Waiting, for an instance or a batch", times((it) => it.queue)],
  [
    "What it took",
    [
      { name: "At work at a time", of: (it) => known(it.used?.busy_milli), tell: thousandths },
      { name: "At most", of: (it) => known(it.used?.busy_most_milli), tell: thousandths },
      { name: "Instances ready", of: (it) => known(it.used?.workers), tell: count },
      { name: "Cold starts", of: (it) => known(it.used?.cold_starts), tell: count, better: "less" },
      {
        name: "A cold start",
        of: (it) => known(it.used?.cold_start_us),
        tell: micros,
        better: "less",
      },
      { name: "Processors, in all", of: (it) => known(it.used?.processors_us), tell: micros },
      {
        name: "Processors, for a request",
        of: (it) => known(it.used?.cpu_us),
        tell: micros,
        better: "less",
      },
      { name: "Processors in use", of: (it) => known(it.used?.cpu_milli), tell: thousandths },
      {
        name: "Memory, at most",
        of: (it) => known(it.used?.memory_bytes),
        tell: bytes,
        better: "less",
      },
    ],
  ],
  [
    "Drills",
    [
      { name: "Well again after, at most", of: longestRecovery, tell: micros, better: "less" },
      { name: "Requests that failed", of: failedByDrills, tell: count, better: "less" },
    ],
  ],
  [
    "Accuracy",
    [
      { name: "Judged", of: (it) => judged(it.accuracy), tell: count },
      { name: "Accuracy", of: (it) => accuracyPpm(it.accuracy), tell: ppm, better: "more" },
      { name: "Precision", of: (it) => precisionPpm(it.accuracy), tell: ppm, better: "more" },
      { name: "Recall", of: (it) => recallPpm(it.accuracy), tell: ppm, better: "more" },
      { name: "F1", of: (it) => f1Ppm(it.accuracy), tell: ppm, better: "more" },
      {
        name: "F1, mean of classes",
        of: ({ accuracy }) =>
          (accuracy.classes ?? []).length > 2 ? known(accuracy.macro_f1_ppm) : undefined,
        tell: ppm,
        better: "more",
      },
      {
        name: "Area under the curve",
        of: (it) => known(it.accuracy.auc?.value_ppm),
        tell: ppm,
        better: "more",
      },
      { name: "At least, surely", of: (it) => known(it.accuracy.auc?.lower_ppm), tell: ppm },
      { name: "At most, surely", of: (it) => known(it.accuracy.auc?.upper_ppm), tell: ppm },
      {
        name: "Scores as chances are off by",
        of: (it) => known(it.accuracy.calibration?.error_ppm),
        tell: ppm,
        better: "less",
      },
      {
        name: "Estimate without labels",
        of: (it) => known(it.accuracy.estimate?.accuracy_ppm),
        tell: ppm,
        better: "more",
      },
      { name: "Without a label", of: (it) => it.accuracy.unlabelled, tell: count },
      { name: "Not read", of: (it) => it.accuracy.unread, tell: count, better: "less" },
    ],
  ],
  [
    "Bytes",
    [
      { name: "Sent", of: (it) => it.bytes_out, tell: bytes },
      { name: "Answered", of: (it) => it.bytes_in, tell: bytes },
    ],
  ],
];

function times(of: (variant: VariantOutcome) => Times | undefined): Figure[] {
  const figure = (name: string, value: (times: Times) => number | null | undefined): Figure => ({
    name,
    of: (variant) => {
      const told = of(variant);
      return told && told.count > 0 ? known(value(told)) : undefined;
    },
    tell: nanos,
    better: "less",
  });
  return [
    figure("Median", (it) => it.p50_ns),
    figure("90 %", (it) => it.p90_ns),
    figure("99 %", (it) => it.p99_ns),
    figure("99 %, with confidence at most", (it) => it.p99_upper_ns),
    figure("99.9 %", (it) => it.p999_ns),
    figure("Longest", (it) => it.max_ns),
  ];
}

/** The longest recovery of a variant's drills; not known where one is not. */
function longestRecovery({ drills }: VariantOutcome): number | undefined {
  const each = (drills ?? []).map((it) => known(it.recovery_us));
  const all = each.filter((us) => us !== undefined);
  return all.length > 0 && all.length === each.length ? Math.max(...all) : undefined;
}

/** Requests that a variant's drills had go badly; not known where those of one are not. */
function failedByDrills({ drills }: VariantOutcome): number | undefined {
  const each = (drills ?? []).map((it) => known(it.failed));
  const all = each.filter((one) => one !== undefined);
  const failed = all.reduce((sum, one) => sum + one, 0);
  return all.length > 0 && all.length === each.length ? failed : undefined;
}

/** What the API leaves out or says is nothing is not known. */
function known(value: number | null | undefined): number | undefined {
  return value ?? undefined;
}

/** Thousandths as a number. */
export function thousandths(value: number): string {
  return count(value / 1_000);
}

/** Nanoseconds in words. */
export function nanos(value: number): string {
  return micros(value / 1_000);
}

/** Requests that ended in another way than well. */
export function notOk({ outcomes }: VariantOutcome): number {
  return Object.entries(outcomes).reduce(
    (sum, [word, number]) => (word === "ok" ? sum : sum + number),
    0,
  );
}

function notOkPpm(variant: VariantOutcome): number | undefined {
  return part(notOk(variant), variant.recorded);
}

/** Predictions that were held against a label. */
export function judged(it: Accuracy): number {
  return it.true_positives + it.false_positives + it.true_negatives + it.false_negatives;
}

/** The part of them that was right, in millionths. */
export function accuracyPpm(it: Accuracy): number | undefined {
  return part(it.right ?? it.true_positives + it.true_negatives, judged(it));
}

/** Of what was said to be positive, the part that was. */
export function precisionPpm(it: Accuracy): number | undefined {
  return part(it.true_positives, it.true_positives + it.false_positives);
}

/** Of what was positive, the part that was said to be. */
export function recallPpm(it: Accuracy): number | undefined {
  return part(it.true_positives, it.true_positives + it.false_negatives);
}

/** The harmonic mean of both. */
export function f1Ppm(it: Accuracy): number | undefined {
  const twice = 2 * it.true_positives;
  return part(twice, twice + it.false_positives + it.false_negatives);
}

function part(some: number, all: number): number | undefined {
  return all > 0 ? Math.floor((some * 1_000_000) / all) : undefined;
}

/** How a value stands to another: `12 % more, worse`; nothing where one is not known or both are the same. */
export function against(
  value: number | undefined,
  other: number | undefined,
  better: Figure["better"],
): string {
  if (value === undefined || other === undefined || value === other) return "";
  const way = value > other ? "more" : "less";
  const much = other === 0 ? way : `${percent(Math.abs(value - other) / Math.abs(other))} ${way}`;
  return better ? `${much}, ${way === better ? "better" : "worse"}` : much;
}

function percent(part: number): string {
  const number = part * 100;
  return `${number >= 100 ? Math.round(number) : Number(number.toPrecision(2))} %`;
}
