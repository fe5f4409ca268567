// The streams that a function is fed from: how far each is, how it went last, and pausing it.

import { useState } from "preact/hooks";

import { api, done, need, type Schema } from "../api/client";
import { Action } from "../parts/action";
import { Panel } from "../parts/page";
import { State } from "../parts/state";
import { Paged } from "../parts/table";
import { count } from "../parts/words";
import { to } from "../router";

type Source = Schema<"Source">;

/** How often they are asked for again: a batch may be done at any time. */
const EVERY_MS = 3_000;

/** What `result` begins with where something went wrong. */
const PROBLEM = "PROBLEM: ";

/** How a function is fed where nothing else is said, as the command does it. */
const PLAIN: Source["spec"] = {
  start: "oldest",
  batch: 100,
  window_ms: 0,
  filters: [],
  reports_failures: false,
  bisect: false,
  retries: null,
  age_s: null,
  on_failure: null,
  enabled: true,
};

/** The sources, and adding one. */
export function Sources({ name }: { name: string }) {
  // Grows with every change, so that they are asked for at once.
  const [changes, setChanges] = useState(0);
  const changed = () => setChanges((before) => before + 1);
  const of = (it: Source) => ({ params: { path: { name, source: it.id } } });
  const enable = async (it: Source, enabled: boolean) => {
    const body = { spec: { ...it.spec, enabled }, generation: it.generation };
    await need(api.PUT("/v1/functions/{name}/sources/{source}", { ...of(it), body }));
    changed();
  };
  const remove = async (it: Source) => {
    await done(api.DELETE("/v1/functions/{name}/sources/{source}", of(it)));
    changed();
  };
  const add = async (body: Schema<"CreateSource">) => {
    await need(api.POST("/v1/functions/{name}/sources", { params: { path: { name } }, body }));
    changed();
  };
  return (
    <Panel title="Fed from streams">
      <Paged
        label="Sources"
        of={`sources of ${name} ${changes}`}
        everyMs={EVERY_MS}
        ask={(cursor, signal) => {
          const params = { path: { name }, query: { ...(cursor && { cursor }) } };
          return need(api.GET("/v1/functions/{name}/sources", { params, signal }));
        }}
        id={(row) => row.id}
        empty="It is fed from none."
        columns={[
          { name: "Stream", cell: (row) => <a href={to(["streams", row.stream])}>{row.stream}</a> },
          { name: "To", cell: (row) => row.qualifier || "the newest code" },
          {
            name: "State",
            cell: (row) =>
              row.spec.enabled === false ? (
                <State word="paused" mood="warn" />
              ) : (
                <State word="feeds" mood={row.result.startsWith(PROBLEM) ? "bad" : "good"} />
              ),
          },
          { name: "Delivered", number: true, cell: (row) => count(row.delivered) },
          { name: "Filtered out", number: true, cell: (row) => count(row.filtered) },
          { name: "Given up", number: true, cell: (row) => count(row.given_up) },
          { name: "Next event", number: true, cell: (row) => String(row.next_event) },
          { name: "Last", cell: (row) => row.result || "not fed yet" },
          {
            name: "Change",
            cell: (row) => (
              <div class="row">
                <Action act={() => enable(row, row.spec.enabled === false)}>
                  {row.spec.enabled === false ? "Resume" : "Pause"}
                </Action>
                <Action
                  mood="bad"
                  sure={`Feed ${name} from ${row.stream} no more? How far it was is forgotten.`}
                  act={() => remove(row)}
                >
                  Remove
                </Action>
              </div>
            ),
          },
        ]}
      />
      <Add add={add} />
    </Panel>
  );
}

function Add({ add }: { add: (source: Schema<"CreateSource">) => Promise<unknown> }) {
  const [stream, setStream] = useState("");
  const [qualifier, setQualifier] = useState("");
  const [start, setStart] = useState<"oldest" | "next">("oldest");
  const [batch, setBatch] = useState("100");
  return (
    <form
      class="row"
      aria-label="Feed it from a stream"
      onSubmit={(event) => event.preventDefault()}
    >
      <label>
        From the stream
        <input value={stream} onInput={(event) => setStream(event.currentTarget.value)} />
      </label>
      <label>
        To the version or alias
        <input
          value={qualifier}
          placeholder="the newest code"
          onInput={(event) => setQualifier(event.currentTarget.value)}
        />
      </label>
      <label>
        Beginning with
        <select
          value={start}
          onChange={(event) => setStart(event.currentTarget.value as "oldest" | "next")}
        >
          <option value="oldest">the oldest event that is kept</option>
          <option value="next">the next event that comes</option>
        </select>
      </label>
      <label>
        Events of a batch
        <input
          type="number"
          min="1"
          max="10000"
          value={batch}
          onInput={(event) => setBatch(event.currentTarget.value)}
        />
      </label>
      <Action
        disabled={stream === "" || batch === ""}
        act={() => add({ stream, qualifier, spec: { ...PLAIN, start, batch: Number(batch) } })}
      >
        Feed it
      </Action>
    </form>
  );
}
