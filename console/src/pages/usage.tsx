// Usage: what the account's calls came to.

import { api, need, type Schema } from "../api/client";
import { useCell } from "../cell";
import { useLoad } from "../load";
import { Chart } from "../parts/chart";
import { Shown } from "../parts/notice";
import { Facts, Heading, Panel } from "../parts/page";
import { Table } from "../parts/table";
import { Time } from "../parts/time";
import { count, millis } from "../parts/words";
import { go, to } from "../router";
import { hours, whole } from "./hours";
import { zone } from "../zone";

/** How often the chart is asked for again. */
const EVERY_MS = 60_000;

/** The page; the query may hold from when to when. */
export function UsagePage({ query }: { query: URLSearchParams }) {
  const asked = { ...ms(query, "from_ms"), ...ms(query, "to_ms") };
  const usage = useLoad(`usage ${query}`, (signal) =>
    need(api.GET("/v1/usage", { params: { query: asked }, signal })),
  );
  return (
    <>
      <Heading title="Usage" />
      <LastDay />
      <Shown of={usage}>
        {(it) => (
          <Panel
            title="Calls of functions"
            aside={
              <span class="small">
                <Time at={it.from_ms} /> to <Time at={it.to_ms} />
              </span>
            }
          >
            <Facts of={sums(it.total)} />
            <Table
              label="Calls by function"
              rows={it.lines}
              id={(row) => [row.owner, row.name, row.grant, row.service, row.key].join(" ")}
              empty="Nothing was called in this time."
              columns={[
                { name: "Function", cell: (row) => row.name },
                { name: "Of", cell: (row) => row.owner },
                {
                  name: "Through",
                  cell: (row) =>
                    [row.service, row.key].filter(Boolean).join(", key ") || (row.grant ?? ""),
                },
                { name: "Calls", number: true, cell: (row) => count(row.calls) },
                { name: "Failures", number: true, cell: (row) => count(row.failures) },
                { name: "Ended", number: true, cell: (row) => count(row.faults) },
                { name: "Time", number: true, cell: (row) => millis(row.duration_ms) },
              ]}
            />
          </Panel>
        )}
      </Shown>
      {query.size > 0 && (
        <p>
          <a href={to(["usage"])}>The last 30 days</a>
        </p>
      )}
    </>
  );
}

/** The last day's calls by hour; a part of it is opened as the table below. */
function LastDay() {
  const shown = useCell(zone);
  const day = useLoad("hours", (signal) => hours(Date.now(), signal), EVERY_MS);
  return (
    <Panel title="Calls in the last 24 hours">
      <Shown of={day}>
        {({ atMs, came }) => (
          <Chart
            label="Calls by hour"
            atMs={atMs}
            lines={[
              { label: "Calls", values: came.map((it) => it.calls) },
              { label: "Failures", values: came.map((it) => it.failures) },
              { label: "Ended", values: came.map((it) => it.faults) },
            ]}
            zone={shown}
            tell={count}
            whole
            choose={(from, until) => go(to(["usage"], whole(from, until)))}
          />
        )}
      </Shown>
    </Panel>
  );
}

function sums(of: Schema<"Consumption">) {
  return {
    Calls: count(of.calls),
    Failures: count(of.failures),
    "Ended (crashed, out of time or memory)": count(of.faults),
    Time: millis(of.duration_ms),
    "Memory by time": `${count(of.memory_mib_ms / 1_024_000)} GiB s`,
  };
}

function ms(
  query: URLSearchParams,
  name: "from_ms" | "to_ms",
): Partial<Record<"from_ms" | "to_ms", number>> {
  const text = query.get(name);
  return text && /^\d+$/.test(text) ? { [name]: Number(text) } : {};
}
