// The time zone that times are told in: the machine's, unless the reader has chosen another.

import { Cell } from "./cell";

const KEY = "freehold.zone";

/** The time zone of this machine. */
export const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** The time zone that times are shown in; kept for the next visit. */
export const zone = new Cell<string>(kept());
zone.follow(() => localStorage.setItem(KEY, zone.get()));

function kept(): string {
  const name = localStorage.getItem(KEY);
  return name && isZone(name) ? name : HERE;
}

/** Whether this browser knows a time zone. */
export function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** Every time zone to choose from: this machine's, UTC, then all. */
export function zones(): string[] {
  return [...new Set([HERE, "UTC", ...Intl.supportedValuesOf("timeZone")])];
}
