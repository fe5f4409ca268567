// The capture of an endpoint: which live requests are kept as events of a stream, and what became of
// them.

import { useState } from "preact/hooks";

import { api, done, need, Problem, type Schema } from "../api/client";
import { useLoad } from "../load";
import { Action } from "../parts/action";
import { Shown } from "../parts/notice";
import { Facts, Panel } from "../parts/page";
import { Time } from "../parts/time";
import { count, ppm } from "../parts/words";
import { to } from "../router";

type Spec = Schema<"CaptureSpec">;
type What = Schema<"Captured">;

/** How often it is asked for again: gateways tell what they counted every second. */
const EVERY_MS = 3_000;
/** All of the keys, in ten-thousandths. */
const WHOLE_BP = 10_000;

/** What is kept of a request, in words. */
const WHAT: Readonly<Record<What, string>> = {
  both: "requests and answers",
  requests: "requests",
  answers: "answers, which cannot be replayed",
};

/** The capture, where there is one, and changing it. */
export function Capture({ endpoint }: { endpoint: string }) {
  const path = { params: { path: { name: endpoint } } };
  const capture = useLoad(
    `capture of ${endpoint}`,
    async (signal) => {
      try {
        return await need(api.GET("/v1/endpoints/{name}/capture", { ...path, signal }));
      } catch (cause) {
        if (cause instanceof Problem && cause.status === 404) return "none" as const;
        throw cause;
      }
    },
    EVERY_MS,
  );
  const put = async (body: Spec) => {
    await need(api.PUT("/v1/endpoints/{name}/capture", { ...path, body }));
    capture.again();
  };
  const remove = async () => {
    await done(api.DELETE("/v1/endpoints/{name}/capture", path));
    capture.again();
  };
  return (
    <Panel title="Live requests as events">
      <Shown of={capture}>
        {(it) => (
          <>
            {it === "none" ? <p class="faint">None is kept.</p> : <Kept of={it} remove={remove} />}
            <Form
              key={it === "none" ? "none" : it.changed_at_ms}
              now={it === "none" ? undefined : it.spec}
              put={put}
            />
          </>
        )}
      </Shown>
    </Panel>
  );
}

interface KeptProps {
  readonly of: Schema<"Capture">;
  readonly remove: () => Promise<unknown>;
}

function Kept({ of, remove }: KeptProps) {
  const { spec } = of;
  // What never happened is not told.
  const lost = (number: number) => (number > 0 ? count(number) : undefined);
  return (
    <>
      <Facts
        of={{
          "Into the stream": <a href={to(["streams", spec.stream])}>{spec.stream}</a>,
          Keeps: WHAT[spec.what ?? "both"],
          Of: spec.share_bp === WHOLE_BP ? "all" : `${ppm((spec.share_bp ?? 0) * 100)} of the keys`,
          "Key in the header": spec.key,
          Kept: count(of.kept),
          "Not kept, as too many waited for the disk": lost(of.no_room),
          "Not kept, as another gateway holds the stream": lost(of.elsewhere),
          "Not taken by the stream": lost(of.failed),
          Set: <Time at={of.changed_at_ms} />,
        }}
      />
      <Action mood="bad" sure="Keep no more requests? What was kept stays." act={remove}>
        Keep no more
      </Action>
    </>
  );
}

interface FormProps {
  readonly now: Spec | undefined;
  readonly put: (spec: Spec) => Promise<unknown>;
}

function Form({ now, put }: FormProps) {
  const [stream, setStream] = useState(now?.stream ?? "");
  const [what, setWhat] = useState<What>(now?.what ?? "both");
  const [share, setShare] = useState(String((now?.share_bp ?? WHOLE_BP) / 100));
  const [key, setKey] = useState(now?.key ?? "");
  const spec: Spec = {
    stream,
    what,
    share_bp: Math.round(Number(share) * 100),
    ...(key && { key }),
  };
  return (
    <form
      class="row"
      aria-label="Keep live requests as events"
      onSubmit={(event) => event.preventDefault()}
    >
      <label>
        Into the stream
        <input value={stream} onInput={(event) => setStream(event.currentTarget.value)} />
      </label>
      <label>
        Of each request
        <select value={what} onChange={(event) => setWhat(event.currentTarget.value as What)}>
          {Object.entries(WHAT).map(([word, words]) => (
            <option key={word} value={word}>
              {words}
            </option>
          ))}
        </select>
      </label>
      <label>
        Part of the keys, in percent
        <input
          type="number"
          min="0.01"
          max="100"
          step="0.01"
          value={share}
          onInput={(event) => setShare(event.currentTarget.value)}
        />
      </label>
      <label>
        Key in this header
        <input
          value={key}
          placeholder="freehold-key"
          onInput={(event) => setKey(event.currentTarget.value)}
        />
      </label>
      <Action disabled={stream === "" || share === ""} act={() => put(spec)}>
        {now ? "Change what is kept" : "Keep requests"}
      </Action>
    </form>
  );
}
