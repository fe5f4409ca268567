// One run, as it is sent and afterwards: whether it may be believed, each variant's figures beside
// the others', how rates and times went, and the records behind them.

import { api, need, type Schema } from "../api/client";
import { useLoad } from "../load";
import { Action } from "../parts/action";
import { Shown } from "../parts/notice";
import { Facts, Heading, Panel, Side } from "../parts/page";
import { Time } from "../parts/time";
import { count, millis, ppm } from "../parts/words";
import { to } from "../router";
import { Comparison } from "../runs/compared";
import { Predictions } from "../runs/confusion";
import { Course } from "../runs/course";
import { nanos } from "../runs/figures";
import { Live } from "../runs/live";
import { Records, setter } from "../runs/records";
import type { Pairs, RunOutcome } from "../runs/told";
import { lasting, load, selection, short } from "../runs/words";
import { PromoteByGate } from "./gate";
import { RunState } from "./runs";

/** How often a run that goes on is asked for again. */
const EVERY_MS = 1_000;

/** The page; the query says which records are shown. */
export function RunPage({ id, query }: { id: string; query: URLSearchParams }) {
  const path = { params: { path: { run: id } } };
  const run = useLoad(
    `run ${id}`,
    (signal) => need(api.GET("/v1/runs/{run}", { ...path, signal })),
    (it) => (it && ended(it.state) ? undefined : EVERY_MS),
  );
  const stop = async () => {
    await need(api.POST("/v1/runs/{run}/stop", path));
    run.again();
  };
  const going = run.data !== undefined && !ended(run.data.state);
  return (
    <>
      <Heading title={`Run ${short(id)}`} above={["Runs", to(["runs"])]}>
        {run.data && <RunState of={run.data} />}
        {going && (
          <div class="aside">
            <Action act={stop} mood="bad" disabled={run.data?.stop_wanted ?? false}>
              Stop
            </Action>
          </div>
        )}
      </Heading>
      <Shown of={run}>
        {(it) => {
          const { progress, outcome } = it;
          const variants = outcome?.variants ?? progress?.variants ?? [];
          // What is in production needs no gate.
          const first = it.spec.variants?.[0];
          return (
            <>
              {it.error && <div class="notice bad">{it.error}</div>}
              {outcome && <Verdict of={outcome} />}
              <About of={it} />
              {going && progress && <Live key={id} progress={progress} />}
              {outcome && <Course run={id} query={query} set={setter({ run: id, query })} />}
              {variants.length > 0 && (
                <Panel title="Variants">
                  <Comparison of={variants.map((variant) => ({ name: variant.name, variant }))} />
                </Panel>
              )}
              <Predictions of={variants} />
              <PairsPanel
                of={outcome?.pairs ?? progress?.pairs ?? []}
                names={variants.map((variant) => variant.name)}
              />
              {outcome && first && (
                <PromoteByGate run={id} endpoint={it.spec.endpoint} variant={first} />
              )}
              {outcome && <Sending of={outcome} />}
              {outcome && (
                <Records
                  run={id}
                  query={query}
                  variants={variants.map((variant) => variant.name)}
                />
              )}
            </>
          );
        }}
      </Shown>
    </>
  );
}

/** Whether nothing of a run changes any more. */
function ended(state: Schema<"RunState">): boolean {
  return state !== "waiting" && state !== "running";
}

function Verdict({ of }: { of: RunOutcome }) {
  return (
    <div class={`notice ${of.valid ? "good" : "bad"}`}>
      <strong>
        {of.valid
          ? "Valid: what it shows may be believed."
          : "Invalid: it shows nothing for certain."}
      </strong>
      {of.reasons.map((reason) => (
        <p key={reason}>{reason}</p>
      ))}
      {of.disclosed.map((what) => (
        <p key={what} class="faint">
          To be known: {what}
        </p>
      ))}
    </div>
  );
}

function About({ of }: { of: Schema<"Run"> }) {
  const { spec } = of;
  return (
    <Panel title="What is sent">
      <Facts
        of={{
          Endpoint: <a href={to(["endpoints", spec.endpoint])}>{spec.endpoint}</a>,
          Variants: (spec.variants ?? []).join(", ") || "what is in production",
          Stream: <a href={to(["streams", spec.stream])}>{spec.stream}</a>,
          Events: selection(spec.selection),
          When: load(spec.load),
          "For how long": lasting(spec),
          "Kept apart by": (spec.group_by ?? []).join(", "),
          "What is late": { burst: "sent at once", window: "sent within 10 ms", skip: "left out" }[
            spec.catch_up ?? "burst"
          ],
          Seed: seed(spec.seed),
          Follows: of.follows && (
            <>
              <a href={to(["runs", of.follows.run])}>{short(of.follows.run)}</a>, by the trigger{" "}
              {of.follows.trigger}; change {of.follows.changes} in a row
            </>
          ),
          Made: <Time at={of.created_at_ms} />,
          Ended: of.ended_at_ms ? <Time at={of.ended_at_ms} /> : undefined,
        }}
      />
    </Panel>
  );
}

/** A seed; browsers round numbers of more digits than these, and a rounded one is another seed. */
function seed(of: number | null | undefined): string | undefined {
  if (of === undefined || of === null) return undefined;
  return Number.isSafeInteger(of) ? String(of) : "told by freehold runs show";
}

function PairsPanel({ of, names }: { of: readonly Pairs[]; names: readonly string[] }) {
  if (of.length === 0) return null;
  return (
    <Side>
      {of.map((pairs, at) => (
        <Panel
          key={at}
          title={`${names[0] ?? "the first"} against ${names[at + 1] ?? "another"}, event by event`}
        >
          <Facts
            of={{
              "Said the same": count(pairs.same),
              "Said another": count(pairs.differ),
              "Both right": count(pairs.both_right),
              [`Only ${names[0] ?? "the first"} right`]: count(pairs.first_right),
              [`Only ${names[at + 1] ?? "the other"} right`]: count(pairs.other_right),
              "Both wrong": count(pairs.both_wrong),
              "Left out": count(pairs.left_out),
            }}
          />
        </Panel>
      ))}
    </Side>
  );
}

function Sending({ of: { facts, schedule, durability_ppm } }: { of: RunOutcome }) {
  const rate = (requests: number, ns: number) =>
    ns > 0 ? `${count(Math.round((requests * 1e11) / ns) / 100)} per second` : undefined;
  return (
    <Panel title="How well it was sent">
      <Facts
        of={{
          Wanted: `${count(facts.asked)} requests`,
          "Wanted rate": rate(facts.asked, facts.asked_ns),
          Sent: count(facts.sent),
          "Rate that was reached": rate(facts.sent, facts.took_ns),
          Took: millis(facts.took_ns / 1e6),
          "Late, 99 %": nanos(facts.lag_p99_ns),
          "Left out as late": count(facts.skipped),
          "Left out, too many under way": count(facts.dropped),
          Lost: count(facts.lost),
          "Accounted for":
            durability_ppm === undefined || durability_ppm === null
              ? undefined
              : ppm(durability_ppm),
          "Sender's processors in use": `${facts.busy_milli / 10} %`,
          "Events that count": count(facts.events),
          "Events read": count(schedule.events),
          "Not sent": count(schedule.omitted),
          Repeated: count(schedule.duplicates),
          Digest: <code title={schedule.digest}>{schedule.digest.slice(0, 16)}…</code>,
        }}
      />
    </Panel>
  );
}
