// A run as it is sent: the rate and the times of what was answered since the page was opened.
//
// Always true: what is drawn was told by the cloud, second by second, and what was before the page
// was opened is not made up; the last ten minutes are kept.

import { useRef } from "preact/hooks";

import { useCell } from "../cell";
import { Chart } from "../parts/chart";
import { Panel, Side } from "../parts/page";
import { count, micros } from "../parts/words";
import { zone } from "../zone";
import type { RunProgress } from "./told";

/** Most points that are kept: ten minutes. */
const POINTS_MAX = 600;

interface Point {
  readonly atMs: number;
  readonly progress: RunProgress;
}

/** The charts. */
export function Live({ progress }: { progress: RunProgress }) {
  const points = useRef<readonly Point[]>([]);
  const shown = useCell(zone);
  if (points.current.at(-1)?.progress !== progress) {
    points.current = [...points.current, { atMs: Date.now(), progress }].slice(-POINTS_MAX);
  }
  const [atMs, pairs] = steps(points.current);
  const names = progress.variants.map((variant) => variant.name);
  const line = (of: (before: Point, after: Point, at: number) => number | null) =>
    names.map((label, at) => ({
      label: label + times(names, at),
      values: pairs.map(([before, after]) => of(before, after, at)),
    }));
  if (atMs.length < 2) return null;
  return (
    <Side>
      <Panel title="Answers per second">
        <Chart
          label="Answers per second"
          atMs={atMs}
          zone={shown}
          tell={count}
          lines={line(({ atMs: from, progress: before }, { atMs: until, progress: after }, at) => {
            const [less, more] = [before.variants[at]?.answered, after.variants[at]?.answered];
            return less === undefined || more === undefined
              ? null
              : ((more - less) * 1_000) / Math.max(1, until - from);
          })}
        />
      </Panel>
      <Panel title="Response so far, 99 %">
        <Chart
          label="Response so far, 99 %"
          atMs={atMs}
          zone={shown}
          tell={(value) => micros(value)}
          lines={line((_, { progress: after }, at) => {
            const p99 = after.variants[at]?.response.p99_ns;
            return typeof p99 === "number" ? p99 / 1_000 : null;
          })}
        />
      </Panel>
    </Side>
  );
}

/** Each point with the one before it. */
function steps(points: readonly Point[]): [number[], [Point, Point][]] {
  const pairs = points.slice(1).flatMap((after, at): [Point, Point][] => {
    const before = points[at];
    return before ? [[before, after]] : [];
  });
  return [pairs.map(([, after]) => after.atMs), pairs];
}

/** The same variant twice is told apart. */
function times(names: readonly string[], at: number): string {
  const before = names.slice(0, at).filter((name) => name === names[at]).length;
  return before > 0 ? ` (${before + 1})` : "";
}
