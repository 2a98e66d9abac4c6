/** One task through all agents: a sequence of arrows over time, and the same in words. */
import { html } from "../../lib/html.js";
import { Card } from "../../components/bits.js";
import { useNarrow } from "../../components/table.js";
import { Answer, Empty } from "../../components/words.js";
import { of, useApi } from "../../lib/api.js";
import { count, cut, date, seconds, time } from "../../lib/format.js";
import { href } from "../../lib/router.js";
import { travel } from "../../lib/travel.js";
import { oneLine, visible } from "../../lib/visible.js";

const ORDER = ["operator", "proposer", "solver", "critic", "trainer", "evaluator"];
const [HEAD, ROW] = [44, 46];
const WIDE = { margin: 92, lane: 210, box: 116 };
const NARROW = { margin: 58, lane: 54, box: 52 };
const CUT = 400;

export function Interaction({ run, at, id }) {
  const found = useApi(of(run, "tasks", id, "trace"), { at });
  return html`<nav class="row spread" aria-label="Around this task">
      <a href=${href("agents")} data-testid="all-agents">← All agents</a><a href=${href("tasks", { rest: [id] })}>The task with its attempt →</a>
    </nav>
    <${Answer} of=${found} what="what happened to it">${({ happened }) => happened.length === 0
      ? html`<${Card} title="One task through all agents"><${Empty}>Nothing had happened to it up to here.<//><//>`
      : html`<${Card} title="One task through all agents" about=${over(happened)} testid="interaction">
          <div class="scroll" tabindex="0" role="group" aria-label="The sequence, as a picture"><${Sequence} happened=${happened} /></div><//>
        <${Card} title="In words" testid="in-words"><ol class="stack">${happened.map((one, order) => html`<${Words} key=${one.id + order} one=${one} first=${happened[0]} />`)}</ol><//>`}<//>`;
}

const passed = (from, to) => (date(to.time) - date(from.time)) / 1000;

const over = (happened) => `${count(happened.length)} events in ${seconds(Math.max(0, passed(happened[0], happened[happened.length - 1])))}`;

function Words({ one, first }) {
  const later = passed(first, one);
  return html`<li class="happened" data-testid="happened">
    <p><b>${one.role}</b>${one.to?.length > 0 && html` <span class="soft">→ ${one.to.join(", ")}</span>`} · ${one.type}
      ${one.versions.length > 0 && html`<span class="soft"> · version ${one.versions.map((version, at) => html`${at > 0 && ", "}<a href=${href("versions", { rest: [version] })}>${version}</a>`)}</span>`}
      <span class="soft small"> · ${time(one.time)}${later > 0 && `, ${seconds(later)} after the first`}</span></p>
    <p class="said-text">${cut(visible(one.says), CUT)}</p>
    <p class="small"><a class="mono" href=${href("events", { rest: [one.id] })}>${one.place}</a>
      <button type="button" class="button quiet small" onClick=${() => travel(one.id)}>All views as of here</button></p>
  </li>`;
}

function Sequence({ happened }) {
  const lanes = lanesOf(happened);
  const { margin, lane, box } = useNarrow() ? NARROW : WIDE;
  const at = (role) => margin + lane * (lanes.indexOf(role) + 0.5);
  const [width, height] = [margin + lane * lanes.length, HEAD + ROW * happened.length + 12];
  const said = happened.map((one) => `${one.role}${one.to?.length ? ` to ${one.to.join(" and ")}` : ""}: ${one.type}`).join(", then ");
  return html`<svg class="sequence" width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`} role="img" aria-label=${`In order: ${said}.`} data-testid="sequence">
    <defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L10 5L0 10z" class="tip" /></marker></defs>
    ${lanes.map((role) => html`<g key=${role} class="agent">
      <line class="lane" x1=${at(role)} x2=${at(role)} y1=${HEAD - 8} y2=${height - 4} />
      <rect x=${at(role) - box / 2} y="4" width=${box} height="28" rx="6" /><text class="name" x=${at(role)} y="23" text-anchor="middle">${role}</text>
    </g>`)}
    ${happened.map((one, order) => html`<${Said} key=${order} one=${one} y=${HEAD + ROW * (order + 0.6)} at=${at} margin=${margin} ends=${width} before=${happened[order - 1]} />`)}
  </svg>`;
}

function lanesOf(happened) {
  const names = new Set(happened.flatMap(({ role, to }) => [role, ...(to ?? [])]));
  const rank = (name) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  return [...names].sort((one, other) => rank(one) - rank(other) || one.localeCompare(other));
}

/** One event: from who says it to all who read it, at one height. */
function Said({ one, y, at, margin, ends: edge, before }) {
  const from = at(one.role);
  const ends = (one.to ?? []).filter((role) => role !== one.role).map(at);
  const toLeft = ends.length > 0 ? ends.every((end) => end < from) : from > edge - 120;
  const by = one.versions.length > 0 ? ` v${one.versions.join(", v")}` : "";
  return html`<g class="said-line">
    <text class="more" x=${margin - 6} y=${y + 4} text-anchor="end">${before ? `+ ${seconds(Math.max(0, passed(before, one)))}` : "first"}</text>
    ${ends.map((end) => html`<line key=${end} class="arrow" x1=${from} x2=${end} y1=${y} y2=${y} marker-end="url(#head)" />`)}
    <circle cx=${from} cy=${y} r="5" class="dot" />
    <text class="label" x=${toLeft ? from - 10 : from + 10} y=${y - 8} text-anchor=${toLeft ? "end" : "start"}>${oneLine(one.type)}${by}</text>
  </g>`;
}
