// Series: how a run went, as lines over the same times.
//
// Always true: each line has a point for each time; where nothing was sent its rate is 0, and no
// other value is known.

import type { RunSeries, SeriesPoint } from "./told";

/** Lines over the same times. */
export interface Drawn {
  /** When each point begins, in milliseconds from the start of the run, or of the day. */
  readonly atMs: readonly number[];
  readonly stepMs: number;
  /** The points of each key; none where nothing was sent. */
  readonly lines: readonly (readonly [string, readonly (SeriesPoint | undefined)[]])[];
}

/** What can be drawn of a point; none where it is not known. */
export const VALUES = {
  rate: (point, stepMs) => ((point?.requests ?? 0) * 1_000) / stepMs,
  requests: (point) => point?.requests ?? 0,
  notOk: (point) => part(point?.not_ok, point?.requests),
  p50: (point) => point?.response?.p50_ns ?? null,
  p99: (point) => point?.response?.p99_ns ?? null,
  right: (point) => part(point?.right, point?.judged),
  busy: (point) => point?.busy_milli ?? null,
  queue: (point) => point?.queue?.p99_ns ?? null,
  memory: (point) => point?.memory_bytes ?? null,
} as const satisfies Record<
  string,
  (point: SeriesPoint | undefined, stepMs: number) => number | null
>;

/** The lines of a series, at most so many of them: those with the most requests. */
export function drawn(of: RunSeries, most: number): Drawn {
  const lines = of.lines.slice(0, most);
  const times = lines.flatMap((line) => line.points.map((point) => point.at_ms));
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const count = times.length > 0 ? Math.round((last - first) / of.step_ms) + 1 : 0;
  const atMs = Array.from({ length: count }, (_, at) => first + at * of.step_ms);
  return {
    atMs,
    stepMs: of.step_ms,
    lines: lines.map((line) => {
      const known = new Map(line.points.map((point) => [point.at_ms, point]));
      return [line.key || "none", atMs.map((at) => known.get(at))] as const;
    }),
  };
}

/** The values of a line. */
export function values(
  { stepMs, lines }: Drawn,
  value: keyof typeof VALUES,
): { label: string; values: (number | null)[] }[] {
  return lines.map(([label, points]) => ({
    label,
    values: points.map((point) => VALUES[value](point, stepMs)),
  }));
}

function part(some: number | undefined, all: number | undefined): number | null {
  return all ? ((some ?? 0) * 1_000_000) / all : null;
}
