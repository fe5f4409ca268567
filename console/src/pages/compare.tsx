// Two runs beside each other: whether they can be compared, and each figure of each of their variants.

import { api, need, type Schema } from "../api/client";
import { type Loaded, useLoad } from "../load";
import { Shown } from "../parts/notice";
import { Facts, Heading, Panel, Side } from "../parts/page";
import { Time } from "../parts/time";
import { to } from "../router";
import { Comparison } from "../runs/compared";
import { load, selection, short } from "../runs/words";
import { RunState } from "./runs";

/** The page; the query names the runs. */
export function ComparePage({ query }: { query: URLSearchParams }) {
  const first = useRun(query.get("first") ?? "");
  const second = useRun(query.get("second") ?? "");
  return (
    <>
      <Heading title="Two runs" above={["Runs", to(["runs"])]} />
      <Side>
        {[first, second].map((run, at) => (
          <Shown key={at} of={run}>
            {(it) => <About of={it} />}
          </Shown>
        ))}
      </Side>
      {first.data && second.data && <Beside first={first.data} second={second.data} />}
    </>
  );
}

function useRun(id: string): Loaded<Schema<"Run">> {
  return useLoad(`run ${id}`, (signal) =>
    need(api.GET("/v1/runs/{run}", { params: { path: { run: id } }, signal })),
  );
}

function About({ of }: { of: Schema<"Run"> }) {
  return (
    <Panel title={`Run ${short(of.id)}`} aside={<RunState of={of} />}>
      <Facts
        of={{
          Endpoint: of.spec.endpoint,
          Stream: of.spec.stream,
          Events: selection(of.spec.selection),
          When: load(of.spec.load),
          Made: <Time at={of.created_at_ms} />,
          "": <a href={to(["runs", of.id])}>Open it</a>,
        }}
      />
    </Panel>
  );
}

function Beside({ first, second }: { first: Schema<"Run">; second: Schema<"Run"> }) {
  const outcomes = [first, second].map((run) => run.outcome);
  const digests = outcomes.map((outcome) => outcome?.schedule.digest);
  const same = digests[0] !== undefined && digests[0] === digests[1];
  const columns = [first, second].flatMap((run) => {
    const told = run.outcome ?? run.progress;
    return (told?.variants ?? []).map((variant) => ({
      name: `${variant.name} ${short(run.id)}`,
      variant,
    }));
  });
  return (
    <Panel title="Beside each other">
      <p class={same ? "" : "faint"}>
        {same
          ? "Both sent exactly the same: what differs is the variants, or chance."
          : "They did not send the same: what differs may be the events, or when they were sent."}
      </p>
      <Comparison of={columns} />
    </Panel>
  );
}
