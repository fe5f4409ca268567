// What stands below the ticks of a time axis.

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const SECOND_MS = 1_000;

/**
 * The words of ticks that are `stepMs` apart, in a time zone: no finer than the step, and the date
 * once, where the day begins or the axis does.
 */
export function ticks(atMs: readonly number[], stepMs: number, zone: string): string[] {
  const date = new Intl.DateTimeFormat("en-GB", { timeZone: zone, day: "numeric", month: "short" });
  if (stepMs >= DAY_MS) return atMs.map((at) => date.format(at));
  const clock = new Intl.DateTimeFormat("en-GB", {
    timeZone: zone,
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
    ...(stepMs < MINUTE_MS && { second: "2-digit" }),
    ...(stepMs < SECOND_MS && { fractionalSecondDigits: 3 }),
  });
  let before = "";
  return atMs.map((at) => {
    const day = date.format(at);
    const begins = day !== before;
    before = day;
    return begins ? `${clock.format(at)}\n${day}` : clock.format(at);
  });
}
