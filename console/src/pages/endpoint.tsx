// One endpoint: what it runs and whether it answers, how it is asked, who may ask it, its log.

import { api, need, type Schema } from "../api/client";
import { useLoad } from "../load";
import { Format } from "../parts/format";
import { Log } from "../parts/log";
import { Shown } from "../parts/notice";
import { Facts, Heading, Panel, Side } from "../parts/page";
import { shared, SharingForm } from "../parts/sharing";
import { State } from "../parts/state";
import { Table } from "../parts/table";
import { Time } from "../parts/time";
import { to } from "../router";
import { Capture } from "./capture";
import { Gate } from "./gate";
import { Firings, Triggers } from "./triggers";
import { History, Variants } from "./variants";

/** How often it is asked for again. */
const EVERY_MS = 3_000;

/** The page. */
export function EndpointPage({ name }: { name: string }) {
  const path = { params: { path: { name } } };
  const endpoint = useLoad(
    `endpoint ${name}`,
    (signal) => need(api.GET("/v1/endpoints/{name}", { ...path, signal })),
    EVERY_MS,
  );
  const share = async (sharing: Schema<"Sharing">, generation: number) => {
    await need(api.PUT("/v1/endpoints/{name}/sharing", { ...path, body: { sharing, generation } }));
    endpoint.again();
  };
  return (
    <>
      <Heading title={name} above={["Endpoints", to(["endpoints"])]}>
        {endpoint.data && <State word={endpoint.data.state} />}
      </Heading>
      <Shown of={endpoint}>
        {(it) => (
          <>
            {it.error && <div class="notice bad">{it.error}</div>}
            <About of={it} />
            <Variants of={it} again={endpoint.again} />
            <Gate endpoint={name} />
            <Triggers of={it} />
            <Firings of={it} />
            <History of={it} again={endpoint.again} />
            <Capture endpoint={name} />
            <Side>
              {it.stages.length > 0 && (
                <Panel title="Stages">
                  <Table
                    label="Stages"
                    rows={it.stages}
                    id={(row) => row.source}
                    empty="None."
                    columns={[
                      { name: "Runs", cell: (row) => <Item of={row.source} /> },
                      { name: "State", cell: (row) => <State word={row.state} /> },
                      { name: "Engine", cell: (row) => row.engine ?? "" },
                    ]}
                  />
                </Panel>
              )}
              <Panel title="Sharing">
                <SharingForm
                  key={it.generation}
                  sharing={it.sharing}
                  everybody="Everybody, also without an account"
                  change={(sharing) => share(sharing, it.generation)}
                />
              </Panel>
            </Side>
            <Side>
              {it.input && (
                <Panel title="Takes">
                  <Format of={it.input} />
                </Panel>
              )}
              {it.output && (
                <Panel title="Answers">
                  <Format of={it.output} />
                </Panel>
              )}
            </Side>
          </>
        )}
      </Shown>
      <Panel title="Log">
        <Log
          label="Log of the endpoint"
          of={name}
          ask={(asked, signal) =>
            need(
              api.GET("/v1/endpoints/{name}/log", {
                params: { path: { name }, query: asked },
                signal,
              }),
            )
          }
        />
      </Panel>
    </>
  );
}

function About({ of }: { of: Schema<"Endpoint"> }) {
  return (
    <Panel title="What it is">
      <Facts
        of={{
          Runs: <Item of={of.source} />,
          Instance: of.instance_type,
          "Shared with": shared(of.sharing),
          Made: <Time at={of.created_at_ms} />,
          Changes: String(of.generation),
        }}
      />
      <div>
        <p class="faint small">Asked with</p>
        <pre class="text">{`freehold invoke ${of.name} --file request.json\ncurl ${location.origin}/v2/models/${of.name}/infer \\\n  --header "Authorization: Bearer TOKEN" --data @request.json`}</pre>
      </div>
    </Panel>
  );
}

/** A reference such as `acme/risk@3` or `function:scorer:live`, as a link to what it names. */
export function Item({ of }: { of: string }) {
  const [kind, named] = of.split(":");
  if (kind === "function" && named) return <a href={to(["functions", named])}>{of}</a>;
  const [account, name] = (of.split("@")[0] ?? "").split("/");
  return account && name ? <a href={to(["items", account, name])}>{of}</a> : <>{of}</>;
}
