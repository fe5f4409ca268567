// What the tests of streams and runs need in the cloud: an endpoint of a function with two variants,
// a stream of labelled events of three regions, and two runs of it; a stream of three events that
// functions are fed from, and one that takes live requests.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Runs the command; gives what it printed. */
type Run = (...words: string[]) => string;

/** How many events there are, and what the runs send in a second: both take three seconds. */
export const EVENTS = 300;
const RATE = "100/s";

/** Its second version is right about large amounts only. */
const SCORE = (least: number) => `def handler(event, context):
    amount = event["amount"]
    return {"score": 0.9 if amount >= ${least} else 0.1}
`;

/** Makes them; the runs have ended then. */
export function makeReplays(folder: string, run: Run): void {
  const code = join(folder, "score");
  mkdirSync(code);
  const write = (least: number) => writeFileSync(join(code, "app.py"), SCORE(least));
  write(50);
  run(
    "function",
    "create",
    "score",
    "--code",
    code,
    "--runtime",
    "python3",
    "--handler",
    "app.handler",
  );
  run("function", "publish", "score");
  write(80);
  run("function", "update", "score", "--code", code);
  run("function", "publish", "score");
  run("deploy", "function:score:1", "--as", "judge");
  run("endpoint", "variant", "add", "judge", "next", "function:score:2");
  const events = join(folder, "payments.jsonl");
  writeFileSync(
    events,
    Array.from({ length: EVENTS }, (_, at) => JSON.stringify(event(at))).join("\n"),
  );
  run("stream", "create", "payments", "--description", "Payments of a shop");
  run("stream", "import", "payments", events);
  const ticks = join(folder, "ticks.jsonl");
  writeFileSync(ticks, [0, 1, 2].map((at) => JSON.stringify(event(at))).join("\n"));
  run("stream", "create", "ticks");
  run("stream", "import", "ticks", ticks);
  run("stream", "create", "asked");
  for (let time = 0; time < 2; time++) {
    run(
      "replay",
      "judge@next",
      "--against",
      "main",
      "--stream",
      "payments",
      "--rate",
      RATE,
      "--prediction",
      "/score",
      "--seed",
      "7",
    );
  }
}

/** A payment; a tenth of a second after the one before. */
function event(at: number): object {
  const amount = (at * 37) % 100;
  return {
    specversion: "1.0",
    id: String(at),
    source: "shop",
    type: "payment",
    time: new Date(Date.UTC(2026, 2, 1, 8) + at * 100).toISOString(),
    region: ["no", "de", "in"][at % 3],
    label: String(amount >= 50),
    data: { amount },
  };
}
