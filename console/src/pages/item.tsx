// One item: what it does, what was measured of it, what goes in and comes out, who may use it.

import { api, need, type Schema } from "../api/client";
import { useLoad } from "../load";
import { Format } from "../parts/format";
import { Shown } from "../parts/notice";
import { Facts, Heading, Panel, Side } from "../parts/page";
import { SharingForm } from "../parts/sharing";
import { Table } from "../parts/table";
import { Time } from "../parts/time";
import { bytes, count, micros, ppm } from "../parts/words";
import { to } from "../router";
import { Item as Link } from "./endpoint";

/** The page. */
export function ItemPage({ account, name }: { account: string; name: string }) {
  const path = { params: { path: { account, name } } };
  const item = useLoad(`item ${account}/${name}`, (signal) =>
    need(api.GET("/v1/items/{account}/{name}", { ...path, signal })),
  );
  const share = async (sharing: Schema<"Sharing">, generation: number) => {
    await need(
      api.PUT("/v1/items/{account}/{name}/sharing", { ...path, body: { sharing, generation } }),
    );
    item.again();
  };
  return (
    <>
      <Heading title={`${account}/${name}`} above={["Items", to(["items"])]} />
      <Shown of={item}>
        {(it) => (
          <>
            <About of={it} />
            <Side>
              <Panel title="Figures">
                <Figures of={it.listing.figures} />
              </Panel>
              {it.sharing && (
                <Panel title="Sharing">
                  <SharingForm
                    key={it.generation}
                    sharing={it.sharing}
                    everybody="Every account"
                    change={(sharing) => share(sharing, it.generation)}
                  />
                </Panel>
              )}
            </Side>
            {(it.listing.input || it.listing.output) && (
              <Side>
                {it.listing.input && (
                  <Panel title="Takes">
                    <Format of={it.listing.input} />
                  </Panel>
                )}
                {it.listing.output && (
                  <Panel title="Answers">
                    <Format of={it.listing.output} />
                  </Panel>
                )}
              </Side>
            )}
            {it.sharing && <Use account={account} name={name} />}
            {it.listing.documentation && (
              <Panel title="Documentation">
                <pre class="text">{it.listing.documentation}</pre>
              </Panel>
            )}
          </>
        )}
      </Shown>
    </>
  );
}

function About({ of: { kind, listing, newest, created_at_ms } }: { of: Schema<"Item"> }) {
  return (
    <Panel title={listing.title || "What it is"}>
      {listing.summary && <p>{listing.summary}</p>}
      <Facts
        of={{
          Kind: kind,
          Category: [listing.category, listing.subcategory].filter(Boolean).join(" / "),
          Tags: listing.tags.join(", "),
          Licence: listing.license,
          Needs: `${listing.requires.cpu_milli / 1000} CPU, ${bytes(listing.requires.memory_bytes)}`,
          Channels: listing.channels.join(", "),
          Stages:
            listing.stages.length > 0 &&
            listing.stages.map((stage) => <Link key={stage} of={stage} />),
          "Newest version": String(newest),
          Made: <Time at={created_at_ms} />,
        }}
      />
    </Panel>
  );
}

/** Each figure's name, and its number in the unit that ends the API's name. */
const FIGURES: Record<Schema<"FigureName">, [string, (value: number) => string]> = {
  accuracy_ppm: ["Accuracy", ppm],
  latency_p50_us: ["Median latency", micros],
  latency_p99_us: ["99th percentile of latency", micros],
  memory_peak_bytes: ["Peak memory", bytes],
  start_us: ["Start", micros],
  package_bytes: ["Package", bytes],
};

function Figures({ of }: { of: readonly Schema<"Figure">[] }) {
  return (
    <Table
      label="Figures"
      rows={of}
      id={(row) => `${row.name} ${row.source}`}
      empty="Nothing was measured or claimed."
      columns={[
        { name: "Figure", cell: (row) => FIGURES[row.name][0] },
        { name: "Value", number: true, cell: (row) => FIGURES[row.name][1](row.value) },
        { name: "Grade", cell: (row) => row.grade },
        { name: "Source", cell: (row) => <span class="small">{row.source}</span> },
      ]}
    />
  );
}

function Use({ account, name }: { account: string; name: string }) {
  const use = useLoad(`use of ${account}/${name}`, (signal) =>
    need(
      api.GET("/v1/items/{account}/{name}/usage", { params: { path: { account, name } }, signal }),
    ),
  );
  return (
    <Panel title="What others made of it">
      <Shown of={use}>
        {(it) => (
          <Facts
            of={{
              Accounts: count(it.accounts),
              Trainings: count(it.trainings),
              Requests: count(it.requests),
              Failures: count(it.failures),
            }}
          />
        )}
      </Shown>
    </Panel>
  );
}
