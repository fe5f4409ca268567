// Triggers in words: what is watched, and what is done then.

import type { Schema } from "../api/client";
import { count, millis, ppm } from "../parts/words";
import { told } from "./gate";
import { load } from "./words";

export type Trigger = Schema<"Trigger">;
export type Spec = Schema<"TriggerSpec">;
export type Act = Schema<"TriggerAction">;
export type Firing = Schema<"Firing">;

/** What is watched, in words. */
export function when(spec: Spec): string {
  const what =
    "is" in spec.when
      ? told(spec.when.is, "any")
      : "worse" in spec.when
        ? "worse answers to the same events"
        : `${ppm(spec.when.burns.budget_ppm)} of what ${ppm(spec.when.burns.objective_ppm)} over ${millis(spec.when.burns.period_ms)} leaves is spent`;
  const of = spec.variant ? `, of ${spec.variant}` : "";
  const over = spec.window_ms ? `, within ${millis(spec.window_ms)}` : ", in a replay";
  return `${what}${of}${over}`;
}

/** What is done, in words. */
export function act(of: Act): string {
  switch (of.kind) {
    case "webhook":
      return `tell ${of.url}`;
    case "email":
      return `tell ${of.to}`;
    case "revert":
      return "use the variants as before";
    case "out":
      return "put the variant into test";
    case "retrain":
      return "train the model anew";
    case "deploy": {
      const share = of.share_bp ? ` with ${ppm(of.share_bp * 100)}` : "";
      const lasting = of.for_ms ? ` for ${millis(of.for_ms)}` : "";
      return `use ${of.variant} in mode ${of.mode}${share}${lasting}`;
    }
    case "replay":
      return `replay ${of.stream} to ${(of.variants ?? []).join(", ") || "all variants"}`;
    case "change": {
      const how = [
        of.load && load(of.load),
        of.times_milli && `${of.times_milli / 1_000} times as fast`,
        of.for_ms && `for ${millis(of.for_ms)}`,
        of.events && `for ${count(of.events)} events`,
      ];
      return `send the replay anew: ${how.filter(Boolean).join(", ")}`;
    }
  }
}

/** What came of an action, in words. */
export function did(of: Schema<"TriggerDid">): string {
  const words = of.words || act(of.action);
  if (of.outcome === "done") return words;
  return of.outcome === "waiting" ? `not yet: ${words}` : `not done: ${words}`;
}
