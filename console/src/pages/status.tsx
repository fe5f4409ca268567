// What runs: the cloud, its hosts, and what each of them gives and lacks.

import { api, need, type Schema } from "../api/client";
import { useLoad } from "../load";
import { Shown } from "../parts/notice";
import { Facts, Heading, Panel } from "../parts/page";
import { State } from "../parts/state";
import { Table } from "../parts/table";
import { bytes, count } from "../parts/words";

/** How often it is asked for again. */
const EVERY_MS = 5_000;

/** The page. */
export function StatusPage() {
  const status = useLoad("status", (signal) => need(api.GET("/v1/status", { signal })), EVERY_MS);
  return (
    <>
      <Heading title="Status" />
      <Shown of={status}>
        {(it) => (
          <>
            <Panel title="The cloud">
              <Facts
                of={{
                  Version: it.version,
                  Database: it.database,
                  Objects: it.objects,
                  Hosts: count(it.hosts.length),
                  Items: count(it.items),
                  Endpoints: count(it.endpoints),
                  Instances: count(it.instances),
                }}
              />
            </Panel>
            {it.hosts.map((host) => (
              <Host key={host.id} of={host} />
            ))}
          </>
        )}
      </Shown>
    </>
  );
}

function Host({ of }: { of: Schema<"HostStatus"> }) {
  return (
    <Panel title={`Host ${of.name}`} aside={<State word={of.alive ? "alive" : "away"} />}>
      <Facts
        of={{
          "CPU free": `${of.cpu_milli_free / 1000} of ${of.cpu_milli / 1000}`,
          "Memory free": `${bytes(of.memory_bytes_free)} of ${bytes(of.memory_bytes)}`,
          Instances: count(of.instances),
          Fleet: of.fleet,
        }}
      />
      <Table
        label={`What ${of.name} gives`}
        rows={of.features}
        id={(row) => row.name}
        empty="It has not said yet."
        columns={[
          { name: "Feature", cell: (row) => row.name },
          {
            name: "Here",
            cell: (row) => (
              <State word={row.held ? "held" : "missing"} mood={row.held ? "good" : "warn"} />
            ),
          },
          { name: "Why it matters", cell: (row) => row.matters },
          { name: "Found", cell: (row) => <span class="small">{row.detail}</span> },
        ]}
      />
    </Panel>
  );
}
