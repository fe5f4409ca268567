// Numbers and times in words: what the API tells in bytes, microseconds and milliseconds since
// 1970, as people read it.

/** A time, to the second: `2026-03-01 14:05:09`. */
export function time(atMs: number, zone: string): string {
  const { year, month, day, hour, minute, second } = parts(atMs, zone);
  return `${year}-${month}-${day} ${hour}:${minute}:${second}`;
}

/** A time of day, to the millisecond: `14:05:09.120`. */
export function clock(atMs: number, zone: string): string {
  const { hour, minute, second } = parts(atMs, zone);
  return `${hour}:${minute}:${second}.${String(((atMs % 1000) + 1000) % 1000).padStart(3, "0")}`;
}

function parts(atMs: number, zone: string): Record<string, string> {
  const format = new Intl.DateTimeFormat("en-GB", {
    timeZone: zone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  });
  return Object.fromEntries(format.formatToParts(atMs).map(({ type, value }) => [type, value]));
}

/** A time since a start: `1:05`, `2:00:00`, with thousandths where they are not 0. */
export function since(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  const rest = Math.round(ms - seconds * 1_000);
  const two = (number: number) => String(Math.floor(number)).padStart(2, "0");
  const hours = Math.floor(seconds / 3_600);
  const minutes = Math.floor(seconds / 60) % 60;
  const begin = hours > 0 ? `${hours}:${two(minutes)}` : String(minutes);
  return `${begin}:${two(seconds % 60)}${rest > 0 ? `.${String(rest).padStart(3, "0")}` : ""}`;
}

/** A number with thin groups: `12 345`. */
export function count(number: number): string {
  return Math.abs(number) < 10_000
    ? plain(number)
    : plain(number).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
}

function plain(number: number): string {
  return Number.isInteger(number) ? String(number) : String(Number(number.toPrecision(3)));
}

/** Bytes, in the largest unit that keeps it above 1: `1.5 MiB`. */
export function bytes(number: number): string {
  return scaled(number, ["B", "KiB", "MiB", "GiB", "TiB"], 1024);
}

/** Microseconds, as the unit that reads best: `850 µs`, `1.2 ms`, `3 s`. */
export function micros(number: number): string {
  return scaled(number, ["µs", "ms", "s"], 1000);
}

/** Milliseconds, up to hours: `120 ms`, `1.5 min`. */
export function millis(number: number): string {
  if (number < 60_000) return scaled(number, ["ms", "s"], 1000);
  return scaled(number / 60_000, ["min", "h"], 60);
}

/** Parts per million, in percent: `98.2 %`. */
export function ppm(number: number): string {
  return `${plain(number / 10_000)} %`;
}

function scaled(number: number, units: readonly [string, ...string[]], step: number): string {
  let [value, at] = [number, 0];
  while (Math.abs(value) >= step && at < units.length - 1) [value, at] = [value / step, at + 1];
  return `${value >= 1000 ? Math.round(value) : plain(value)} ${units[at]}`;
}
