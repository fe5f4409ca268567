// The cloud of the tests: `freehold demo --stay`, in a folder and on ports of its own, with what the
// demo makes and a function.

import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { makeReplays } from "./replays";

/** Longest time for the demo: two seconds, with room for a busy machine. */
const DEMO_MS = 120_000;

/** The program that is tested. */
const PROGRAM = join(process.env.FREEHOLD_TEST_BIN ?? "", "freehold");

const GREET = `def handler(event, context):
    print("asked by", event.get("name"))
    return "hello " + event["name"]
`;

/** A page of a function's own, whose script looks for what the console keeps. */
const PAGE = `def handler(event, context):
    script = "try { document.title = 'found ' + sessionStorage.length } catch { document.title = 'kept out' }"
    return {"statusCode": 200, "headers": {"content-type": "text/html"}, "body": "<script>" + script + "</script>"}
`;

/** Starts it, tells the tests where it is by variables, and gives back what ends it. */
export default async function start(): Promise<() => Promise<void>> {
  if (!process.env.FREEHOLD_TEST_BIN)
    throw new Error("FREEHOLD_TEST_BIN is not set: run cargo xtask console --test");
  const folder = mkdtempSync(join(tmpdir(), "freehold-console-"));
  const child = spawn(PROGRAM, ["demo", "--stay", "--data", join(folder, "data")], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const stop = async () => {
    child.kill("SIGINT");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const [, server, token] = await told(
      child,
      /export FREEHOLD_SERVER=(\S+) FREEHOLD_TOKEN=(\S+)/,
    );
    const operator = readFileSync(join(folder, "data/operator.token"), "utf8").trim();
    Object.assign(process.env, { CLOUD: server, TOKEN: token, OPERATOR: operator });
    makeRest(folder);
  } catch (cause) {
    await stop();
    throw cause;
  }
  return stop;
}

/** What the program says that fits; it may say it on either stream. */
function told(child: ReturnType<typeof spawn>, wanted: RegExp): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    let said = "";
    const timer = setTimeout(
      () => reject(new Error(`the demo did not come to its end: ${said}`)),
      DEMO_MS,
    );
    const hear = (bytes: Buffer) => {
      said += bytes.toString();
      const found = wanted.exec(said);
      if (!found) return;
      clearTimeout(timer);
      resolve(found);
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the demo ended with ${code}: ${said}`)));
  });
}

/** A function with two versions, an alias between them, and a call; one with a URL; and replays. */
function makeRest(folder: string): void {
  const code = join(folder, "greet");
  mkdirSync(code);
  writeFileSync(join(code, "app.py"), GREET);
  const env = {
    ...process.env,
    FREEHOLD_SERVER: process.env.CLOUD,
    FREEHOLD_TOKEN: process.env.TOKEN,
  };
  const run = (...words: string[]) =>
    execFileSync(PROGRAM, words, { env, stdio: ["ignore", "pipe", "pipe"] }).toString();
  makeReplays(folder, run);
  run(
    "function",
    "create",
    "greet",
    "--code",
    code,
    "--runtime",
    "python3",
    "--handler",
    "app.handler",
  );
  run("function", "publish", "greet");
  run("function", "update", "greet", "--memory", "256");
  run("function", "publish", "greet");
  run("function", "alias", "create", "greet", "live", "--to", "1", "--other", "2=10");
  run("function", "invoke", "greet", '{"name": "you"}');
  const page = join(folder, "page");
  mkdirSync(page);
  writeFileSync(join(page, "app.py"), PAGE);
  run(
    "function",
    "create",
    "page",
    "--code",
    page,
    "--runtime",
    "python3",
    "--handler",
    "app.handler",
  );
  run("function", "url", "create", "page", "--auth", "none");
}
