// Sharing: who may use something, and a form that changes it.

import { useState } from "preact/hooks";

import { type Problem, problemOf, type Schema } from "../api/client";
import { Trouble } from "./notice";

type Sharing = Schema<"Sharing">;

/** Who may use it, in words. */
export function shared(sharing: Sharing): string {
  if (sharing.with === "accounts") return sharing.accounts.join(", ");
  return sharing.with === "everybody" ? "everybody" : "this account only";
}

interface SharingProps {
  readonly sharing: Sharing;
  /** What everybody means here. */
  readonly everybody: string;
  /** Changes it; what it is afterwards is loaded by whoever asked. */
  readonly change: (sharing: Sharing) => Promise<unknown>;
}

/** The form. */
export function SharingForm({ sharing, everybody, change }: SharingProps) {
  const [choice, setChoice] = useState(sharing.with);
  const [accounts, setAccounts] = useState(
    sharing.with === "accounts" ? sharing.accounts.join(", ") : "",
  );
  const [busy, setBusy] = useState(false);
  const [outcome, setOutcome] = useState<Problem | "done">();
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setOutcome(undefined);
    const names = accounts.split(/[\s,]+/).filter(Boolean);
    try {
      await change(choice === "accounts" ? { with: choice, accounts: names } : { with: choice });
      setOutcome("done");
    } catch (cause) {
      setOutcome(problemOf(cause));
    } finally {
      setBusy(false);
    }
  };
  const radio = (value: Sharing["with"], text: string) => (
    <label class="choice">
      <input
        type="radio"
        name="with"
        value={value}
        checked={choice === value}
        onChange={() => setChoice(value)}
      />
      {text}
    </label>
  );
  return (
    <form class="form" onSubmit={submit}>
      <fieldset>
        <legend class="faint small">Who may use it</legend>
        {radio("nobody", "This account only")}
        {radio("accounts", "These accounts")}
        {radio("everybody", everybody)}
      </fieldset>
      {choice === "accounts" && (
        <label>
          Accounts, with commas between them
          <input
            value={accounts}
            onInput={(event) => setAccounts(event.currentTarget.value)}
            required
          />
        </label>
      )}
      <button type="submit" disabled={busy}>
        Change sharing
      </button>
      <div role="status">{outcome === "done" && "Changed."}</div>
      {outcome && outcome !== "done" && <Trouble problem={outcome} />}
    </form>
  );
}
