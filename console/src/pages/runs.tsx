// The account's runs, the newest first; two of them can be set beside each other.

import { useState } from "preact/hooks";

import { api, need, type Schema } from "../api/client";
import { Heading, Panel } from "../parts/page";
import { State } from "../parts/state";
import { Paged } from "../parts/table";
import { Time } from "../parts/time";
import { go, to } from "../router";
import { load, short } from "../runs/words";

/** How often the list is asked for again. */
const EVERY_MS = 5_000;

/** The page. */
export function RunsPage() {
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const [first, second] = chosen;
  const choose = (id: string, wanted: boolean) =>
    setChosen((it) => (wanted ? [...it, id].slice(-2) : it.filter((other) => other !== id)));
  return (
    <>
      <Heading title="Runs" />
      <Panel title="Runs of this account" bare>
        <div class="row">
          <button
            type="button"
            disabled={!first || !second}
            onClick={() => first && second && go(to(["compare"], { first, second }))}
          >
            Compare the two that are chosen
          </button>
        </div>
        <Paged
          label="Runs"
          of="runs"
          everyMs={EVERY_MS}
          ask={(cursor, signal) =>
            need(api.GET("/v1/runs", { params: { query: { ...(cursor && { cursor }) } }, signal }))
          }
          id={(row) => row.id}
          empty={
            <p>
              None yet. <code>freehold replay</code> sends the events of a stream to an endpoint.
            </p>
          }
          columns={[
            {
              name: "Run",
              cell: (row) => (
                <span class="choice">
                  <input
                    type="checkbox"
                    aria-label={`Choose ${short(row.id)}`}
                    checked={chosen.includes(row.id)}
                    onChange={(event) => choose(row.id, event.currentTarget.checked)}
                  />
                  <a class="mono" href={to(["runs", row.id])} title={row.id}>
                    {short(row.id)}
                  </a>
                </span>
              ),
            },
            { name: "State", cell: (row) => <RunState of={row} /> },
            { name: "Endpoint", cell: (row) => row.spec.endpoint },
            { name: "Variants", cell: (row) => (row.spec.variants ?? []).join(", ") },
            { name: "Stream", cell: (row) => row.spec.stream },
            { name: "Sent", cell: (row) => load(row.spec.load) },
            { name: "Made", cell: (row) => <Time at={row.created_at_ms} /> },
          ]}
        />
      </Panel>
    </>
  );
}

/** Where a run stands, and whether what it came to may be believed. */
export function RunState({ of }: { of: Schema<"Run"> }) {
  const { outcome } = of;
  if (of.state !== "succeeded" || !outcome) return <State word={of.state} />;
  return outcome.valid ? <State word="valid" mood="good" /> : <State word="invalid" mood="bad" />;
}
