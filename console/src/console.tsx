// The console as a whole: the way to each page, who is signed in, and the page of the address.

import type { VNode } from "preact";
import { useEffect } from "preact/hooks";

import { api, need } from "./api/client";
import { useCell } from "./cell";
import { useLoad } from "./load";
import { ComparePage } from "./pages/compare";
import { EndpointPage } from "./pages/endpoint";
import { EndpointsPage } from "./pages/endpoints";
import { FunctionPage } from "./pages/function";
import { FunctionsPage } from "./pages/functions";
import { ItemPage } from "./pages/item";
import { ItemsPage } from "./pages/items";
import { RunPage } from "./pages/run";
import { RunsPage } from "./pages/runs";
import { SignInPage } from "./pages/sign-in";
import { StatusPage } from "./pages/status";
import { StreamPage } from "./pages/stream";
import { StreamsPage } from "./pages/streams";
import { UsagePage } from "./pages/usage";
import { Heading } from "./parts/page";
import { go, type Place, place, to, watch } from "./router";
import { leave, token } from "./session";
import { zone, zones } from "./zone";

/** What can be gone to from everywhere. */
const WAYS = [
  ["endpoints", "Endpoints"],
  ["runs", "Runs"],
  ["streams", "Streams"],
  ["functions", "Functions"],
  ["items", "Items"],
  ["usage", "Usage"],
  ["status", "Status"],
] as const;

/** The console. */
export function Console() {
  const here = useCell(place);
  const known = useCell(token);
  useEffect(watch, []);
  const first = here.path[0];
  useEffect(() => {
    if (!known && first !== "sign-in") leave(true);
    else if (!first) go(to(["endpoints"]), true);
  }, [known, first]);
  if (first === "sign-in") return <SignInPage next={here.query.get("next")} />;
  if (!known || !first) return null;
  return (
    <>
      <a class="skip" href="#main">
        To the page
      </a>
      <div class="shell">
        <Bar here={first} known={known} />
        <main id="main" key={here.path.join("/")}>
          {page(here) ?? <Nowhere />}
        </main>
      </div>
    </>
  );
}

/** The page of a place, where there is one. */
function page({ path: [kind, ...names], query }: Place): VNode | undefined {
  const [first, second] = names;
  if (names.length === 0) {
    if (kind === "endpoints") return <EndpointsPage />;
    if (kind === "runs") return <RunsPage />;
    if (kind === "compare") return <ComparePage query={query} />;
    if (kind === "streams") return <StreamsPage />;
    if (kind === "functions") return <FunctionsPage />;
    if (kind === "items") return <ItemsPage query={query} />;
    if (kind === "usage") return <UsagePage query={query} />;
    if (kind === "status") return <StatusPage />;
  }
  if (first && names.length === 1) {
    if (kind === "endpoints") return <EndpointPage name={first} />;
    if (kind === "runs") return <RunPage id={first} query={query} />;
    if (kind === "streams") return <StreamPage name={first} query={query} />;
    if (kind === "functions") return <FunctionPage name={first} />;
  }
  if (first && second && names.length === 2 && kind === "items")
    return <ItemPage account={first} name={second} />;
  return undefined;
}

function Bar({ here, known }: { here: string; known: string }) {
  return (
    <header class="bar">
      <a class="brand" href={to(["endpoints"])}>
        <Mark /> Freehold
      </a>
      <nav class="ways" aria-label="Pages">
        <ul>
          {WAYS.map(([way, name]) => (
            <li key={way}>
              <a href={to([way])} aria-current={way === here ? "page" : undefined}>
                {name}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <div class="who">
        <Who known={known} />
        <Zone />
        <button type="button" onClick={() => leave(false)}>
          Sign out
        </button>
      </div>
    </header>
  );
}

function Who({ known }: { known: string }) {
  const who = useLoad(known, (signal) => need(api.GET("/v1/whoami", { signal })));
  return (
    <p class="who-is">
      {who.data ? (
        <>
          <strong>{who.data.account.name}</strong> <span class="faint">{who.data.token.role}</span>
        </>
      ) : (
        <span class="faint">…</span>
      )}
    </p>
  );
}

function Zone() {
  const shown = useCell(zone);
  return (
    <label>
      Time zone
      <select value={shown} onChange={(event) => zone.set(event.currentTarget.value)}>
        {zones().map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </label>
  );
}

/** The sign of Freehold. */
export function Mark() {
  return (
    <svg width="28" height="28" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="#0b5d4e" />
      <path d="M9 25V8h14v4H13v4h8v4h-8v5z" fill="#fff" />
    </svg>
  );
}

function Nowhere() {
  return (
    <>
      <Heading title="There is no such page" />
      <p>
        The address names nothing here. Go to <a href={to(["endpoints"])}>the endpoints</a>.
      </p>
    </>
  );
}
