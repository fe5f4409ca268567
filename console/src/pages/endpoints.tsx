// The account's endpoints: what each runs, and whether it answers.

import { api, need } from "../api/client";
import { Heading, Panel } from "../parts/page";
import { shared } from "../parts/sharing";
import { State } from "../parts/state";
import { Paged } from "../parts/table";
import { Time } from "../parts/time";
import { to } from "../router";

/** How often the list is asked for again. */
const EVERY_MS = 5_000;

/** The page. */
export function EndpointsPage() {
  return (
    <>
      <Heading title="Endpoints" />
      <Panel title="Endpoints of this account" bare>
        <Paged
          label="Endpoints"
          of="endpoints"
          everyMs={EVERY_MS}
          ask={(cursor, signal) =>
            need(
              api.GET("/v1/endpoints", {
                params: { query: { ...(cursor && { cursor }) } },
                signal,
              }),
            )
          }
          id={(row) => row.id}
          empty={
            <p>
              None yet. <code>freehold deploy MODEL --as NAME</code> makes one of a model or a
              pipeline.
            </p>
          }
          columns={[
            { name: "Name", cell: (row) => <a href={to(["endpoints", row.name])}>{row.name}</a> },
            { name: "State", cell: (row) => <State word={row.state} /> },
            { name: "Runs", cell: (row) => row.source },
            { name: "Instance", cell: (row) => row.instance_type },
            { name: "Shared with", cell: (row) => shared(row.sharing) },
            { name: "Made", cell: (row) => <Time at={row.created_at_ms} /> },
          ]}
        />
      </Panel>
    </>
  );
}
