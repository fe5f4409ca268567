// Tables: rows under named columns, and pages of rows as the API cuts them.
//
// Always true: on a narrow page each row is a card that names its values, and stays a table to
// whoever has it read out; a page holds what one answer holds, never all there is.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

import { useLoad } from "../load";
import { Shown } from "./notice";

/** A column: its name, and what a row has in it. The first column names the row. */
export interface Column<Row> {
  readonly name: string;
  readonly cell: (row: Row) => ComponentChildren;
  /** Set to the right, with figures of one width. */
  readonly number?: boolean;
}

interface TableProps<Row> {
  /** What it is a table of, for whoever has it read out. */
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  /** What tells a row from all others. */
  readonly id: (row: Row) => string;
  /** What is said where there is no row. */
  readonly empty: ComponentChildren;
}

/** A table. */
export function Table<Row>({ label, columns, rows, id, empty }: TableProps<Row>) {
  if (rows.length === 0) return <div class="faint">{empty}</div>;
  // The roles say what the tags say: where a row is laid out as a card, browsers forget it.
  return (
    <table class="table" role="table" aria-label={label}>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map((column) => (
            <th
              key={column.name}
              scope="col"
              role="columnheader"
              class={column.number ? "number" : undefined}
            >
              {column.name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <tr key={id(row)} role="row">
            {columns.map((column, at) =>
              at === 0 ? (
                <th key={column.name} scope="row" role="rowheader">
                  {column.cell(row)}
                </th>
              ) : (
                <td
                  key={column.name}
                  role="cell"
                  data-name={column.name}
                  class={column.number ? "number" : undefined}
                >
                  {column.cell(row)}
                </td>
              ),
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** A page of rows; `next` asks for the one after it. */
export interface Page<Row> {
  readonly items: readonly Row[];
  readonly next?: string | null;
}

interface PagedProps<Row> extends Omit<TableProps<Row>, "rows"> {
  /** What tells this list from others. */
  readonly of: string;
  readonly ask: (cursor: string | undefined, signal: AbortSignal) => Promise<Page<Row>>;
  readonly everyMs?: number;
}

/** A table whose rows come in pages. */
export function Paged<Row>({ of, ask, everyMs, ...table }: PagedProps<Row>) {
  // The cursors of the pages before this one, and its own at the end; the first has none.
  const [cursors, setCursors] = useState<readonly string[]>([]);
  const cursor = cursors.at(-1);
  const page = useLoad(`${of} ${cursor ?? ""}`, (signal) => ask(cursor, signal), everyMs);
  return (
    <Shown of={page}>
      {({ items, next }) => (
        <>
          <Table {...table} rows={items} />
          {(cursor || next) && (
            <nav class="pager" aria-label={`Pages of ${table.label}`}>
              <button
                type="button"
                disabled={!cursor}
                onClick={() => setCursors(cursors.slice(0, -1))}
              >
                Previous
              </button>
              <span class="faint small">Page {cursors.length + 1}</span>
              <button
                type="button"
                disabled={!next}
                onClick={() => next && setCursors([...cursors, next])}
              >
                Next
              </button>
            </nav>
          )}
        </>
      )}
    </Shown>
  );
}
