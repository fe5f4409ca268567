// Loading: what a page shows, asked for once or again and again while somebody looks.
//
// Always true: an answer that comes after the page has gone on is dropped; nothing is asked again
// while the page is hidden; a later failure leaves what is there, and says so.

import { useCallback, useEffect, useState } from "preact/hooks";

import { type Problem, problemOf } from "./api/client";

/** What has come so far. */
export interface Loaded<T> {
  readonly data?: T;
  readonly problem?: Problem;
  /** Asks again now. */
  readonly again: () => void;
}

/**
 * Asks for what `key` names; and again, every so many milliseconds, where that is said. What came
 * last may say it: none ends the asking.
 */
export function useLoad<T>(
  key: string,
  ask: (signal: AbortSignal) => Promise<T>,
  every?: number | ((data: T | undefined) => number | undefined),
): Loaded<T> {
  const [state, setState] = useState<{ key: string; data?: T; problem?: Problem }>({ key });
  const [round, setRound] = useState(0);
  const again = useCallback(() => setRound((it) => it + 1), []);
  useEffect(() => {
    const ended = new AbortController();
    let timer: number | undefined;
    let last: T | undefined;
    const later = () => {
      const waitMs = typeof every === "function" ? every(last) : every;
      if (waitMs && !ended.signal.aborted) timer = window.setTimeout(load, waitMs);
    };
    const load = (first = false) => {
      if (document.hidden && !first) return later();
      ask(ended.signal).then(
        (data) => {
          last = data;
          if (!ended.signal.aborted) setState({ key, data });
          later();
        },
        (cause: unknown) => {
          if (ended.signal.aborted) return;
          const problem = problemOf(cause);
          setState((it) => ({ ...(it.key === key ? it : { key }), problem }));
          later();
        },
      );
    };
    load(true);
    return () => {
      ended.abort();
      clearTimeout(timer);
    };
    // What is asked, and how often, follows from the key alone.
  }, [key, round]);
  // Nothing of another key is shown, not even until the next answer.
  return state.key === key ? { ...state, again } : { again };
}
