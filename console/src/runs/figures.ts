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
    ],
  ],
  ["Response, from when it was intended", times((it) => it.response)],
  ["Latency, from when it was sent", times((it) => it.latency)],
  ["The variant's own time", times((it) => it.service)],
  [
    "Accuracy",
    [
      { name: "Judged", of: (it) => judged(it.accuracy), tell: count },
      { name: "Accuracy", of: (it) => accuracyPpm(it.accuracy), tell: ppm, better: "more" },
      { name: "Precision", of: (it) => precisionPpm(it.accuracy), tell: ppm, better: "more" },
      { name: "Recall", of: (it) => recallPpm(it.accuracy), tell: ppm, better: "more" },
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

function times(of: (variant: VariantOutcome) => Times): Figure[] {
  const figure = (name: string, value: (times: Times) => number | undefined): Figure => ({
    name,
    of: (variant) => (of(variant).count > 0 ? value(of(variant)) : undefined),
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
  return part(it.true_positives + it.true_negatives, judged(it));
}

/** Of what was said to be positive, the part that was. */
export function precisionPpm(it: Accuracy): number | undefined {
  return part(it.true_positives, it.true_positives + it.false_positives);
}

/** Of what was positive, the part that was said to be. */
export function recallPpm(it: Accuracy): number | undefined {
  return part(it.true_positives, it.true_positives + it.false_negatives);
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
