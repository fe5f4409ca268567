// Variants beside each other, of one run or of several: each figure of each, and how it stands to
// that of the first.

import { Table } from "../parts/table";
import { against, type Figure, FIGURES } from "./figures";
import type { VariantOutcome } from "./told";

/** A variant, and what it is called beside others. */
export interface Compared {
  readonly name: string;
  readonly variant: VariantOutcome;
}

/** The figures of each, a table for each group of them; figures that nobody has are left out. */
export function Comparison({ of }: { of: readonly Compared[] }) {
  const first = of[0];
  if (!first) return <p class="faint">Nothing was sent.</p>;
  const known = (figure: Figure) => of.some(({ variant }) => figure.of(variant) !== undefined);
  return (
    <>
      {FIGURES.map(([group, figures]) => {
        const rows = figures.filter(known);
        if (rows.length === 0) return null;
        return (
          <Table
            key={group}
            label={group}
            rows={rows}
            id={(row) => row.name}
            empty=""
            columns={[
              { name: group, cell: (row) => row.name },
              ...of.map(({ name, variant }, at) => ({
                name,
                number: true,
                cell: (row: Figure) => (
                  <Value
                    figure={row}
                    value={row.of(variant)}
                    first={at === 0 ? undefined : row.of(first.variant)}
                  />
                ),
              })),
            ]}
          />
        );
      })}
    </>
  );
}

interface ValueProps {
  readonly figure: Figure;
  readonly value: number | undefined;
  readonly first: number | undefined;
}

function Value({ figure, value, first }: ValueProps) {
  const difference = against(value, first, figure.better);
  return (
    <span>
      {value === undefined ? "–" : figure.tell(value)}
      {difference && <span class="difference faint small">{difference}</span>}
    </span>
  );
}
