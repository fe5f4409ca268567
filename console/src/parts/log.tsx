// A log as it is written: the lines that are there, and each new one as it comes.
//
// Always true: of the lines the newest are kept, so many and no more; the reader who has scrolled up
// is left there.

import { useEffect, useRef, useState } from "preact/hooks";

import { type Problem, problemOf, type Schema } from "../api/client";
import { useCell } from "../cell";
import { Trouble } from "./notice";
import { clock, time } from "./words";
import { zone } from "../zone";

/** Most lines that are kept: what a browser draws at once. */
const LINES_MAX = 2_000;
/** How long an answer waits for a line: half of the API's longest, which some proxies cut. */
const WAIT_MS = 15_000;
/** Between two tries where the cloud does not answer. */
const RETRY_MS = 2_000;

type Line = Schema<"LogLine">;

interface LogProps {
  readonly label: string;
  /** What tells this log from others. */
  readonly of: string;
  /** Asks for the lines after a number. */
  readonly ask: (
    asked: { after: number; wait_ms: number },
    signal: AbortSignal,
  ) => Promise<Schema<"Log">>;
}

/** A log that is followed while the page is there. */
export function Log({ label, of, ask }: LogProps) {
  const [lines, setLines] = useState<readonly Line[]>();
  const [problem, setProblem] = useState<Problem>();
  const place = useRef<HTMLOListElement>(null);
  const shown = useCell(zone);
  useEffect(() => {
    const ended = new AbortController();
    setLines(undefined);
    void follow(ended.signal, ask, {
      add: (more) => setLines((it) => [...(it ?? []), ...more].slice(-LINES_MAX)),
      fail: setProblem,
    });
    return () => ended.abort();
    // What is asked follows from `of` alone.
  }, [of]);
  useEffect(() => {
    const box = place.current;
    if (box && box.scrollHeight - box.scrollTop - box.clientHeight < 120)
      box.scrollTop = box.scrollHeight;
  }, [lines]);
  return (
    <>
      {problem && <Trouble problem={problem} />}
      {lines === undefined ? (
        !problem && <p class="faint">Loading…</p>
      ) : lines.length === 0 ? (
        <p class="faint">Nothing was written yet.</p>
      ) : (
        <ol class="text mono log" ref={place} tabIndex={0} aria-label={label}>
          {lines.map((line) => (
            <li key={line.seq}>
              <time class="faint" title={`${time(line.at_ms, shown)} ${shown}`}>
                {clock(line.at_ms, shown)}
              </time>
              <span class="faint">{line.source}</span>
              <span class={line.level}>
                {line.level !== "info" && `${line.level}: `}
                {line.text}
              </span>
            </li>
          ))}
        </ol>
      )}
    </>
  );
}

interface Reader {
  readonly add: (lines: readonly Line[]) => void;
  readonly fail: (problem: Problem | undefined) => void;
}

async function follow(signal: AbortSignal, ask: LogProps["ask"], reader: Reader): Promise<void> {
  let after = 0;
  // The first answer does not wait, so that an empty log is known to be empty.
  let wait_ms = 0;
  while (!signal.aborted) {
    try {
      const log = await ask({ after, wait_ms }, signal);
      if (signal.aborted) return;
      reader.fail(undefined);
      reader.add(log.lines);
      if (log.ended) return;
      after = log.lines.at(-1)?.seq ?? after;
      wait_ms = WAIT_MS;
    } catch (cause) {
      if (signal.aborted) return;
      reader.fail(problemOf(cause));
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}
