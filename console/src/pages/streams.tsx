// The account's streams of recorded events.

import { api, need } from "../api/client";
import { Heading, Panel } from "../parts/page";
import { Paged } from "../parts/table";
import { Time } from "../parts/time";
import { to } from "../router";

/** The page. */
export function StreamsPage() {
  return (
    <>
      <Heading title="Streams" />
      <Panel title="Streams of this account" bare>
        <Paged
          label="Streams"
          of="streams"
          ask={(cursor, signal) =>
            need(
              api.GET("/v1/streams", { params: { query: { ...(cursor && { cursor }) } }, signal }),
            )
          }
          id={(row) => row.id}
          empty={
            <p>
              None yet. <code>freehold stream create NAME</code> makes one, for events of an
              application.
            </p>
          }
          columns={[
            { name: "Name", cell: (row) => <a href={to(["streams", row.name])}>{row.name}</a> },
            { name: "Description", cell: (row) => row.spec.description ?? "" },
            { name: "Made", cell: (row) => <Time at={row.created_at_ms} /> },
          ]}
        />
      </Panel>
    </>
  );
}
