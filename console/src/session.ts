// The session: the token that was signed in with.
//
// Always true: the token is in this tab's storage alone, which ends with the tab, and goes nowhere
// but into requests to the cloud that served the page.

import { Cell } from "./cell";
import { go, to } from "./router";

const KEY = "freehold.token";

/** The token, where somebody is signed in. */
export const token = new Cell<string | null>(sessionStorage.getItem(KEY));

/** Keeps a token that was found to be good. */
export function enter(good: string): void {
  sessionStorage.setItem(KEY, good);
  token.set(good);
}

/** Forgets the token, and asks for one; `back` leads to where the console is after that. */
export function leave(back: boolean): void {
  sessionStorage.removeItem(KEY);
  token.set(null);
  const here = location.pathname + location.search;
  go(to(["sign-in"], { next: back ? here : undefined }), true);
}
