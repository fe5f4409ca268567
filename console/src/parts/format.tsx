// Formats: what goes into a model or comes out of it.

import type { Schema } from "../api/client";
import { Table } from "./table";

/** A format, as its columns or tensors. */
export function Format({ of }: { of: Schema<"Format"> }) {
  if (of.kind === "tensors")
    return (
      <Table
        label="Tensors"
        rows={of.tensors}
        id={(row) => row.name}
        empty="None."
        columns={[
          { name: "Tensor", cell: (row) => <code>{row.name}</code> },
          { name: "Type", cell: (row) => row.datatype },
          {
            name: "Shape",
            cell: (row) => `[${row.shape.map((it) => (it < 0 ? "any" : it)).join(", ")}]`,
          },
        ]}
      />
    );
  if (of.kind === "table")
    return (
      <Table
        label="Columns"
        rows={of.columns}
        id={(row) => row.name}
        empty="None."
        columns={[
          { name: "Column", cell: (row) => <code>{row.name}</code> },
          { name: "Type", cell: (row) => row.type },
        ]}
      />
    );
  if (of.kind === "media") return <p>{of.media_type}</p>;
  return of.schema ? <pre class="text">{JSON.stringify(of.schema, null, 2)}</pre> : <p>JSON</p>;
}
