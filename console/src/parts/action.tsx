// Actions: buttons that change something, which say what came of it; those that cannot be taken back
// by the same button ask once more.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { type Problem, problemOf } from "../api/client";
import { Trouble } from "./notice";

interface ActionProps {
  readonly children: ComponentChildren;
  readonly act: () => Promise<unknown>;
  /** What is asked before; nothing where absent. */
  readonly sure?: string;
  readonly mood?: "main" | "bad";
  readonly disabled?: boolean;
}

/** A button that acts. */
export function Action({ children, act, sure, mood, disabled }: ActionProps) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const asked = useRef<HTMLDialogElement>(null);
  const there = useRef(true);
  useEffect(() => () => void (there.current = false), []);
  const go = async () => {
    asked.current?.close();
    setBusy(true);
    setProblem(undefined);
    try {
      await act();
    } catch (cause) {
      if (there.current) setProblem(problemOf(cause));
    } finally {
      if (there.current) setBusy(false);
    }
  };
  return (
    <>
      <button
        type="button"
        class={mood}
        disabled={busy || disabled}
        onClick={() => (sure ? asked.current?.showModal() : void go())}
      >
        {children}
      </button>
      {sure && (
        <dialog ref={asked} class="panel" aria-label={sure}>
          <p>{sure}</p>
          <div class="row">
            <button type="button" class={mood ?? "main"} onClick={() => void go()}>
              {children}
            </button>
            <button type="button" onClick={() => asked.current?.close()}>
              Not now
            </button>
          </div>
        </dialog>
      )}
      {problem && <Trouble problem={problem} />}
    </>
  );
}
