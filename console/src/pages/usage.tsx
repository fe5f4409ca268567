// Usage: what the account's calls came to.

import { api, need, type Schema } from "../api/client";
import { useLoad } from "../load";
import { Shown } from "../parts/notice";
import { Facts, Heading, Panel } from "../parts/page";
import { Table } from "../parts/table";
import { Time } from "../parts/time";
import { count, millis } from "../parts/words";
import { to } from "../router";

/** The page; the query may hold from when to when. */
export function UsagePage({ query }: { query: URLSearchParams }) {
  const asked = { ...ms(query, "from_ms"), ...ms(query, "to_ms") };
  const usage = useLoad(`usage ${query}`, (signal) =>
    need(api.GET("/v1/usage", { params: { query: asked }, signal })),
  );
  return (
    <>
      <Heading title="Usage" />
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

function sums(of: Schema<"Consumption">) {
  return {
    Calls: count(of.calls),
    Failures: count(of.failures),
    "Ended (crashed, out of time or memory)": count(of.faults),
    Time: millis(of.duration_ms),
    "Memory by time": `${count(Math.round(of.memory_mib_ms / 1024_000))} GiB s`,
  };
}

function ms(
  query: URLSearchParams,
  name: "from_ms" | "to_ms",
): Partial<Record<"from_ms" | "to_ms", number>> {
  const text = query.get(name);
  return text && /^\d+$/.test(text) ? { [name]: Number(text) } : {};
}
