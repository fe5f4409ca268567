// One stream: how it is kept, what it takes and feeds, and what is in it, in all or in a part.

import { api, need, type Schema } from "../api/client";
import { useCell } from "../cell";
import { useLoad } from "../load";
import { Shown } from "../parts/notice";
import { Facts, Heading, Panel, Side } from "../parts/page";
import { Table } from "../parts/table";
import { Time } from "../parts/time";
import { bytes, count, millis } from "../parts/words";
import { go, to } from "../router";
import { zone } from "../zone";

/** What a selection is made of, by its name in the address and in the API, and in words. */
const PARTS = [
  ["since", "From", "2026-03-01 08:00"],
  ["until", "Until", "2026-03-02"],
  ["where", "Where", "region=no,data.status!=500"],
  ["sample", "A part by key", "subject:5%"],
  ["against_since", "Beside events from", "2026-02-01"],
  ["against_until", "Beside events until", "2026-03-01"],
] as const;

/** The page; the query says which of its events. */
export function StreamPage({ name, query }: { name: string; query: URLSearchParams }) {
  const stream = useLoad(`stream ${name}`, (signal) =>
    need(api.GET("/v1/streams/{name}", { params: { path: { name } }, signal })),
  );
  return (
    <>
      <Heading title={name} above={["Streams", to(["streams"])]} />
      <Shown of={stream}>
        {(it) => (
          <>
            <About of={it} />
            {it.gateway ? (
              <Selected name={name} query={query} />
            ) : (
              <p class="faint">No event has come yet.</p>
            )}
          </>
        )}
      </Shown>
    </>
  );
}

function About({ of }: { of: Schema<"Stream"> }) {
  const { spec } = of;
  return (
    <Panel title="How it is kept">
      {spec.description && <p>{spec.description}</p>}
      <Facts
        of={{
          "Held by": of.gateway,
          "An event that comes again is known for":
            spec.dedupe_window_ms === undefined ? undefined : millis(spec.dedupe_window_ms),
          "Kept for": spec.retain_ms ? millis(spec.retain_ms) : "ever",
          "Kept at most": spec.retain_bytes ? bytes(spec.retain_bytes) : undefined,
          "Takes requests of": links("endpoints", of.takes),
          Feeds: links("functions", of.feeds),
          Made: <Time at={of.created_at_ms} />,
        }}
      />
    </Panel>
  );
}

/** Links to the pages of all these; nothing where there are none. */
function links(kind: "endpoints" | "functions", names: readonly string[] | undefined) {
  if (!names || names.length === 0) return undefined;
  return names.map((name, at) => (
    <span key={name}>
      {at > 0 && ", "}
      <a href={to([kind, name])}>{name}</a>
    </span>
  ));
}

function Selected({ name, query }: { name: string; query: URLSearchParams }) {
  const shown = useCell(zone);
  const { against_since, against_until, ...asked } = Object.fromEntries(query);
  const against = {
    ...(against_since && { against_since }),
    ...(against_until && { against_until }),
  };
  const isBeside = Object.keys(against).length > 0;
  const timed = asked.since || asked.until || isBeside ? { zone: shown } : {};
  const stats = useLoad(`stats ${name} ${query} ${shown}`, (signal) =>
    need(
      api.GET("/v1/streams/{name}/stats", {
        params: { path: { name }, query: { ...asked, ...timed } },
        signal,
      }),
    ),
  );
  return (
    <>
      <Panel title="Which events">
        <form
          class="row"
          onSubmit={(event) => {
            event.preventDefault();
            const form = new FormData(event.currentTarget);
            const said = PARTS.map(([part]) => [part, String(form.get(part) ?? "").trim()]);
            go(to(["streams", name], Object.fromEntries(said)));
          }}
        >
          {PARTS.map(([part, label, example]) => (
            <label key={part}>
              {label}
              <input name={part} defaultValue={query.get(part) ?? ""} placeholder={example} />
            </label>
          ))}
          <button type="submit" class="main">
            Show
          </button>
        </form>
        <p class="faint small">Times are of {shown}. What is left empty does not narrow it.</p>
      </Panel>
      <Shown of={stats}>{(it) => <Sums of={it} />}</Shown>
      {isBeside && <Beside name={name} asked={{ ...asked, ...timed, ...against }} />}
    </>
  );
}

/** Which fields have changed beside events of another time. */
function Beside({ name, asked }: { name: string; asked: Record<string, string> }) {
  const drift = useLoad(`drift ${name} ${JSON.stringify(asked)}`, (signal) =>
    need(api.GET("/v1/streams/{name}/drift", { params: { path: { name }, query: asked }, signal })),
  );
  const index = (ppm: number | null | undefined) =>
    ppm === undefined || ppm === null ? "–" : count(ppm / 1e6);
  return (
    <Panel title="What has changed">
      <Shown of={drift}>
        {(it) => (
          <>
            <p class="faint small" role="status">
              {count(it.events)} events beside {count(it.learnt_events)} of{" "}
              {count(it.reference_events)}; at most one false alarm in {count(it.alarm_every)}{" "}
              events.
            </p>
            <Table
              label="What has changed"
              rows={it.fields}
              id={(row) => row.field}
              empty="The events beside which these are have no fields."
              columns={[
                { name: "Field", cell: (row) => row.field },
                { name: "Has changed", cell: (row) => (row.changed ? "yes" : "no") },
                {
                  name: "Clear at",
                  cell: (row) => (row.at_ns ? <Time at={Math.floor(row.at_ns / 1e6)} /> : ""),
                },
                { name: "Apart", number: true, cell: (row) => index(row.distance_ppm) },
                {
                  name: "By chance, at most",
                  number: true,
                  cell: (row) => index(row.by_chance_ppm),
                },
              ]}
            />
            {(it.new_fields ?? []).length > 0 && <p>New: {(it.new_fields ?? []).join(", ")}</p>}
          </>
        )}
      </Shown>
    </Panel>
  );
}

function Sums({ of }: { of: Schema<"StreamStats"> }) {
  return (
    <>
      <Panel title="In sum">
        <Facts
          of={{
            Events: count(of.events),
            First: of.first_ns ? <Time at={Math.floor(of.first_ns / 1e6)} /> : undefined,
            Last: of.last_ns ? <Time at={Math.floor(of.last_ns / 1e6)} /> : undefined,
            "Rate on average": of.rate_mean_uhz
              ? `${count(of.rate_mean_uhz / 1e6)} per second`
              : undefined,
            "Most in a second": count(of.rate_peak_per_s),
            "Out of order, of the whole stream": count(of.stream_disordered),
            "On the disk, of the whole stream": bytes(of.stream_bytes),
          }}
        />
      </Panel>
      <Side>
        <Shares title="Types" of={of.types} all={of.events} />
        <Shares title="Regions" of={of.regions} all={of.events} />
        <Shares title="Groups" of={of.groups} all={of.events} />
      </Side>
    </>
  );
}

function Shares({
  title,
  of,
  all,
}: {
  title: string;
  of: Readonly<Record<string, number>>;
  all: number;
}) {
  const rows = Object.entries(of).sort(([, a], [, b]) => b - a);
  return (
    <Panel title={title}>
      <Table
        label={title}
        rows={rows}
        id={([name]) => name}
        empty="None is told."
        columns={[
          { name: "Name", cell: ([name]) => name || "none" },
          { name: "Events", number: true, cell: ([, events]) => count(events) },
          {
            name: "Part",
            cell: ([name, events]) => (
              <meter min={0} max={Math.max(1, all)} value={events} aria-label={`Part of ${name}`} />
            ),
          },
        ]}
      />
    </Panel>
  );
}
