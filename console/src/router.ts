// Places: which page the address names. Every page has an address of its own, which can be opened
// again, kept, and sent.

import { Cell } from "./cell";

/** Where the gateway serves the console. */
export const BASE = "/console";

/** A place: the parts of the path below the base, decoded, and what was asked for. */
export interface Place {
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

/** Where the console is. */
export const place = new Cell<Place>(read());

let moves = 0;
place.follow(() => moves++);

/** Whether somebody went to this page from another one here, and did not open it by its address. */
export const hasMoved = () => moves > 0;

function read(): Place {
  const path = location.pathname.slice(BASE.length).split("/").filter(Boolean).map(decoded);
  return { path, query: new URLSearchParams(location.search) };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a page: its parts, and what is asked for; what is empty is left out. */
export function to(
  parts: readonly string[],
  query: Record<string, string | undefined> = {},
): string {
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value) asked.set(name, value);
  const text = asked.toString();
  return `${BASE}/${parts.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

/** Goes to an address of the console; `replace` where going back should pass it over. */
export function go(address: string, replace = false): void {
  if (replace) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  place.set(read());
}

/** Follows links within the console without loading the page anew. */
export function watch(): () => void {
  const moved = () => place.set(read());
  const clicked = (event: MouseEvent) => {
    const plain =
      event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!plain || event.defaultPrevented || !link || link.target || link.origin !== location.origin)
      return;
    if (!link.pathname.startsWith(`${BASE}/`) || link.hash) return;
    event.preventDefault();
    go(link.pathname + link.search);
    scrollTo(0, 0);
  };
  addEventListener("popstate", moved);
  document.addEventListener("click", clicked);
  return () => {
    removeEventListener("popstate", moved);
    document.removeEventListener("click", clicked);
  };
}
