// Runs a Node.js function: loads its handler, then asks the Runtime API for work for ever.
//
// Nothing but Node.js's own modules. As many calls at a time as the instance may have, all in one
// process; what the handler writes goes to the instance's log. A handler that went through `awslambda.streamifyResponse` answers in pieces, each
// sent as it is made.

import { once } from "node:events";
import http from "node:http";
import { createRequire } from "node:module";
import { existsSync } from "node:fs";
import path from "node:path";
import { PassThrough } from "node:stream";
import { pathToFileURL } from "node:url";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const concurrency = Number(process.env.AWS_LAMBDA_MAX_CONCURRENCY ?? "1");
// A call uses one at a time.
const agent = new http.Agent({ keepAlive: true, maxSockets: concurrency });
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

/** The kind of an error, and what is told of it; the log gets it too. */
function tell(error) {
  const known = error instanceof Error;
  const errorType = known ? error.name : typeof error;
  const errorMessage = known ? error.message : String(error);
  const trace = known && error.stack ? error.stack.split("\n") : [];
  console.error(`[ERROR] ${errorType}: ${errorMessage}`);
  const plain = errorType.replace(/[^A-Za-z]/g, "") || "Error";
  const kind = `Function.${plain[0].toUpperCase()}${plain.slice(1)}`;
  return { kind, told: { errorType, errorMessage, trace } };
}

/** Tells an error with its stack. */
async function fail(at, error) {
  const { kind, told } = tell(error);
  await call("POST", at, JSON.stringify(told), { "Lambda-Runtime-Function-Error-Type": kind });
}

const STREAMS = Symbol("answers in pieces");
// Most bytes of an error that stands behind an answer in pieces, as headers do; one that is longer is
// told without its stack.
const TRAILER_BYTES_MAX = 8192;

globalThis.awslambda = {
  /** Marks a handler of (event, stream, context). */
  streamifyResponse(handler) {
    handler[STREAMS] = true;
    return handler;
  },
  HttpResponseStream: {
    /** Says before all pieces what becomes of an HTTP answer: status, headers, cookies. */
    from(stream, prelude) {
      stream.setContentType("application/vnd.awslambda.http-integration-response");
      stream.write(JSON.stringify(prelude) + "\0".repeat(8));
      return stream;
    },
  },
};

/** Begins an answer in pieces; gives the request, and a promise of its answer. */
function begin(id, contentType) {
  const headers = {
    "Content-Type": contentType,
    "Lambda-Runtime-Function-Response-Mode": "streaming",
    "Transfer-Encoding": "chunked",
    Trailer: "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
  };
  const at = `/2018-06-01/runtime/invocation/${id}/response`;
  const request = http.request({ host, port, agent, method: "POST", path: at, headers });
  const answered = new Promise((resolve, reject) => {
    request.on("error", reject);
    request.on("response", (answer) => answer.resume().on("end", resolve));
  });
  return { request, answered };
}

/** Sends what is written into a stream; then what failed, where something did. */
async function send(id, stream, failure) {
  let begun;
  for await (const piece of stream) {
    begun ??= begin(id, stream.contentType);
    if (!begun.request.write(piece)) await once(begun.request, "drain");
  }
  const error = failure();
  if (error !== undefined && begun === undefined) {
    return fail(`/invocation/${id}/error`, error);
  }
  begun ??= begin(id, stream.contentType);
  if (error !== undefined) {
    const { kind, told } = tell(error);
    const whole = Buffer.from(JSON.stringify(told)).toString("base64");
    const brief = { ...told, errorMessage: told.errorMessage.slice(0, 1024), trace: [] };
    const body = Buffer.from(JSON.stringify(brief)).toString("base64");
    begun.request.addTrailers({
      "Lambda-Runtime-Function-Error-Type": kind,
      "Lambda-Runtime-Function-Error-Body": whole.length > TRAILER_BYTES_MAX ? body : whole,
    });
  }
  begun.request.end();
  return begun.answered;
}

/** Runs a handler that answers in pieces. */
async function stream(handler, event, headers) {
  const pieces = new PassThrough();
  pieces.contentType = "application/octet-stream";
  pieces.setContentType = (contentType) => (pieces.contentType = contentType);
  let failure;
  const id = headers["lambda-runtime-aws-request-id"];
  const sent = send(id, pieces, () => failure);
  try {
    await handler(event, pieces, context(headers, () => {}));
  } catch (error) {
    failure = error ?? new Error("failed");
  }
  if (!pieces.writableEnded) pieces.end();
  await sent;
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

/** Runs call after call. */
async function work() {
  for (;;) {
    const { headers, body } = await call("GET", "/invocation/next");
    const id = headers["lambda-runtime-aws-request-id"];
    // Of several calls in one process none may say what the variable is.
    if (concurrency === 1) process.env._X_AMZN_TRACE_ID = headers["lambda-runtime-trace-id"] ?? "";
    try {
      const event = body ? JSON.parse(body) : null;
      if (handler[STREAMS]) {
        await stream(handler, event, headers);
        continue;
      }
      const value = await run(handler, event, headers);
      const answer = JSON.stringify(value === undefined ? null : value);
      const headed = { "Content-Type": "application/json" };
      await call("POST", `/invocation/${id}/response`, answer, headed);
    } catch (error) {
      await fail(`/invocation/${id}/error`, error);
    }
  }
}

await Promise.all(Array.from({ length: concurrency }, work));
