// States: a sign, a word and a colour, so that none of them has to be seen to understand.

/** How good a state is. */
export type Mood = "good" | "warn" | "bad" | "none";

const MOODS: Record<string, Mood> = {
  ready: "good",
  alive: "good",
  published: "good",
  succeeded: "good",
  starting: "warn",
  waiting: "warn",
  in_progress: "warn",
  failed: "bad",
  away: "bad",
  missing: "bad",
};

/** A state of something, in its own word. */
export function State({ word, mood = MOODS[word] ?? "none" }: { word: string; mood?: Mood }) {
  return (
    <span class={`state ${mood}`}>
      <Sign mood={mood} />
      {word.replaceAll("_", " ")}
    </span>
  );
}

function Sign({ mood }: { mood: Mood }) {
  return (
    <svg viewBox="0 0 12 12" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="2">
      {mood === "good" && <path d="M1.5 6.5l3 3 6-7" />}
      {mood === "warn" && (
        <>
          <circle cx="6" cy="6" r="4.8" />
          <path d="M6 1.2a4.8 4.8 0 0 1 0 9.6z" fill="currentColor" stroke="none" />
        </>
      )}
      {mood === "bad" && <path d="M2 2l8 8M10 2l-8 8" />}
      {mood === "none" && <path d="M2 6h8" />}
    </svg>
  );
}
