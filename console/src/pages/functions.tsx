// The account's functions.

import { api, need } from "../api/client";
import { Heading, Panel } from "../parts/page";
import { Paged } from "../parts/table";
import { Time } from "../parts/time";
import { millis } from "../parts/words";
import { to } from "../router";

/** The page. */
export function FunctionsPage() {
  return (
    <>
      <Heading title="Functions" />
      <Panel title="Functions of this account" bare>
        <Paged
          label="Functions"
          of="functions"
          ask={(cursor, signal) =>
            need(
              api.GET("/v1/functions", {
                params: { query: { ...(cursor && { cursor }) } },
                signal,
              }),
            )
          }
          id={(row) => row.id}
          empty={
            <p>
              None yet. <code>freehold function create NAME FOLDER</code> makes one of a folder of
              code.
            </p>
          }
          columns={[
            { name: "Name", cell: (row) => <a href={to(["functions", row.name])}>{row.name}</a> },
            { name: "Description", cell: (row) => row.description },
            { name: "Runtime", cell: (row) => row.runtime },
            { name: "Memory", number: true, cell: (row) => `${row.memory_mib} MiB` },
            { name: "Longest call", number: true, cell: (row) => millis(row.timeout_ms) },
            { name: "Made", cell: (row) => <Time at={row.created_at_ms} /> },
          ]}
        />
      </Panel>
    </>
  );
}
