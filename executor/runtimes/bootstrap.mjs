// Runs a Node.js function: loads its handler, then asks the Runtime API for work for ever.
//
// Nothing but Node.js's own modules. One call at a time; what the handler writes goes to the
// instance's log.

import http from "node:http";
import { createRequire } from "node:module";
import { existsSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const root = process.env.LAMBDA_TASK_ROOT ?? "/var/task";

/** Makes a call of the Runtime API, and gives its headers and body. */
function call(method, at, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const options = { host, port, agent, method, path: `/2018-06-01/runtime${at}`, headers };
    const request = http.request(options, (answer) => {
      const pieces = [];
      answer.on("data", (piece) => pieces.push(piece));
      answer.on("end", () => {
        resolve({ headers: answer.headers, body: Buffer.concat(pieces).toString() });
      });
      answer.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

/** Tells an error with its stack. */
async function fail(at, error) {
  const known = error instanceof Error;
  const errorType = known ? error.name : typeof error;
  const errorMessage = known ? error.message : String(error);
  const trace = known && error.stack ? error.stack.split("\n") : [];
  console.error(`[ERROR] ${errorType}: ${errorMessage}`);
  const plain = errorType.replace(/[^A-Za-z]/g, "") || "Error";
  const kind = `Function.${plain[0].toUpperCase()}${plain.slice(1)}`;
  const body = JSON.stringify({ errorType, errorMessage, trace });
  await call("POST", at, body, { "Lambda-Runtime-Function-Error-Type": kind });
}

/** The handler, from its name `module.function`; folders may stand before it as in a path. */
async function load() {
  const name = process.env._HANDLER ?? "";
  const dot = name.lastIndexOf(".");
  if (dot < 1) {
    throw new Error(`the handler ${JSON.stringify(name)} is not of the form module.function`);
  }
  const file = path.join(root, name.slice(0, dot));
  const found = [".mjs", ".js", ".cjs"].map((end) => file + end).find((it) => existsSync(it));
  if (found === undefined) {
    throw new Error(`there is no module ${name.slice(0, dot)}: neither .mjs, .js nor .cjs`);
  }
  const loaded = found.endsWith(".mjs")
    ? await import(pathToFileURL(found).href)
    : await modules(found);
  const handler = loaded[name.slice(dot + 1)] ?? loaded.default?.[name.slice(dot + 1)];
  if (typeof handler !== "function") {
    throw new Error(`the module ${found} exports no function ${name.slice(dot + 1)}`);
  }
  return handler;
}

/** A module of either kind, as its package.json says. */
async function modules(file) {
  try {
    return createRequire(file)(file);
  } catch (error) {
    if (error?.code !== "ERR_REQUIRE_ESM" && !(error instanceof SyntaxError)) throw error;
    return import(pathToFileURL(file).href);
  }
}

/** What a handler is told about its call. */
function context(headers, done) {
  const deadline = Number(headers["lambda-runtime-deadline-ms"] ?? 0);
  const said = headers["lambda-runtime-client-context"];
  return {
    awsRequestId: headers["lambda-runtime-aws-request-id"],
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: said ? JSON.parse(said) : undefined,
    identity: undefined,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
    done,
    succeed: (value) => done(null, value),
    fail: (error) => done(error ?? new Error("failed")),
  };
}

/** Runs the handler, whether it calls back or gives a promise. */
function run(handler, event, headers) {
  return new Promise((resolve, reject) => {
    const done = (error, value) => (error ? reject(error) : resolve(value));
    const value = handler(event, context(headers, done), done);
    if (typeof value?.then === "function") {
      value.then(resolve, reject);
    } else if (handler.length < 3 && value !== undefined) {
      resolve(value);
    }
  });
}

let handler;
try {
  handler = await load();
} catch (error) {
  await fail("/init/error", error);
  process.exit(1);
}
for (;;) {
  const { headers, body } = await call("GET", "/invocation/next");
  const id = headers["lambda-runtime-aws-request-id"];
  process.env._X_AMZN_TRACE_ID = headers["lambda-runtime-trace-id"] ?? "";
  try {
    const value = await run(handler, body ? JSON.parse(body) : null, headers);
    const answer = JSON.stringify(value === undefined ? null : value);
    await call("POST", `/invocation/${id}/response`, answer, { "Content-Type": "application/json" });
  } catch (error) {
    await fail(`/invocation/${id}/error`, error);
  }
}
