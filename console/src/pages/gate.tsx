// The gate of an endpoint: what has to hold of a run before its candidate is promoted; and promoting
// by it, with each condition, its value and its threshold.

import { useState } from "preact/hooks";

import { api, done, need, Problem, type Schema } from "../api/client";
import { useLoad } from "../load";
import { Action } from "../parts/action";
import { Shown } from "../parts/notice";
import { Panel } from "../parts/page";
import { State } from "../parts/state";
import { Table } from "../parts/table";
import {
  type Condition,
  condition,
  type Limit,
  LIMITS,
  type Metric,
  METRICS,
  named,
  scope,
  SCOPES,
  type ScopeWord,
  told,
  typed,
} from "../runs/gate";

type GateSpec = Schema<"GateSpec">;

const MINUTE_MS = 60_000;

/** The gate, where there is one, and changing it. */
export function Gate({ endpoint }: { endpoint: string }) {
  const path = { params: { path: { name: endpoint } } };
  const gate = useLoad(`gate of ${endpoint}`, async (signal) => {
    try {
      return await need(api.GET("/v1/endpoints/{name}/gate", { ...path, signal }));
    } catch (cause) {
      if (cause instanceof Problem && cause.status === 404) return "none" as const;
      throw cause;
    }
  });
  const put = async (body: GateSpec) => {
    if (body.conditions.length > 0)
      await need(api.PUT("/v1/endpoints/{name}/gate", { ...path, body }));
    else await done(api.DELETE("/v1/endpoints/{name}/gate", path));
    gate.again();
  };
  return (
    <Panel title="Gate">
      <Shown of={gate}>
        {(it) => {
          const spec: GateSpec = it === "none" ? { conditions: [], automatic: false } : it;
          return (
            <>
              <Table
                label="Conditions"
                rows={spec.conditions.map((of, at) => ({ of, at }))}
                id={({ at }) => String(at)}
                empty="Nothing has to hold of a run before its candidate is promoted."
                columns={[
                  { name: "All of these have to hold", cell: ({ of }) => told(of) },
                  {
                    name: "Change",
                    cell: ({ at }) => (
                      <Action
                        act={() =>
                          put({
                            ...spec,
                            conditions: spec.conditions.filter((_, other) => other !== at),
                          })
                        }
                      >
                        Take away
                      </Action>
                    ),
                  },
                ]}
              />
              {spec.conditions.length > 0 && (
                <label class="choice">
                  <input
                    type="checkbox"
                    checked={spec.automatic ?? false}
                    onChange={(event) =>
                      void put({ ...spec, automatic: event.currentTarget.checked })
                    }
                  />
                  The cloud promotes by itself, once a run has ended and all holds
                </label>
              )}
              <Add add={(more) => put({ ...spec, conditions: [...spec.conditions, more] })} />
            </>
          );
        }}
      </Shown>
    </Panel>
  );
}

function Add({ add }: { add: (condition: Condition) => Promise<unknown> }) {
  const [metric, setMetric] = useState<Metric>("response_p99_us");
  const [limit, setLimit] = useState<Limit>("at_most");
  const [text, setText] = useState("");
  const [word, setWord] = useState<ScopeWord>("all");
  const [place, setPlace] = useState("");
  const limited = METRICS[metric][1] !== "none";
  // Production's answers are set beside all of the candidate's, and a drill is of a whole variant.
  const scoped = limited && metric !== "agreement_ppm" && metric !== "recovery_us";
  const of = scoped ? scope(word, place) : "all";
  const unnamed = scoped && named(word) && place === "";
  return (
    <form class="row" aria-label="Add a condition" onSubmit={(event) => event.preventDefault()}>
      <label>
        What is measured
        <select value={metric} onChange={(event) => setMetric(event.currentTarget.value as Metric)}>
          {Object.entries(METRICS).map(([name, [words]]) => (
            <option key={name} value={name}>
              {words}
            </option>
          ))}
        </select>
      </label>
      {limited && (
        <>
          <label>
            Has to be
            <select
              value={limit}
              onChange={(event) => setLimit(event.currentTarget.value as Limit)}
            >
              {Object.entries(LIMITS).map(([name, words]) => (
                <option key={name} value={name}>
                  {words}
                </option>
              ))}
            </select>
          </label>
          <label>
            Value, in {typed(metric, limit)}
            <input
              type="number"
              min="0"
              step="any"
              value={text}
              onInput={(event) => setText(event.currentTarget.value)}
            />
          </label>
        </>
      )}
      {scoped && (
        <label>
          Of which events
          <select
            value={word}
            onChange={(event) => setWord(event.currentTarget.value as ScopeWord)}
          >
            {Object.entries(SCOPES).map(([name, words]) => (
              <option key={name} value={name}>
                {words}
              </option>
            ))}
          </select>
        </label>
      )}
      {scoped && named(word) && (
        <label>
          Its name
          <input value={place} onInput={(event) => setPlace(event.currentTarget.value)} />
        </label>
      )}
      <Action
        disabled={(limited && text === "") || unnamed}
        act={() => add(condition(metric, limit, text, of))}
      >
        Add
      </Action>
    </form>
  );
}

/** What a gate said, and what came of it. */
interface Said {
  readonly title: string;
  readonly lines: Schema<"GateJudgement">["lines"];
}

interface PromoteProps {
  readonly run: string;
  readonly endpoint: string;
  /** The candidate: the run's first variant. */
  readonly variant: string;
}

type Wanted = "canary" | "bake" | "production";

/** Promoting the candidate of a run, where the gate says so. */
export function PromoteByGate({ run, endpoint, variant }: PromoteProps) {
  const [mode, setMode] = useState<Wanted>("canary");
  const [share, setShare] = useState("5");
  const [minutes, setMinutes] = useState("30");
  const [came, setCame] = useState<Said>();
  const ask = async () => {
    const params = { path: { name: endpoint } };
    const said = await need(
      api.POST("/v1/endpoints/{name}/gate/judgement", { params, body: { run } }),
    );
    const title = said.holds
      ? `${variant} may be promoted by this run.`
      : `${variant} may not be promoted: ${said.reason ?? ""}`;
    setCame({ title, lines: said.lines });
  };
  const promote = async () => {
    const params = { path: { name: endpoint, variant } };
    const body = {
      run,
      mode,
      share_bp: mode === "production" ? 0 : Math.round(Number(share) * 100),
      ...(mode === "bake" && { for_ms: Math.round(Number(minutes) * MINUTE_MS) }),
    };
    const said = await need(
      api.POST("/v1/endpoints/{name}/variants/{variant}/promotion", { params, body }),
    );
    const title = said.promoted
      ? `${variant} was promoted.`
      : `${variant} was not promoted: ${said.reason ?? ""}`;
    setCame({ title, lines: said.lines });
  };
  return (
    <Panel title="Promote by the gate">
      <p class="faint small">
        Where every condition of the gate of {endpoint} holds of this run, {variant} is promoted;
        else nothing is changed. Either way each condition is told with its value.
      </p>
      <form class="row" onSubmit={(event) => event.preventDefault()}>
        <label>
          Promote {variant} to
          <select value={mode} onChange={(event) => setMode(event.currentTarget.value as Wanted)}>
            <option value="canary">canary: it answers a share</option>
            <option value="bake">bake: a share for a time, then production</option>
            <option value="production">production</option>
          </select>
        </label>
        {mode !== "production" && (
          <label>
            Share, in percent
            <input
              type="number"
              min="0.01"
              max="50"
              step="0.01"
              value={share}
              onInput={(event) => setShare(event.currentTarget.value)}
            />
          </label>
        )}
        {mode === "bake" && (
          <label>
            For so many minutes
            <input
              type="number"
              min="1"
              value={minutes}
              onInput={(event) => setMinutes(event.currentTarget.value)}
            />
          </label>
        )}
        <Action
          mood="main"
          act={promote}
          sure={`Promote ${variant} to ${mode}, where the gate says so?`}
        >
          Promote
        </Action>
        <Action act={ask}>Only ask the gate</Action>
      </form>
      {came && <Came of={came} />}
    </Panel>
  );
}

/** How a judgement looks. */
const JUDGED: Readonly<Record<string, "good" | "bad" | "warn">> = {
  holds: "good",
  fails: "bad",
  not_known: "warn",
};

function Came({ of }: { of: Said }) {
  return (
    <div role="status">
      <p>
        <strong>{of.title}</strong>
      </p>
      <Table
        label="Conditions of the gate"
        rows={of.lines}
        id={(row) => `${row.condition} ${row.words}`}
        empty="The gate has no conditions."
        columns={[
          { name: "Condition", cell: (row) => String(row.condition) },
          {
            name: "Judged",
            cell: (row) => <State word={row.judgement} mood={JUDGED[row.judgement] ?? "none"} />,
          },
          { name: "Value and threshold", cell: (row) => row.words },
        ]}
      />
    </div>
  );
}
