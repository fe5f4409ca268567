// One function: what it is, its versions, the aliases that lead to them, its schedules, URLs, the
// streams that feed it, and its log.

import { api, need, type Schema } from "../api/client";
import { useLoad } from "../load";
import { Log } from "../parts/log";
import { Shown } from "../parts/notice";
import { Facts, Heading, Panel, Side } from "../parts/page";
import { Paged, Table } from "../parts/table";
import { Time } from "../parts/time";
import { millis, ppm } from "../parts/words";
import { to } from "../router";
import { Sources } from "./sources";

/** How often what moves by itself is asked for again: an alias may. */
const EVERY_MS = 5_000;

/** The page. */
export function FunctionPage({ name }: { name: string }) {
  const path = { name };
  const it = useLoad(`function ${name}`, (signal) =>
    need(api.GET("/v1/functions/{name}", { params: { path }, signal })),
  );
  return (
    <>
      <Heading title={name} above={["Functions", to(["functions"])]} />
      <Shown of={it}>
        {(of) => (
          <>
            <About of={of} />
            <Side>
              <Aliases name={name} />
              <Versions name={name} />
            </Side>
            <Side>
              <Schedules name={name} />
              <Urls name={name} />
            </Side>
            <Sources name={name} />
            <Panel title="Log">
              <Log
                label="Log of the function"
                of={name}
                ask={(query, signal) =>
                  need(api.GET("/v1/functions/{name}/log", { params: { path, query }, signal }))
                }
              />
            </Panel>
          </>
        )}
      </Shown>
    </>
  );
}

function About({ of }: { of: Schema<"Function"> }) {
  const variables = Object.keys(of.environment);
  return (
    <Panel title="What it is">
      {of.description && <p>{of.description}</p>}
      <Facts
        of={{
          Runtime: of.runtime,
          Handler: of.handler && <code>{of.handler}</code>,
          Memory: `${of.memory_mib} MiB`,
          "Longest call": millis(of.timeout_ms),
          "Calls at once, of one instance": of.concurrency,
          "Reaches outside": of.egress?.join(", "),
          Variables: variables.join(", "),
          Made: <Time at={of.created_at_ms} />,
        }}
      />
    </Panel>
  );
}

/** Which versions an alias leads to, and which part of the calls each has. */
function share(alias: Schema<"Alias">): string {
  const { other, version } = alias;
  if (!other) return version;
  // The API tells it in ten-thousandths.
  const part = other.share * 100;
  return `${ppm(1_000_000 - part)} to ${version}, ${ppm(part)} to ${other.version}`;
}

function Aliases({ name }: { name: string }) {
  return (
    <Panel title="Aliases">
      <Paged
        label="Aliases"
        of={`aliases of ${name}`}
        everyMs={EVERY_MS}
        ask={(cursor, signal) =>
          need(
            api.GET("/v1/functions/{name}/aliases", {
              params: { path: { name }, query: { ...(cursor && { cursor }) } },
              signal,
            }),
          )
        }
        id={(row) => row.name}
        empty="None."
        columns={[
          { name: "Alias", cell: (row) => row.name },
          { name: "Leads to", cell: share },
          { name: "Description", cell: (row) => row.description },
        ]}
      />
    </Panel>
  );
}

function Versions({ name }: { name: string }) {
  return (
    <Panel title="Versions">
      <Paged
        label="Versions"
        of={`versions of ${name}`}
        ask={(cursor, signal) =>
          need(
            api.GET("/v1/functions/{name}/versions", {
              params: { path: { name }, query: { ...(cursor && { cursor }) } },
              signal,
            }),
          )
        }
        id={(row) => row.version}
        empty={
          <p>
            No numbered one. <code>freehold function publish {name}</code> makes one of what it is
            now.
          </p>
        }
        columns={[
          { name: "Version", cell: (row) => row.version },
          { name: "Description", cell: (row) => row.description },
          { name: "Memory", number: true, cell: (row) => `${row.memory_mib} MiB` },
          { name: "Made", cell: (row) => <Time at={row.created_at_ms} /> },
        ]}
      />
    </Panel>
  );
}

function Schedules({ name }: { name: string }) {
  return (
    <Panel title="Schedules">
      <Paged
        label="Schedules"
        of={`schedules of ${name}`}
        ask={(cursor, signal) =>
          need(
            api.GET("/v1/functions/{name}/schedules", {
              params: { path: { name }, query: { ...(cursor && { cursor }) } },
              signal,
            }),
          )
        }
        id={(row) => row.name}
        empty="None."
        columns={[
          { name: "Schedule", cell: (row) => row.name },
          { name: "When", cell: (row) => <code>{row.expression}</code> },
          { name: "Its time zone", cell: (row) => row.zone },
          {
            name: "Next",
            cell: (row) => (row.next_at_ms ? <Time at={row.next_at_ms} /> : "never"),
          },
        ]}
      />
    </Panel>
  );
}

function Urls({ name }: { name: string }) {
  const urls = useLoad(`urls of ${name}`, (signal) =>
    need(api.GET("/v1/functions/{name}/urls", { params: { path: { name } }, signal })),
  );
  return (
    <Panel title="URLs">
      <Shown of={urls}>
        {(rows) => (
          <Table
            label="URLs"
            rows={rows}
            id={(row) => row.id}
            empty="None."
            columns={[
              { name: "Of", cell: (row) => row.qualifier || "the newest code" },
              // Not a link: what a function answers is no page of the console.
              { name: "Path", cell: (row) => <code>{row.path}</code> },
              {
                name: "Lets in",
                cell: (row) => (row.settings.auth === "none" ? "everybody" : "who may call it"),
              },
            ]}
          />
        )}
      </Shown>
    </Panel>
  );
}
