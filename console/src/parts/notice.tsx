// What a page says besides what it shows: what went wrong, that something is done, that it waits.

import type { ComponentChildren } from "preact";

import type { Problem } from "../api/client";
import type { Loaded } from "../load";

/** A problem: what happened, and what can be done. Read out when it comes. */
export function Trouble({ problem, again }: { problem: Problem; again?: () => void }) {
  return (
    <div class="notice bad" role="alert">
      <strong>{problem.message}</strong>
      {problem.hint && <p>{problem.hint}</p>}
      {(problem.code || problem.requestId) && (
        <p class="faint small">
          {problem.code && <code>{problem.code}</code>}{" "}
          {problem.requestId && <>request {problem.requestId}</>}
        </p>
      )}
      {again && (
        <p>
          <button type="button" onClick={again}>
            Try again
          </button>
        </p>
      )}
    </div>
  );
}

/** What was loaded, or why not yet. */
export function Shown<T>({
  of,
  children,
}: {
  of: Loaded<T>;
  children: (data: T) => ComponentChildren;
}) {
  return (
    <>
      {of.problem && <Trouble problem={of.problem} again={of.again} />}
      {of.data !== undefined ? (
        children(of.data)
      ) : of.problem ? null : (
        <p class="faint" role="status">
          Loading…
        </p>
      )}
    </>
  );
}
