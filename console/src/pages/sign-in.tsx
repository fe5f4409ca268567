// Signing in: a token is tried, and kept for this tab where it is good.

import { useEffect, useRef, useState } from "preact/hooks";

import { api, need, type Problem, problemOf } from "../api/client";
import { Mark } from "../console";
import { Trouble } from "../parts/notice";
import { BASE, go, to } from "../router";
import { enter } from "../session";

/** The page; `next` is where one wanted to go. */
export function SignInPage({ next }: { next: string | null }) {
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    document.title = "Sign in · Freehold";
    field.current?.focus();
  }, []);
  const submit = async (event: Event) => {
    event.preventDefault();
    const secret = text.trim();
    setBusy(true);
    setProblem(undefined);
    try {
      await need(api.GET("/v1/whoami", { headers: { authorization: `Bearer ${secret}` } }));
      enter(secret);
      // Only to a page of the console: the address may have been written by anybody.
      go(next?.startsWith(`${BASE}/`) ? next : to(["endpoints"]), true);
    } catch (cause) {
      const problem = problemOf(cause);
      const wrong = "The token is not valid: it is unknown, has ended, or was revoked.";
      setProblem(problem.status === 401 ? problemOf(wrong) : problem);
      setBusy(false);
      field.current?.select();
    }
  };
  return (
    <main class="sign-in">
      <div class="head">
        <Mark />
        <h1>Sign in to Freehold</h1>
      </div>
      <form class="panel form" onSubmit={submit}>
        {/* Browsers keep a password under a name. */}
        <input
          type="text"
          name="username"
          autocomplete="username"
          value="freehold"
          hidden
          readOnly
        />
        <label>
          Token
          <input
            ref={field}
            type="password"
            name="token"
            autocomplete="current-password"
            required
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
            aria-describedby="where"
          />
        </label>
        <button class="main" type="submit" disabled={busy}>
          Sign in
        </button>
        {problem && <Trouble problem={problem} />}
        <p id="where" class="faint small">
          An owner makes one with <code>freehold token create</code>. The first operator's is in the
          cloud's data folder, in <code>operator.token</code>. It is kept in this tab only.
        </p>
      </form>
    </main>
  );
}
