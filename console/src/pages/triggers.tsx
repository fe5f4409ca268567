// The triggers of an endpoint: what is watched, what is seen now, what is done then; and what they
// saw and did.

import { useState } from "preact/hooks";

import { api, done, need, type Schema } from "../api/client";
import { useLoad } from "../load";
import { Action } from "../parts/action";
import { Shown } from "../parts/notice";
import { Panel } from "../parts/page";
import { State } from "../parts/state";
import { Paged, Table } from "../parts/table";
import { Time } from "../parts/time";
import { condition, type Limit, LIMITS, type Metric, METRICS, typed } from "../runs/gate";
import { act, type Act, did, type Spec, when } from "../runs/triggers";
import { short } from "../runs/words";
import { to } from "../router";

/** How often they are asked for again: as often as they are judged. */
const EVERY_MS = 3_000;
const MINUTE_MS = 60_000;

/** How a state looks. */
const STATES: Readonly<Record<Schema<"TriggerState">, "good" | "bad" | "warn">> = {
  armed: "good",
  fired: "bad",
  blocked: "warn",
};

interface TriggersProps {
  readonly of: Schema<"Endpoint">;
}

/** The triggers, and adding one. */
export function Triggers({ of }: TriggersProps) {
  const path = { params: { path: { name: of.name } } };
  const triggers = useLoad(
    `triggers of ${of.name}`,
    (signal) => need(api.GET("/v1/endpoints/{name}/triggers", { ...path, signal })),
    EVERY_MS,
  );
  const add = async (body: Spec) => {
    await need(api.POST("/v1/endpoints/{name}/triggers", { ...path, body }));
    triggers.again();
  };
  const remove = async (trigger: string) => {
    const params = { path: { name: of.name, trigger } };
    await done(api.DELETE("/v1/endpoints/{name}/triggers/{trigger}", { params }));
    triggers.again();
  };
  return (
    <Panel title="Triggers">
      <Shown of={triggers}>
        {(it) => (
          <Table
            label="Triggers"
            rows={it.triggers}
            id={(row) => row.spec.name}
            empty="Nothing is watched."
            columns={[
              { name: "Trigger", cell: (row) => row.spec.name },
              { name: "When", cell: (row) => when(row.spec) },
              { name: "Then", cell: (row) => row.spec.then.map(act).join("; ") },
              { name: "State", cell: (row) => <State word={row.state} mood={STATES[row.state]} /> },
              { name: "Seen now", cell: (row) => row.now?.words ?? "" },
              {
                name: "Change",
                cell: (row) => (
                  <Action
                    mood="bad"
                    sure={`Remove the trigger ${row.spec.name}? What it did can still be seen.`}
                    act={() => remove(row.spec.name)}
                  >
                    Remove
                  </Action>
                ),
              },
            ]}
          />
        )}
      </Shown>
      <Add variants={of.variants.map((it) => it.variant)} add={add} />
    </Panel>
  );
}

/** What is known of live events that are captured, once labels come. */
const RIGHT: readonly Metric[] = ["accuracy_ppm", "precision_ppm", "recall_ppm"];
/** What is known of live events. */
const LIVE: readonly Metric[] = [
  "errors_ppm",
  "response_p99_us",
  "response_p50_us",
  "requests",
  ...RIGHT,
];

/** What can be done, by the word of the API; those behind a dash need something. */
const ACTIONS = {
  out: "Put the variant into test",
  revert: "Use the variants as before the newest change",
  retrain: "Train the model anew, as it was trained last",
  deploy: "Put this variant into production:",
  webhook: "Tell this URL:",
  email: "Tell this address:",
  replay: "Replay the window's events of this stream to all variants:",
  change: "Send the replay anew, so many times as fast:",
} as const;

type ActionWord = keyof typeof ACTIONS;

/** The action of what was typed. */
function action(word: ActionWord, text: string): Act {
  switch (word) {
    case "webhook":
      return { kind: "webhook", url: text };
    case "email":
      return { kind: "email", to: text };
    case "deploy":
      return { kind: "deploy", variant: text, mode: "production", share_bp: 0 };
    case "replay":
      return { kind: "replay", stream: text, variants: [] };
    case "change":
      return { kind: "change", times_milli: Math.round(Number(text) * 1_000) };
    default:
      return { kind: word };
  }
}

interface AddProps {
  readonly variants: readonly string[];
  readonly add: (spec: Spec) => Promise<unknown>;
}

function Add({ variants, add }: AddProps) {
  const [name, setName] = useState("");
  const [variant, setVariant] = useState("");
  const [on, setOn] = useState<Schema<"TriggerOn">>("live");
  const [metric, setMetric] = useState<Metric>("errors_ppm");
  const [limit, setLimit] = useState<Limit>("at_least");
  const [value, setValue] = useState("");
  const [minutes, setMinutes] = useState("5");
  const [prediction, setPrediction] = useState("");
  const [word, setWord] = useState<ActionWord>("webhook");
  const [text, setText] = useState("");
  const metrics = (Object.keys(METRICS) as Metric[]).filter((it) =>
    on === "live" ? LIVE.includes(it) : METRICS[it][1] !== "none",
  );
  const chosen = metrics.includes(metric) ? metric : "errors_ppm";
  const reads = on === "live" && RIGHT.includes(chosen);
  const needs = word !== "out" && word !== "revert" && word !== "retrain";
  const spec: Spec = {
    name,
    on,
    ...(variant && { variant }),
    when: { is: condition(chosen, limit, value, "all") },
    ...(on === "live" && { window_ms: Math.round(Number(minutes) * MINUTE_MS) }),
    ...(reads &&
      prediction !== "" && { judged: { prediction, threshold_ppm: null, positive: null } }),
    then: [action(word, text)],
  };
  return (
    <form class="row" aria-label="Add a trigger" onSubmit={(event) => event.preventDefault()}>
      <label>
        Called
        <input value={name} onInput={(event) => setName(event.currentTarget.value)} />
      </label>
      <label>
        Watches
        <select
          value={on}
          onChange={(event) => setOn(event.currentTarget.value as Schema<"TriggerOn">)}
        >
          <option value="live">live events</option>
          <option value="replay">each replay, once it has ended</option>
        </select>
      </label>
      <label>
        Of the variant
        <select value={variant} onChange={(event) => setVariant(event.currentTarget.value)}>
          <option value="">{on === "live" ? "in production" : "that comes first"}</option>
          {variants.map((it) => (
            <option key={it}>{it}</option>
          ))}
        </select>
      </label>
      <label>
        What is watched
        <select value={chosen} onChange={(event) => setMetric(event.currentTarget.value as Metric)}>
          {metrics.map((it) => (
            <option key={it} value={it}>
              {METRICS[it][0]}
            </option>
          ))}
        </select>
      </label>
      <label>
        Comes to be
        <select value={limit} onChange={(event) => setLimit(event.currentTarget.value as Limit)}>
          {Object.entries(LIMITS).map(([it, words]) => (
            <option key={it} value={it}>
              {words}
            </option>
          ))}
        </select>
      </label>
      <label>
        So much, in {typed(chosen, limit)}
        <input
          type="number"
          min="0"
          step="any"
          value={value}
          onInput={(event) => setValue(event.currentTarget.value)}
        />
      </label>
      {on === "live" && (
        <label>
          Within so many minutes
          <input
            type="number"
            min="0.2"
            step="any"
            value={minutes}
            onInput={(event) => setMinutes(event.currentTarget.value)}
          />
        </label>
      )}
      {reads && (
        <label>
          Predictions are in answers at
          <input
            placeholder="/score"
            value={prediction}
            onInput={(event) => setPrediction(event.currentTarget.value)}
          />
        </label>
      )}
      <label>
        Then
        <select value={word} onChange={(event) => setWord(event.currentTarget.value as ActionWord)}>
          {Object.entries(ACTIONS).map(([it, words]) => (
            <option key={it} value={it}>
              {words}
            </option>
          ))}
        </select>
      </label>
      {needs && (
        <label>
          Which
          <input
            {...(word === "change" && { type: "number", min: "0.1", max: "10", step: "any" })}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
      )}
      <Action
        disabled={name === "" || value === "" || (needs && text === "")}
        act={() => add(spec)}
      >
        Add the trigger
      </Action>
    </form>
  );
}

/** What triggers saw and did, the newest first. */
export function Firings({ of }: TriggersProps) {
  return (
    <Panel title="What triggers did">
      <Paged
        label="Firings"
        of={`firings of ${of.name}`}
        everyMs={EVERY_MS}
        ask={(cursor, signal) => {
          const params = { path: { name: of.name }, query: { ...(cursor && { cursor }) } };
          return need(api.GET("/v1/endpoints/{name}/firings", { params, signal }));
        }}
        id={(row) => String(row.number)}
        empty="None has fired."
        columns={[
          { name: "Firing", cell: (row) => String(row.number) },
          { name: "When", cell: (row) => <Time at={row.at_ms} /> },
          { name: "Trigger", cell: (row) => row.trigger },
          {
            name: "Of",
            cell: (row) => (
              <>
                {row.saw.variant}
                {row.run && (
                  <>
                    {" in "}
                    <a href={to(["runs", row.run])}>{short(row.run)}</a>
                  </>
                )}
              </>
            ),
          },
          { name: "Saw", cell: (row) => row.saw.words },
          { name: "Did", cell: (row) => row.did.map(did).join("; ") },
        ]}
      />
    </Panel>
  );
}
