// The variants of an endpoint: which of them answers whom, changing that, and how it was before.

import { useState } from "preact/hooks";

import { api, done, need, type Schema } from "../api/client";
import { Action } from "../parts/action";
import { Panel } from "../parts/page";
import { State } from "../parts/state";
import { Paged, Table } from "../parts/table";
import { Time } from "../parts/time";
import { ppm } from "../parts/words";
import { Item } from "./endpoint";

type Endpoint = Schema<"Endpoint">;
type Used = Schema<"Used">;
type Mode = Schema<"Mode">;

const MINUTE_MS = 60_000;

/** What each mode means, in the order in which a variant goes through them. */
const MODES: Readonly<Record<Mode, string>> = {
  test: "Test: sees no live event",
  shadow: "Shadow: sees copies, and does not answer",
  canary: "Canary: answers a share",
  bake: "Bake: answers a share for a time, then goes to production",
  production: "Production: answers all others",
};

/** How a variant is used, in words. */
function used({ mode, share_bp }: Used): string {
  // The API tells shares in ten-thousandths.
  return share_bp ? `${mode}, ${ppm(share_bp * 100)}` : mode;
}

interface VariantsProps {
  readonly of: Endpoint;
  /** Has the endpoint asked for again. */
  readonly again: () => void;
}

/** The variants, and a form that changes how one is used. */
export function Variants({ of, again }: VariantsProps) {
  const production = of.variants.find((it) => it.mode === "production")?.variant;
  const change = async (variant: string, wanted: Wanted) => {
    const path = { name: of.name, variant };
    const body = { reason: "", ...wanted, modes_number: of.modes_number };
    await need(api.PUT("/v1/endpoints/{name}/variants/{variant}/mode", { params: { path }, body }));
    again();
  };
  const remove = async (variant: string) => {
    const path = { name: of.name, variant };
    await done(api.DELETE("/v1/endpoints/{name}/variants/{variant}", { params: { path } }));
    again();
  };
  return (
    <Panel title="Variants">
      <Table
        label="Variants"
        rows={of.variants}
        id={(row) => row.variant}
        empty="None."
        columns={[
          { name: "Variant", cell: (row) => row.variant },
          { name: "Runs", cell: (row) => <Item of={row.source} /> },
          { name: "State", cell: (row) => <State word={row.state} /> },
          { name: "Used for", cell: (row) => <Use of={row} /> },
          {
            name: "Change",
            cell: (row) =>
              row.variant === production ? (
                ""
              ) : (
                <span class="row">
                  <Action
                    mood="main"
                    sure={`Put ${row.variant} into production? It answers everybody then, in place of ${production ?? "what does now"}.`}
                    act={() => change(row.variant, { mode: "production", share_bp: 0 })}
                  >
                    Promote
                  </Action>
                  {row.mode === "test" ? (
                    <Action
                      mood="bad"
                      sure={`Remove ${row.variant}? It is gone then, with its instances.`}
                      act={() => remove(row.variant)}
                    >
                      Remove
                    </Action>
                  ) : (
                    <Action
                      mood="bad"
                      act={() => change(row.variant, { mode: "test", share_bp: 0 })}
                    >
                      Revert to test
                    </Action>
                  )}
                </span>
              ),
          },
        ]}
      />
      <ChangeForm
        variants={of.variants.filter((it) => it.variant !== production)}
        change={change}
      />
    </Panel>
  );
}

function Use({ of }: { of: Used }) {
  return (
    <>
      {used(of)}
      {of.until_ms && (
        <>
          {" "}
          until <Time at={of.until_ms} />
        </>
      )}
    </>
  );
}

interface Wanted {
  readonly mode: Mode;
  readonly share_bp: number;
  readonly for_ms?: number;
  readonly reason?: string;
}

interface ChangeFormProps {
  readonly variants: readonly Used[];
  readonly change: (variant: string, wanted: Wanted) => Promise<unknown>;
}

function ChangeForm({ variants, change }: ChangeFormProps) {
  const [variant, setVariant] = useState("");
  const [mode, setMode] = useState<Mode>("shadow");
  const [share, setShare] = useState("5");
  const [minutes, setMinutes] = useState("30");
  const [reason, setReason] = useState("");
  const chosen = variants.some((it) => it.variant === variant) ? variant : variants[0]?.variant;
  if (!chosen) return null;
  const shares = mode === "shadow" || mode === "canary" || mode === "bake";
  const wanted: Wanted = {
    mode,
    share_bp: shares ? Math.round(Number(share) * 100) : 0,
    reason,
    ...(mode === "bake" && { for_ms: Math.round(Number(minutes) * MINUTE_MS) }),
  };
  return (
    <form
      class="row"
      aria-label="Change how a variant is used"
      onSubmit={(event) => event.preventDefault()}
    >
      <label>
        Variant
        <select value={chosen} onChange={(event) => setVariant(event.currentTarget.value)}>
          {variants.map((it) => (
            <option key={it.variant}>{it.variant}</option>
          ))}
        </select>
      </label>
      <label>
        Used for
        <select value={mode} onChange={(event) => setMode(event.currentTarget.value as Mode)}>
          {Object.entries(MODES).map(([name, words]) => (
            <option key={name} value={name}>
              {words}
            </option>
          ))}
        </select>
      </label>
      {shares && (
        <label>
          Share, in percent
          <input
            type="number"
            min="0.01"
            max="100"
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
      <label>
        Why, for those who look later
        <input
          value={reason}
          onInput={(event) => setReason(event.currentTarget.value)}
          maxLength={1024}
        />
      </label>
      <Action act={() => change(chosen, wanted)}>Change</Action>
    </form>
  );
}

/** How the variants were used, the newest change first, and going back to one of them. */
export function History({ of, again }: VariantsProps) {
  const restore = async (number: number) => {
    const path = { name: of.name, number };
    await need(api.POST("/v1/endpoints/{name}/modes/{number}/restore", { params: { path } }));
    again();
  };
  return (
    <Panel title="How they were used">
      <Paged
        label="Changes"
        of={`modes of ${of.name} ${of.modes_number}`}
        ask={(cursor, signal) => {
          const params = { path: { name: of.name }, query: { ...(cursor && { cursor }) } };
          return need(api.GET("/v1/endpoints/{name}/modes", { params, signal }));
        }}
        id={(row) => String(row.number)}
        empty="Nothing was changed yet."
        columns={[
          { name: "Change", cell: (row) => String(row.number) },
          { name: "When", cell: (row) => <Time at={row.at_ms} /> },
          { name: "By", cell: (row) => row.decided_by },
          {
            name: "Then",
            cell: (row) => row.modes.map((it) => `${it.variant}: ${used(it)}`).join("; "),
          },
          { name: "Why", cell: (row) => row.reason },
          {
            name: "Back",
            cell: (row) =>
              row.number === of.modes_number ? (
                "so it is now"
              ) : (
                <Action
                  sure={`Use the variants again as after change ${row.number}?`}
                  act={() => restore(row.number)}
                >
                  Restore
                </Action>
              ),
          },
        ]}
      />
    </Panel>
  );
}
