// Times, as the reader has chosen to see them.

import { useCell } from "../cell";
import { time } from "./words";
import { zone } from "../zone";

/** A time of the API, to the second, in the time zone that was chosen. */
export function Time({ at }: { at: number }) {
  const shown = useCell(zone);
  return (
    <time dateTime={new Date(at).toISOString()} title={shown}>
      {time(at, shown)}
    </time>
  );
}
