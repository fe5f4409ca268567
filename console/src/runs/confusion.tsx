// Which class was predicted where which one was right, and how often scores came true.

import { Panel, Side } from "../parts/page";
import { Table } from "../parts/table";
import { count, ppm } from "../parts/words";
import type { Accuracy, VariantOutcome } from "./told";

/** A table for each variant whose predictions were held against labels. */
export function Predictions({ of }: { of: readonly VariantOutcome[] }) {
  const told = of.filter(
    ({ accuracy }) => (accuracy.confusion ?? []).length > 0 || accuracy.estimate,
  );
  if (told.length === 0) return null;
  return (
    <Side>
      {told.map(({ name, accuracy }) => (
        <Panel key={name} title={`Predictions of ${name}`}>
          <Confusion name={name} of={accuracy} />
          <Chances name={name} of={accuracy} />
          {accuracy.estimate && (
            <p class="faint small">
              Of {count(accuracy.estimate.events)} predictions without a label,{" "}
              {ppm(accuracy.estimate.accuracy_ppm)} are right by an estimate from their scores and{" "}
              {count(accuracy.estimate.labelled)} labels. It is wrong where scores do not mean any
              more what they did.
            </p>
          )}
        </Panel>
      ))}
    </Side>
  );
}

function Confusion({ name, of }: { name: string; of: Accuracy }) {
  const cells = of.confusion ?? [];
  const classes = (of.classes ?? []).map((it) => it.class);
  const events = (right: string, predicted: string) =>
    cells.find((it) => it.right === right && it.predicted === predicted)?.events ?? 0;
  return (
    <Table
      label={`Labels and predictions of ${name}`}
      rows={classes}
      id={(row) => row}
      empty=""
      columns={[
        { name: "Label", cell: (row) => row },
        ...classes.map((predicted) => ({
          name: `said ${predicted}`,
          number: true,
          cell: (row: string) => count(events(row, predicted)),
        })),
      ]}
    />
  );
}

function Chances({ name, of }: { name: string; of: Accuracy }) {
  const bins = (of.calibration?.bins ?? [])
    .map((bin, at) => ({ ...bin, at }))
    .filter((bin) => bin.events > 0);
  if (bins.length === 0) return null;
  return (
    <Table
      label={`Scores of ${name} as chances`}
      rows={bins}
      id={(row) => String(row.at)}
      empty=""
      columns={[
        { name: "Scores", cell: (row) => `${row.at / 10} to ${(row.at + 1) / 10}` },
        { name: "Events", number: true, cell: (row) => count(row.events) },
        { name: "Their mean", number: true, cell: (row) => told(row.score_ppm) },
        { name: "Came", number: true, cell: (row) => told(row.came_ppm) },
      ]}
    />
  );
}

function told(part: number | null | undefined): string {
  return part === undefined || part === null ? "–" : ppm(part);
}
