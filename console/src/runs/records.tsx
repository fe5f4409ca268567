// Records of a run: those of a part that was chosen, and how each went.

import { useState } from "preact/hooks";

import { api, need } from "../api/client";
import type { paths } from "../api/schema";
import { useLoad } from "../load";
import { Shown } from "../parts/notice";
import { Panel } from "../parts/page";
import { Table } from "../parts/table";
import { count, since } from "../parts/words";
import { go, to } from "../router";
import { nanos } from "./figures";

/** Most records that are listed: as many as an answer has. */
const LISTED_MAX = 10_000;
/** Records that are listed at first, and how many times as many with each time one asks for more. */
const LISTED = 20;
const MORE = 5;

/** What narrows the records, by its name in the address and in the API, and in words. */
const FILTERS = [
  ["variant", "Variant"],
  ["outcome", "Outcome"],
  ["region", "Region"],
  ["group", "Group"],
  ["right", "Right, true or false"],
] as const;

type RecordsQuery = NonNullable<paths["/v1/runs/{run}/records"]["get"]["parameters"]["query"]>;

interface RecordsProps {
  readonly run: string;
  readonly query: URLSearchParams;
}

/** Changes what is asked for in the address. */
export function setter({ run, query }: RecordsProps): Set {
  return (more) => go(to(["runs", run], { ...Object.fromEntries(query), ...more }));
}

type Set = (more: Record<string, string | undefined>) => void;

/** The records of what was chosen. */
export function Records({ run, query, variants }: RecordsProps & { variants: readonly string[] }) {
  const set = setter({ run, query });
  const asked = Object.fromEntries(query);
  const { by: _by, axis: _axis, ...narrowed } = asked;
  const key = JSON.stringify(narrowed);
  const [listed, setListed] = useState({ key, limit: LISTED });
  const limit = listed.key === key ? listed.limit : LISTED;
  const records = useLoad(`records ${run} ${limit} ${key}`, (signal) =>
    need(
      api.GET("/v1/runs/{run}/records", {
        // What the address says is what the API takes; what it does not take it refuses.
        params: { path: { run }, query: { ...narrowed, limit } as RecordsQuery },
        signal,
      }),
    ),
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
                  cell: (row) =>
                    row.class ??
                    (row.score === undefined || row.score === null ? "" : String(row.score)),
                },
                { name: "Was", cell: (row) => row.label ?? "" },
              ]}
            />
            {it.matching > it.records.length && limit < LISTED_MAX && (
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

function time(ns: number | null | undefined): string {
  return ns === undefined || ns === null ? "–" : nanos(ns);
}
