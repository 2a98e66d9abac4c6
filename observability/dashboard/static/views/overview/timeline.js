/** The spine of a run: what became of each version. A click on it sets all views to that version. */
import { html, useMemo, useRef, useState } from "../../lib/html.js";
import { count, time } from "../../lib/format.js";
import { href } from "../../lib/router.js";
import { useWidth } from "../../lib/size.js";
import { travel } from "../../lib/travel.js";
import { Card } from "../../components/bits.js";
import { Empty } from "../../components/words.js";

const LANES = [
  { types: ["published"], title: "published", mark: "tick" },
  { types: ["swapped"], title: "served by the solver", mark: "tick" },
  { types: ["evaluated"], title: "evaluated", mark: "dot" },
  { types: ["promoted"], title: "promoted", mark: "up" },
  { types: ["rejected", "rolled_back"], title: "refused or rolled back", mark: "cross" },
  { types: ["started", "guard", "control"], title: "guards and operators", mark: "square" },
];
const SPOKEN = ["promoted", "rejected", "rolled_back", "guard", "control"];
const LANE = 24;
const NAMES = 150;
const EDGE = 10;

export function Timeline({ run, data }) {
  const lanes = useMemo(() => laned(placed(data.events)), [data]);
  const steps = data.events.map(({ step }) => step).filter((step) => step !== null);
  const low = Math.min(...extremes(steps)), high = Math.max(...extremes(steps));
  const spoken = data.events.filter(({ type }) => SPOKEN.includes(type));
  return html`<${Card} title="Versions over the run" about=${data.downsampled ? "click: all views at that version; not all versions are drawn" : "click: all views at that version"} testid="timeline">
    ${lanes.length === 0
      ? html`<${Empty}>No version has been published yet.<//>`
      : html`<${Lanes} lanes=${lanes} low=${low} high=${high} />`}
    ${spoken.length > 0 && html`<${Spoken} run=${run} events=${spoken} />`}
  <//>`;
}

const extremes = (steps) => [steps.reduce((a, b) => Math.min(a, b), Infinity), steps.reduce((a, b) => Math.max(a, b), -Infinity)];

/** What has no step of its own, as an operator's word, stands at the version before it. */
function placed(events) {
  let before = null;
  return events.map((one) => {
    before = one.step ?? before;
    return { ...one, step: before };
  });
}

function laned(events) {
  return LANES.map((lane) => ({ ...lane, events: events.filter(({ type, step }) => lane.types.includes(type) && step !== null) })).filter(
    ({ events: there }) => there.length > 0,
  );
}

function Lanes({ lanes, low, high }) {
  const box = useRef(null);
  const width = useWidth(box, 600);
  const [over, setOver] = useState(null);
  const names = width < 560 ? 0 : NAMES;
  const lane = names ? LANE : LANE + 16;
  const span = Math.max(1, high - low);
  const at = (step) => names + EDGE + ((step - low) / span) * (width - names - 2 * EDGE);
  const height = lanes.length * lane + 22;
  const stepAt = (event) => {
    const x = event.clientX - box.current.getBoundingClientRect().left;
    return Math.round(low + ((x - names - EDGE) / Math.max(1, width - names - 2 * EDGE)) * span);
  };
  const versionAt = (step) => nearest(lanes[0].events, Math.min(high, Math.max(low, step)));
  const said = `Versions ${versionAt(low).version} to ${versionAt(high).version}. ${lanes.map(({ title, events }) => `${title}: ${count(events.length)}`).join(", ")}.`;
  return html`<div class="spine" ref=${box} data-testid="timeline-lanes">
    <svg width=${width} height=${height} role="img" aria-label=${said}
      onMouseMove=${(event) => setOver(stepAt(event))} onMouseLeave=${() => setOver(null)}
      onClick=${(event) => travel(String(versionAt(stepAt(event)).version))}>
      ${lanes.map((one, row) => html`<g key=${one.title} class=${`spine-${one.mark}`}>
        <line class="spine-line" x1=${names} x2=${width} y1=${row * lane + lane - 12} y2=${row * lane + lane - 12} />
        <text class="spine-name" x=${names ? names - 8 : 0} y=${row * lane + (names ? 16 : 12)} text-anchor=${names ? "end" : "start"}>${one.title}</text>
        <path class="spine-marks" d=${one.events.map(({ step }) => marked(one.mark, at(step), row * lane + lane - 12)).join("")} />
      </g>`)}
      ${over !== null && html`<line class="spine-over" x1=${at(versionAt(over).step)} x2=${at(versionAt(over).step)} y1="0" y2=${height - 20} />`}
      <text class="spine-name" x=${at(low)} y=${height - 4} text-anchor="middle">${count(versionAt(low).version)}</text>
      ${high > low && html`<text class="spine-name" x=${at(high)} y=${height - 4} text-anchor="middle">${count(versionAt(high).version)}</text>`}
      <text class="spine-name" x=${(at(low) + at(high)) / 2} y=${height - 4} text-anchor="middle">${over === null ? "version" : `version ${count(versionAt(over).version)} · ${time(versionAt(over).time)}`}</text>
    </svg>
  </div>`;
}

const nearest = (events, step) => events.reduce((best, one) => (Math.abs(one.step - step) < Math.abs(best.step - step) ? one : best));

const MARKS = {
  tick: (x, y) => `M${x} ${y - 5}v10`,
  dot: (x, y) => `M${x - 3} ${y}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0`,
  up: (x, y) => `M${x - 5} ${y + 4}h10l-5 -9z`,
  cross: (x, y) => `M${x - 4} ${y - 4}l8 8m0 -8l-8 8`,
  square: (x, y) => `M${x - 3.5} ${y - 3.5}h7v7h-7z`,
};
const marked = (mark, x, y) => MARKS[mark](Number(x.toFixed(1)), y);

/** What was decided, in words, the newest first. */
function Spoken({ run, events }) {
  const newest = events.slice(-8).reverse();
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Decisions">
    <table class="plain small">
      <thead><tr><th>when</th><th>who</th><th>what</th><th>version</th><th>why</th></tr></thead>
      <tbody>
        ${newest.map((one, at) => html`<tr key=${at}>
          <td>${time(one.time)}</td>
          <td>${one.agent}</td>
          <td>${one.type === "guard" ? `guard ${one.detail?.guard}: ${one.detail?.command}` : one.label}</td>
          <td>${one.version === null ? "" : html`<a href=${href("versions", { run, rest: [one.version] })}>${one.version}</a>`}</td>
          <td>${one.detail?.reason ?? one.detail?.reasons?.join("; ") ?? ""}</td>
        </tr>`)}
      </tbody>
    </table>
    ${events.length > newest.length && html`<p class="soft small">The newest ${newest.length} of ${count(events.length)} decisions.</p>`}
  </div>`;
}
