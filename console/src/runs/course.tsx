// How a run went, as curves over its time, over the clock, or over the hours of the day.

import { useMemo } from "preact/hooks";

import { api, need } from "../api/client";
import { useCell } from "../cell";
import { useLoad } from "../load";
import { Chart, LINES_MAX } from "../parts/chart";
import { Shown } from "../parts/notice";
import { Panel, Side } from "../parts/page";
import { bytes, count, ppm } from "../parts/words";
import { zone } from "../zone";
import { nanos, thousandths } from "./figures";
import { drawn, values, type VALUES } from "./series";
import type { RunSeries } from "./told";

/** What lines can be drawn by. */
const KEYS = ["variant", "region", "group"] as const;
/** What the times below a chart are. */
const AXES = ["start", "clock", "hour"] as const;

type Key = (typeof KEYS)[number];
type Axis = (typeof AXES)[number];

/** What is drawn, and how each value is told. */
const CHARTS: readonly (readonly [string, keyof typeof VALUES, (value: number) => string])[] = [
  ["Requests per second", "rate", count],
  ["Not ok", "notOk", ppm],
  ["Response, median", "p50", nanos],
  ["Response, 99 %", "p99", nanos],
  ["Right predictions", "right", ppm],
  ["At work at a time", "busy", thousandths],
  ["Waiting, 99 %", "queue", nanos],
  ["Memory, at most", "memory", bytes],
];

interface CourseProps {
  readonly run: string;
  readonly query: URLSearchParams;
  readonly set: (more: Record<string, string | undefined>) => void;
}

/** The curves, and what they are drawn by. */
export function Course({ run, query, set }: CourseProps) {
  const by = KEYS.find((it) => it === query.get("by")) ?? "variant";
  const axis = AXES.find((it) => it === query.get("axis")) ?? "start";
  const shown = useCell(zone);
  const hours = axis === "hour" ? { hours: true, zone: shown } : {};
  const series = useLoad(`series ${run} ${by} ${JSON.stringify(hours)}`, (signal) =>
    need(
      api.GET("/v1/runs/{run}/series", {
        params: { path: { run }, query: { by, ...hours } },
        signal,
      }),
    ),
  );
  return (
    <>
      <div class="row">
        <label>
          Lines by
          <select value={by} onChange={(event) => set({ by: event.currentTarget.value })}>
            {KEYS.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <label>
          Over
          <select value={axis} onChange={(event) => set({ axis: event.currentTarget.value })}>
            <option value="start">the time since the start</option>
            <option value="clock">the clock of {shown}</option>
            <option value="hour">the hours of the day of {shown}, at which events happened</option>
          </select>
        </label>
      </div>
      <Shown of={series}>
        {(it) => <Curves of={it} axis={axis} by={by} zone={shown} set={set} />}
      </Shown>
    </>
  );
}

interface CurvesProps {
  readonly of: RunSeries;
  readonly axis: Axis;
  readonly by: Key;
  readonly zone: string;
  readonly set: CourseProps["set"];
}

function Curves({ of, axis, by, zone: shown, set }: CurvesProps) {
  const lines = useMemo(() => drawn(of, LINES_MAX), [of]);
  // The clock is that of the start, and goes on from there.
  const beganMs = axis === "clock" ? (of.began_at_ms ?? 0) : 0;
  const atMs = useMemo(() => lines.atMs.map((at) => at + beganMs), [lines, beganMs]);
  const choose = (from: number, until: number) =>
    set({
      from_ms: String(Math.max(0, from - beganMs)),
      to_ms: String(Math.max(0, until - beganMs)),
    });
  const charts = CHARTS.filter(
    ([, value]) =>
      value === "rate" || values(lines, value).some((it) => it.values.some((one) => one !== null)),
  );
  return (
    <>
      {of.lines.length > LINES_MAX && (
        <p class="faint small">
          The {LINES_MAX} with the most requests are drawn, of {of.lines.length} by {by}.
        </p>
      )}
      <Side>
        {charts.map(([label, value, tell]) => {
          const isHour = axis === "hour";
          const name = isHour && value === "rate" ? "Requests" : label;
          return (
            <Panel key={value} title={name}>
              <Chart
                label={name}
                atMs={atMs}
                zone={axis === "clock" ? shown : null}
                tell={tell}
                choose={isHour ? undefined : choose}
                lines={values(lines, isHour && value === "rate" ? "requests" : value)}
              />
            </Panel>
          );
        })}
      </Side>
    </>
  );
}
