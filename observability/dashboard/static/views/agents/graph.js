/** The agents as boxes, what they say to each other as arrows; the tables below say the same. */
import { html } from "../../lib/html.js";
import { useNarrow } from "../../components/table.js";
import { count, known, number } from "../../lib/format.js";

const ORDER = ["proposer", "solver", "critic", "trainer", "evaluator", "operator"];
const WIDE = { width: 1080, height: 470, rx: 430, ry: 175, box: [148, 62], letter: 6.5, from: -145 };
const NARROW = { width: 366, height: 600, rx: 130, ry: 262, box: [100, 50], letter: 6, from: -90, brief: true };
/** Where along an arrow its words may stand, best first. */
const PLACES = [0.5, 0.42, 0.58, 0.34, 0.66, 0.27, 0.73, 0.2, 0.8];
const LINE = 15;

export function Graph({ roles, edges }) {
  const form = useNarrow() ? NARROW : WIDE;
  const nodes = placed(roles, edges, form);
  const arrows = drawn(edges, nodes, form);
  const said = edges.map((edge) => `${edge.from} to ${edge.to}: ${figured(edge)}`).join("; ");
  return html`<svg class="graph" viewBox=${`0 0 ${form.width} ${form.height}`} role="img" aria-label=${`Who talks to whom. ${said}.`} data-testid="graph-picture">
    <defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L10 5L0 10z" class="tip" /></marker></defs>
    ${arrows.map(({ path, weight, from, to }) => html`<path key=${`${from}/${to}`} d=${path} class="arrow" stroke-width=${weight} marker-end="url(#tip)" />`)}
    ${Object.values(nodes).map((node) => html`<${Box} key=${node.name} node=${node} form=${form} />`)}
    ${arrows.map(({ from, to, lines, box, waits }) => html`<g key=${`${from}/${to}/words`} class=${waits ? "words waits" : "words"}>
      <rect x=${box.x} y=${box.y} width=${box.width} height=${box.height} rx="4" />
      ${lines.map((line, at) => html`<text key=${at} x=${box.x + box.width / 2} y=${box.y + 11.5 + at * LINE} text-anchor="middle">${line}</text>`)}
    </g>`)}
  </svg>`;
}

function Box({ node, form }) {
  const [width, height] = form.box;
  const kind = node.paused ? "paused" : node.alive === false ? "away" : node.alive ? "alive" : "";
  return html`<g class=${`agent ${kind}`}>
    <rect x=${node.x - width / 2} y=${node.y - height / 2} width=${width} height=${height} rx="8" />
    <text class="name" x=${node.x} y=${node.y - 6} text-anchor="middle">${node.name}</text>
    <text class="more" x=${node.x} y=${node.y + 14} text-anchor="middle">${says(node)}</text>
  </g>`;
}

function says({ paused, alive, in_flight: hand, done }) {
  if (paused) return "paused";
  if (hand > 0) return `${count(hand)} in flight`;
  return known(done) && done > 0 ? `${count(done)} done` : alive === false ? "not running" : "";
}

/** Around an ellipse, in the order in which they speak. */
function placed(roles, edges, form) {
  const named = Object.fromEntries(roles.map((role) => [role.role, role]));
  const names = new Set([...roles.map(({ role }) => role), ...edges.flatMap(({ from, to }) => [from, to])]);
  const rank = (name) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  const ordered = [...names].sort((one, other) => rank(one) - rank(other) || one.localeCompare(other));
  return Object.fromEntries(ordered.map((name, at) => {
    const angle = ((form.from + (360 * at) / ordered.length) * Math.PI) / 180;
    const [x, y] = [form.width / 2 + form.rx * Math.cos(angle), form.height / 2 + form.ry * Math.sin(angle)];
    return [name, { ...named[name], name, x, y }];
  }));
}

/** One arrow for all topics from one agent to another, bent so that both ways are seen. */
function drawn(edges, nodes, form) {
  const pairs = Map.groupBy(edges, ({ from, to }) => `${from}\u0000${to}`);
  const taken = Object.values(nodes).map(({ x, y }) => around(x, y, ...form.box));
  return [...pairs.values()].filter(([{ from, to }]) => from !== to).map((topics) => {
    const [{ from, to }] = topics;
    const curve = bent(nodes[from], nodes[to], form);
    const lines = topics.map(form.brief ? ({ topic }) => topic : figured);
    const width = Math.max(...lines.map((line) => line.length)) * form.letter + 12;
    const boxes = PLACES.map((share) => around(...point(curve, share), width, lines.length * LINE + 3)).map((box) => inside(box, form));
    const box = boxes.find((one) => !taken.some((other) => overlap(one, other))) ?? boxes[0];
    taken.push(box);
    const total = topics.reduce((sum, { count: events }) => sum + events, 0);
    return { from, to, lines, box, path: pathOf(curve), weight: 1 + Math.log10(1 + total) / 2, waits: topics.some(({ backlog }) => backlog > 0) };
  });
}

const figured = ({ topic, count: events, per_second: rate }) => `${topic} ${count(events)}${rate > 0 ? ` · ${number(rate)}/s` : ""}`;

/** A curve from the edge of one box to that of another. */
function bent(one, other, form) {
  const [dx, dy] = [other.x - one.x, other.y - one.y];
  const length = Math.hypot(dx, dy) || 1;
  const bow = Math.min(46, length * 0.14);
  const control = [(one.x + other.x) / 2 - (dy / length) * bow, (one.y + other.y) / 2 + (dx / length) * bow];
  return [leaving(one, control, form.box), control, leaving(other, control, form.box)];
}

/** Where a line from the middle of a box towards a point leaves it. */
function leaving({ x, y }, [towardsX, towardsY], [width, height]) {
  const [dx, dy] = [towardsX - x, towardsY - y];
  const scale = Math.min((width / 2 + 3) / (Math.abs(dx) || 1e-9), (height / 2 + 3) / (Math.abs(dy) || 1e-9));
  return [x + dx * scale, y + dy * scale];
}

const pathOf = ([from, control, to]) => `M${from.map(Math.round)}Q${control.map(Math.round)} ${to.map(Math.round)}`;

const point = ([from, control, to], t) => [0, 1].map((axis) => (1 - t) ** 2 * from[axis] + 2 * t * (1 - t) * control[axis] + t ** 2 * to[axis]);

const around = (x, y, width, height) => ({ x: x - width / 2, y: y - height / 2, width, height });

const inside = (box, { width, height }) => ({ ...box, x: Math.min(width - box.width, Math.max(0, box.x)), y: Math.min(height - box.height, Math.max(0, box.y)) });

const overlap = (one, other) => one.x < other.x + other.width && other.x < one.x + one.width && one.y < other.y + other.height && other.y < one.y + one.height;
