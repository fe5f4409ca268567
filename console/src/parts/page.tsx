// What every page has: a heading that is read out when one comes to it, and panels.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

import { hasMoved } from "../router";

interface HeadingProps {
  readonly title: string;
  /** Where this page belongs: a name and its address. */
  readonly above?: readonly [string, string];
  readonly children?: ComponentChildren;
}

/** The heading; the window has the same title. */
export function Heading({ title, above, children }: HeadingProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Freehold`;
    // Whoever goes on from another page begins at this one, and has it read out, as a browser does
    // with a page that it loads.
    if (hasMoved()) heading.current?.focus({ preventScroll: true });
  }, [title]);
  return (
    <div class="head">
      {above && (
        <p class="crumb">
          <a href={above[1]}>{above[0]}</a>
        </p>
      )}
      <h1 ref={heading} tabIndex={-1}>
        {title}
      </h1>
      {children}
    </div>
  );
}

interface PanelProps {
  readonly title: string;
  /** Where the page's heading says the same, the title is only read out. */
  readonly bare?: boolean;
  readonly aside?: ComponentChildren;
  readonly children: ComponentChildren;
}

/** A part of a page, with a heading of its own. */
export function Panel({ title, bare, aside, children }: PanelProps) {
  return (
    <section class="panel" aria-label={title}>
      {!bare && (
        <div class="head">
          <h2>{title}</h2>
          {aside && <div class="aside">{aside}</div>}
        </div>
      )}
      {children}
    </section>
  );
}

/** Two or more parts beside each other, or below each other where there is no room. */
export function Side({ children }: { children: ComponentChildren }) {
  return <div class="side">{children}</div>;
}

/** Names and values; what is absent is left out. */
export function Facts({ of }: { of: Record<string, ComponentChildren> }) {
  const there = Object.entries(of).filter(
    ([, value]) => value !== undefined && value !== null && value !== "",
  );
  return (
    <dl class="facts">
      {there.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
