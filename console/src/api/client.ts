// The API, by the types that its description says; what fails is a problem with words for people.
//
// Always true: every request but the one of signing in carries the session's token; an answer that
// the token is not good ends the session.

import createClient, { type Middleware } from "openapi-fetch";

import { leave, token } from "../session";
import type { components, paths } from "./schema";

/** A type of the API's description, by its name. */
export type Schema<Name extends keyof components["schemas"]> = components["schemas"][Name];

/** Why something was not answered, in words for people. */
export class Problem extends Error {
  constructor(
    title: string,
    readonly hint: string | undefined,
    readonly code: string,
    readonly status: number,
    readonly requestId: string | undefined,
  ) {
    super(title);
  }
}

/** What was caught, as a problem. */
export function problemOf(cause: unknown): Problem {
  if (cause instanceof Problem) return cause;
  const words = cause instanceof Error ? cause.message : String(cause);
  return new Problem(words, undefined, "", 0, undefined);
}

const authorized: Middleware = {
  onRequest({ request }) {
    const known = token.get();
    if (known && !request.headers.has("authorization"))
      request.headers.set("authorization", `Bearer ${known}`);
    return request;
  },
  onResponse({ request, response }) {
    const asked = request.headers.get("authorization");
    if (response.status === 401 && asked === `Bearer ${token.get()}`) leave(true);
    return undefined;
  },
};

/** The client. Its paths, parameters and answers are those of the description. */
export const api = createClient<paths>({ baseUrl: location.origin });
api.use(authorized);

/** What openapi-fetch answers with, one of both being there. */
interface Answer<T> {
  readonly data?: T;
  readonly error?: unknown;
  readonly response: Response;
}

/** The answer; throws a [`Problem`] where there is none. */
export async function need<T>(asked: Promise<Answer<T>>): Promise<NonNullable<T>> {
  const answer = await reached(asked);
  if (answer.data !== undefined && answer.data !== null) return answer.data;
  throw problem(answer.error, answer.response);
}

/** What was asked for was done, and has no answer; throws a [`Problem`] where it was not. */
export async function done(asked: Promise<Answer<unknown>>): Promise<void> {
  const answer = await reached(asked);
  if (!answer.response.ok) throw problem(answer.error, answer.response);
}

async function reached<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    const hint = "Is it running? Try again in a moment.";
    throw new Problem("The cloud does not answer.", hint, "unreachable", 0, undefined);
  }
}

function problem(error: unknown, response: Response): Problem {
  const told = (typeof error === "object" && error !== null ? error : {}) as Partial<
    Schema<"Problem">
  >;
  const title = told.title ?? `The cloud answered with status ${response.status}.`;
  const id = told.request_id ?? response.headers.get("x-request-id") ?? undefined;
  return new Problem(title, told.hint ?? undefined, told.code ?? "", response.status, id);
}
