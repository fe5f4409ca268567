// Records of a run: how its rate, errors and times went, by variant, region or group; and the
// records of a part that was chosen.

import { useMemo, useState } from "preact/hooks";

import { given } from "../api/client";
import { useLoad } from "../load";
import { Chart } from "../parts/chart";
import { Shown } from "../parts/notice";
import { Panel, Side } from "../parts/page";
import { Table } from "../parts/table";
import { count, micros, ppm, since } from "../parts/words";
import { go, to } from "../router";
import { nanos } from "./figures";
import { series } from "./series";
import type { RunRecord, RunRecords } from "./told";

/** Most records that are drawn: as many as an answer has. */
const DRAWN_MAX = 10_000;
/** Records that are listed at first, and how many times as many with each time one asks for more. */
const LISTED = 20;
const MORE = 5;

/** What lines can be drawn by. */
const KEYS = {
  variant: (it: RunRecord) => it.variant,
  region: (it: RunRecord) => it.region || "no region",
  group: (it: RunRecord) => it.group || "no group",
  outcome: (it: RunRecord) => it.outcome,
} as const;

/** What narrows the records, by its name in the address and in the API, and in words. */
const FILTERS = [
  ["variant", "Variant"],
  ["outcome", "Outcome"],
  ["region", "Region"],
  ["group", "Group"],
] as const;

interface RecordsProps {
  readonly run: string;
  readonly query: URLSearchParams;
}

/** Changes what is asked for in the address. */
function setter({ run, query }: RecordsProps): Set {
  return (more) => go(to(["runs", run], { ...Object.fromEntries(query), ...more }));
}

/** How the run went, as curves. */
export function Course({ run, query }: RecordsProps) {
  const by = Object.keys(KEYS).find((it) => it === query.get("by")) as
    keyof typeof KEYS | undefined;
  const all = useLoad(`records ${run}`, (signal) => ask(run, { limit: DRAWN_MAX }, signal));
  return (
    <Shown of={all}>
      {(it) => <Curves of={it} by={by ?? "variant"} set={setter({ run, query })} />}
    </Shown>
  );
}

function ask(
  run: string,
  query: Record<string, string | number | undefined>,
  signal: AbortSignal,
): Promise<RunRecords> {
  return given<RunRecords>(`/v1/runs/${encodeURIComponent(run)}/records`, query, signal);
}

type Set = (more: Record<string, string | undefined>) => void;

function Curves({ of, by, set }: { of: RunRecords; by: keyof typeof KEYS; set: Set }) {
  const drawn = useMemo(() => series(of.records, KEYS[by]), [of, by]);
  const choose = (from: number, until: number) =>
    set({ from_ms: String(Math.max(0, from)), to_ms: String(until) });
  const chart = (
    label: string,
    value: "rate" | "notOk" | "p50" | "p99",
    tell: (value: number) => string,
  ) => (
    <Panel title={label}>
      <Chart
        label={label}
        atMs={drawn.atMs}
        zone={null}
        tell={tell}
        choose={choose}
        lines={drawn.lines.map(([key, windows]) => ({
          label: key,
          values: windows.map((it) => it[value]),
        }))}
      />
    </Panel>
  );
  const ms = (value: number) => micros(value * 1_000);
  return (
    <>
      <div class="row">
        <label>
          Lines by
          <select value={by} onChange={(event) => set({ by: event.currentTarget.value })}>
            {Object.keys(KEYS).map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        {of.matching > of.records.length && (
          <p class="faint small">
            Drawn from the first {count(of.records.length)} of {count(of.matching)} records.
          </p>
        )}
      </div>
      <Side>
        {chart("Requests per second", "rate", count)}
        {chart("Not ok", "notOk", (value) => ppm(value * 10_000))}
        {chart("Response, median", "p50", ms)}
        {chart("Response, 99 %", "p99", ms)}
      </Side>
    </>
  );
}

/** The records of what was chosen. */
export function Records({ run, query, variants }: RecordsProps & { variants: readonly string[] }) {
  const set = setter({ run, query });
  const asked = Object.fromEntries(query);
  const { by: _by, ...narrowed } = asked;
  const key = JSON.stringify(narrowed);
  const [listed, setListed] = useState({ key, limit: LISTED });
  const limit = listed.key === key ? listed.limit : LISTED;
  const records = useLoad(`records ${run} ${limit} ${key}`, (signal) =>
    ask(run, { ...narrowed, limit }, signal),
  );
  const [from, until] = [Number(asked.from_ms), Number(asked.to_ms)];
  return (
    <Panel title="Records">
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          const form = new FormData(event.currentTarget);
          const text = (name: string) => String(form.get(name) ?? "").trim() || undefined;
          set(
            Object.fromEntries(
              [...FILTERS.map(([name]) => name), "response_us_min"].map((name) => [
                name,
                text(name),
              ]),
            ),
          );
        }}
      >
        {FILTERS.map(([name, label]) => (
          <label key={name}>
            {label}
            <input
              name={name}
              defaultValue={asked[name] ?? ""}
              list={name === "variant" ? "variants" : undefined}
              size={12}
            />
          </label>
        ))}
        <datalist id="variants">
          {variants.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
        <label>
          Response, µs or more
          <input
            name="response_us_min"
            inputMode="numeric"
            pattern="[0-9]*"
            defaultValue={asked.response_us_min ?? ""}
            size={12}
          />
        </label>
        <button type="submit">Show</button>
      </form>
      {asked.to_ms && (
        <p>
          From {since(from)} to {since(until)} of the run.{" "}
          <button type="button" onClick={() => set({ from_ms: undefined, to_ms: undefined })}>
            The whole run
          </button>
        </p>
      )}
      <Shown of={records}>
        {(it) => (
          <>
            <p class="faint small" role="status">
              {count(it.matching)} records
              {it.matching > it.records.length &&
                `, of which the first ${count(it.records.length)}`}
              .
            </p>
            <Table
              label="Records"
              rows={it.records}
              id={(row) => `${row.sequence} ${row.copy} ${row.variant} ${row.offset_ns}`}
              empty="None is like that."
              columns={[
                {
                  name: "Event",
                  cell: (row) =>
                    row.copy > 0 ? `${row.sequence} (copy ${row.copy})` : String(row.sequence),
                },
                { name: "At", number: true, cell: (row) => since(row.offset_ns / 1e6) },
                { name: "Variant", cell: (row) => row.variant },
                { name: "Region", cell: (row) => row.region ?? "" },
                { name: "Group", cell: (row) => row.group ?? "" },
                {
                  name: "Outcome",
                  cell: (row) => (row.status ? `${row.outcome} (${row.status})` : row.outcome),
                },
                { name: "Late", number: true, cell: (row) => time(row.lag_ns) },
                { name: "Response", number: true, cell: (row) => time(row.response_ns) },
                {
                  name: "Said",
                  cell: (row) => row.class ?? (row.score === undefined ? "" : String(row.score)),
                },
                { name: "Was", cell: (row) => row.label ?? "" },
              ]}
            />
            {it.matching > it.records.length && limit < DRAWN_MAX && (
              <p>
                <button type="button" onClick={() => setListed({ key, limit: limit * MORE })}>
                  Show more
                </button>
              </p>
            )}
          </>
        )}
      </Shown>
    </Panel>
  );
}

function time(ns: number | undefined): string {
  return ns === undefined ? "–" : nanos(ns);
}
