// Charts: lines over time, in a time zone, of which a part can be chosen.
//
// Always true: what is drawn can be read: each line has a dash of its own besides its colour, the
// values are told beside the names, and the whole is there as a table; what can be dragged can be
// chosen with the keyboard too.
// Absent on purpose: units and where the numbers come from: they are told by whoever draws.

import { useEffect, useId, useRef, useState } from "preact/hooks";
import uPlot from "uplot";

import { Table } from "./table";
import { ticks } from "./ticks";
import { since, time } from "./words";

/** A line: its name, and a value for each time; none where nothing is known. */
export interface Line {
  readonly label: string;
  readonly values: readonly (number | null)[];
}

interface ChartProps {
  readonly label: string;
  /** The times, in milliseconds, ascending; the same for each line. */
  readonly atMs: readonly number[];
  readonly lines: readonly Line[];
  /** The zone of times since 1970; none where they are times since a start. */
  readonly zone: string | null;
  /** A value in words, with its unit. */
  readonly tell: (value: number) => string;
  /** What is done with a part that was chosen: from one time to another. */
  readonly choose?: ((fromMs: number, toMs: number) => void) | undefined;
  readonly height?: number;
  /** Whether there are whole numbers only, so that no tick stands between them. */
  readonly whole?: boolean;
}

/** Steps of an axis of whole numbers. */
const WHOLE = Array.from({ length: 16 }, (_, power) =>
  [1, 2, 5].map((it) => it * 10 ** power),
).flat();

/** Most lines of one chart: as many as have a colour and a dash of their own. */
export const LINES_MAX = 6;

const DASHES: readonly (readonly number[])[] = [[], [8, 4], [2, 3], [10, 3, 2, 3], [14, 5], [4, 4]];
const HEIGHT = 220;
/** Most rows of the table below a chart: more are no use to a reader. */
const ROWS_MAX = 500;

/** A chart. */
export function Chart(props: ChartProps) {
  const { label, atMs, lines, zone, tell, choose, height = HEIGHT, whole = false } = props;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>();
  // What the handlers of the drawing see: always what was drawn last.
  const now = useRef({ atMs, lines, tell, choose });
  now.current = { atMs, lines, tell, choose };
  const [at, setAt] = useState<number>();
  const help = useId();
  const kind = JSON.stringify([lines.map((line) => line.label), zone, height, !choose, whole]);
  useEffect(() => {
    const box = place.current;
    if (!box) return undefined;
    const chosen = (from: number, to: number) =>
      now.current.choose?.(Math.floor(from), Math.ceil(to));
    const options = described(box, { lines, zone, height, drag: Boolean(choose) });
    const drawn = new uPlot(
      {
        ...options,
        axes: [
          ...(options.axes ?? []),
          {
            ...paint(box),
            scale: "y",
            size: 70,
            ...(whole && { incrs: WHOLE }),
            values: (_, splits) => splits.map((it) => now.current.tell(it)),
          },
        ],
        hooks: {
          setCursor: [(it) => setAt(it.cursor.idx ?? undefined)],
          setSelect: [
            (it) => {
              const { left, width } = it.select;
              if (width > 0) chosen(it.posToVal(left, "x"), it.posToVal(left + width, "x"));
            },
          ],
        },
      },
      columns(now.current),
      box,
    );
    plot.current = drawn;
    const size = new ResizeObserver(() => drawn.setSize({ width: box.clientWidth, height }));
    size.observe(box);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const repaint = () => drawn.redraw(false, true);
    dark.addEventListener("change", repaint);
    return () => {
      size.disconnect();
      dark.removeEventListener("change", repaint);
      drawn.destroy();
      plot.current = undefined;
    };
  }, [kind]);
  useEffect(() => plot.current?.setData(columns(now.current)), [atMs, lines]);
  return (
    <figure class="chart" aria-label={label}>
      <div
        class="drawing"
        ref={place}
        tabIndex={0}
        role="application"
        aria-roledescription="chart"
        aria-label={label}
        aria-describedby={help}
        onKeyDown={(event) => plot.current && key(event, plot.current, now.current)}
      />
      <p id={help} hidden>
        Arrow keys go from time to time.{" "}
        {choose && "With Shift they choose a part, and Enter opens it."}
      </p>
      <Key of={lines} at={at} tell={tell} />
      <p class="faint small" role="status">
        {at !== undefined && atMs[at] !== undefined
          ? when(atMs[at], zone)
          : choose
            ? "Drag over a part to open it."
            : "\u00a0"}
      </p>
      <Values label={label} atMs={atMs} lines={lines} zone={zone} tell={tell} />
    </figure>
  );
}

interface Described {
  readonly lines: readonly Line[];
  readonly zone: string | null;
  readonly height: number;
  readonly drag: boolean;
}

function described(box: HTMLElement, { lines, zone, height, drag }: Described): uPlot.Options {
  return {
    width: box.clientWidth,
    height,
    ms: 1,
    tzDate: (at) => uPlot.tzDate(new Date(at), zone ?? "UTC"),
    legend: { show: false },
    cursor: { y: false, drag: { x: drag, y: false, setScale: false } },
    scales: {
      y: {
        range: (_, least, most) => [Math.min(0, least ?? 0), (most ?? 0) > 0 ? most * 1.08 : 1],
      },
    },
    axes: [
      {
        ...paint(box),
        space: 90,
        size: 46,
        values: (_, splits, _axis, _space, step) =>
          zone === null ? splits.map(since) : ticks(splits, step, zone),
      },
    ],
    series: [
      {},
      ...lines.map((line, at) => ({
        label: line.label,
        stroke: () => colour(box, `--series-${at + 1}`),
        width: 2,
        dash: [...(DASHES[at] ?? [])],
        points: { show: line.values.length < 40, size: 5 },
      })),
    ],
  };
}

function paint(box: HTMLElement): uPlot.Axis {
  const line = { stroke: () => colour(box, "--line"), width: 1 };
  // A canvas takes a font's name, and no variable of the page.
  const font = `12px ${getComputedStyle(box).fontFamily}`;
  return { stroke: () => colour(box, "--faint"), font, grid: line, ticks: line };
}

function colour(box: HTMLElement, name: string): string {
  return getComputedStyle(box).getPropertyValue(name);
}

function columns({ atMs, lines }: Pick<ChartProps, "atMs" | "lines">): uPlot.AlignedData {
  return [[...atMs], ...lines.map((line) => [...line.values])];
}

/** What a key does: moves the cursor, or one end of what is chosen with Shift; Enter opens that. */
function key(
  event: KeyboardEvent,
  plot: uPlot,
  { atMs, choose }: Pick<ChartProps, "atMs" | "choose">,
): void {
  const last = atMs.length - 1;
  const from = plot.cursor.idx ?? undefined;
  const steps: Record<string, number> = {
    ArrowLeft: (from ?? last + 1) - 1,
    ArrowRight: (from ?? -1) + 1,
    Home: 0,
    End: last,
  };
  const wanted = steps[event.key];
  const { left, width } = plot.select;
  if (wanted !== undefined && last >= 0) {
    const place = (index: number) => plot.valToPos(atMs[index] ?? 0, "x");
    const target = Math.max(0, Math.min(last, wanted));
    const here = place(target);
    if (event.shiftKey && choose) {
      // The end that stays is the one where the cursor is not.
      const before = place(from ?? target);
      const fixed = width === 0 ? before : Math.abs(before - left) < 1 ? left + width : left;
      plot.setSelect(
        {
          left: Math.min(fixed, here),
          width: Math.abs(here - fixed),
          top: 0,
          height: plot.over.clientHeight,
        },
        false,
      );
    } else {
      plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    }
    plot.setCursor({ left: here, top: 0 });
  } else if (event.key === "Enter" && choose && width > 0) {
    choose(Math.floor(plot.posToVal(left, "x")), Math.ceil(plot.posToVal(left + width, "x")));
  } else if (event.key === "Escape") {
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  } else {
    return;
  }
  event.preventDefault();
}

function when(atMs: number, zone: string | null): string {
  return zone === null ? since(atMs) : time(atMs, zone);
}

/** The lines' names, and their values at the cursor, or the last ones. */
function Key({
  of,
  at,
  tell,
}: {
  of: readonly Line[];
  at: number | undefined;
  tell: (value: number) => string;
}) {
  return (
    <ul class="key">
      {of.map((line, index) => {
        const value =
          at === undefined ? line.values.findLast((it) => it !== null) : line.values[at];
        return (
          <li key={line.label}>
            <svg viewBox="0 0 28 10" aria-hidden="true">
              <path
                d="M0 5h28"
                style={{ stroke: `var(--series-${index + 1})` }}
                stroke-width="2.5"
                stroke-dasharray={DASHES[index]?.join(" ")}
              />
            </svg>
            <span>{line.label}</span>
            <strong>{value === undefined || value === null ? "–" : tell(value)}</strong>
          </li>
        );
      })}
    </ul>
  );
}

function Values({
  label,
  atMs,
  lines,
  zone,
  tell,
}: Omit<ChartProps, "choose" | "height" | "whole">) {
  const [open, setOpen] = useState(false);
  const rows = atMs.map((_, index) => index).slice(-ROWS_MAX);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>As a table{atMs.length > ROWS_MAX && `, the last ${ROWS_MAX}`}</summary>
      {open && (
        <div tabIndex={0} role="region" aria-label={`Values of ${label}`}>
          <Table
            label={`${label}, as a table`}
            rows={rows}
            id={String}
            empty="Nothing yet."
            columns={[
              { name: "Time", cell: (row) => when(atMs[row] ?? 0, zone) },
              ...lines.map((line) => ({
                name: line.label,
                number: true,
                cell: (row: number) => {
                  const value = line.values[row];
                  return value === undefined || value === null ? "–" : tell(value);
                },
              })),
            ]}
          />
        </div>
      )}
    </details>
  );
}
