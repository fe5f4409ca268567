// Items: the account's own, or what a search finds, with the reasons why it was found.

import { useState } from "preact/hooks";

import { api, need, type Schema } from "../api/client";
import { useLoad } from "../load";
import { Shown } from "../parts/notice";
import { Heading, Panel } from "../parts/page";
import { shared } from "../parts/sharing";
import { Paged, Table } from "../parts/table";
import { Time } from "../parts/time";
import { go, to } from "../router";

const KINDS = [
  "algorithm",
  "dataset",
  "model",
  "pipeline",
  "notebook",
] as const satisfies Schema<"ItemKind">[];

/** The page; the query holds what is searched for. */
export function ItemsPage({ query }: { query: URLSearchParams }) {
  const text = query.get("text") ?? "";
  const kind = KINDS.find((it) => it === query.get("kind"));
  return (
    <>
      <Heading title="Items" />
      <Search key={`${text} ${kind}`} text={text} kind={kind} />
      {text || kind ? <Found text={text} kind={kind} /> : <Own />}
    </>
  );
}

interface Asked {
  readonly text: string;
  readonly kind: Schema<"ItemKind"> | undefined;
}

function Search({ text, kind }: Asked) {
  const [words, setWords] = useState(text);
  const submit = (event: Event & { currentTarget: HTMLFormElement }) => {
    event.preventDefault();
    const chosen = new FormData(event.currentTarget).get("kind");
    go(
      to(["items"], { text: words.trim(), kind: typeof chosen === "string" ? chosen : undefined }),
    );
  };
  return (
    <form class="row" role="search" onSubmit={submit}>
      <label>
        What it does
        <input
          type="search"
          value={words}
          onInput={(event) => setWords(event.currentTarget.value)}
        />
      </label>
      <label>
        Kind
        <select name="kind" defaultValue={kind ?? ""}>
          <option value="">any</option>
          {KINDS.map((name) => (
            <option key={name} selected={name === kind}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <button class="main" type="submit">
        Search
      </button>
      {(text || kind) && <a href={to(["items"])}>The account's own</a>}
    </form>
  );
}

const link = (item: Schema<"Item">) => (
  <a href={to(["items", item.account, item.name])}>{item.name}</a>
);

function Own() {
  return (
    <Panel title="Items of this account" bare>
      <Paged
        label="Items"
        of="items"
        ask={(cursor, signal) =>
          need(api.GET("/v1/items", { params: { query: { ...(cursor && { cursor }) } }, signal }))
        }
        id={(row) => row.id}
        empty={
          <p>
            None yet. <code>freehold publish FOLDER</code> makes one, and a training makes a model.
          </p>
        }
        columns={[
          { name: "Name", cell: link },
          { name: "Kind", cell: (row) => row.kind },
          { name: "What it does", cell: (row) => row.listing.summary },
          { name: "Newest", number: true, cell: (row) => row.newest },
          { name: "Shared with", cell: (row) => (row.sharing ? shared(row.sharing) : "") },
          { name: "Made", cell: (row) => <Time at={row.created_at_ms} /> },
        ]}
      />
    </Panel>
  );
}

function Found({ text, kind }: Asked) {
  const query = { ...(text && { text }), ...(kind && { kind }) };
  const found = useLoad(`found ${text} ${kind}`, (signal) =>
    need(api.GET("/v1/search", { params: { query }, signal })),
  );
  return (
    <Panel title="Found">
      <Shown of={found}>
        {(it) => (
          <Table
            label="Found items"
            rows={it.found}
            id={(row) => row.item.id}
            empty="Nothing that you may see is like that. Fewer words find more."
            columns={[
              { name: "Name", cell: (row) => link(row.item) },
              { name: "Of", cell: (row) => row.item.account },
              { name: "Kind", cell: (row) => row.item.kind },
              { name: "What it does", cell: (row) => row.item.listing.summary },
              { name: "Why", cell: (row) => <span class="small">{row.reasons.join("; ")}</span> },
            ]}
          />
        )}
      </Shown>
    </Panel>
  );
}
