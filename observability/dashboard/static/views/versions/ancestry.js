/** The parents, branches and children of a version, drawn. */
import { html, useRef } from "../../lib/html.js";
import { count } from "../../lib/format.js";
import { href } from "../../lib/router.js";
import { useWidth } from "../../lib/size.js";
import { Card } from "../../components/bits.js";

const STEP = 74;
const HEIGHT = 44;
const MOST_BESIDE = 4;

export function Ancestry({ run, version }) {
  const box = useRef(null);
  const width = useWidth(box, 600);
  const { path = [version.version], path_length: length = path.length, children = [], siblings = [] } = version;
  const room = Math.max(2, Math.floor(width / STEP) - (children.length > 0 ? 1 : 0));
  const shown = shownOf(path, length, room);
  const x = (place) => 36 + place * STEP;
  const here = shown.length - 1;
  const beside = siblings.slice(0, MOST_BESIDE);
  const below = children.slice(0, MOST_BESIDE + 1);
  const rows = 1 + Math.max(beside.length, below.length - 1, 0);
  const said = `Version ${version.version} comes after ${length - 1} others${version.parent === null ? "" : `, the last of them ${version.parent}`}; it has ${children.length} children and ${siblings.length} siblings.`;
  return html`<${Card} title="Where it comes from" about=${`${count(length - 1)} versions before it, ${count(siblings.length)} beside it, ${count(children.length)} made of it`} testid="ancestry">
    <div class="ancestry" ref=${box}>
      <p class="hidden">${said}</p>
      <svg width=${width} height=${rows * HEIGHT + 8} role="group" aria-label="Parents, siblings and children">
        ${shown.slice(1).map((_, place) => html`<${Edge} key=${place} from=${[x(place), 24]} to=${[x(place + 1), 24]} />`)}
        ${beside.map((_, row) => html`<${Edge} key=${`s${row}`} from=${[x(here - 1), 24]} to=${[x(here), 24 + (row + 1) * HEIGHT]} />`)}
        ${below.map((_, row) => html`<${Edge} key=${`c${row}`} from=${[x(here), 24]} to=${[x(here + 1), 24 + row * HEIGHT]} />`)}
        ${shown.map((name, place) => html`<${Node} key=${name ?? "gap"} run=${run} name=${name} x=${x(place)} y=${24} kind=${place === here ? "this" : ""} />`)}
        ${beside.map((name, row) => html`<${Node} key=${name} run=${run} name=${name} x=${x(here)} y=${24 + (row + 1) * HEIGHT} kind="side" />`)}
        ${below.map((name, row) => html`<${Node} key=${name} run=${run} name=${name} x=${x(here + 1)} y=${24 + row * HEIGHT} kind="" />`)}
      </svg>
      ${siblings.length > beside.length && html`<p class="soft small">${count(siblings.length - beside.length)} more beside it.</p>`}
      ${children.length > below.length && html`<p class="soft small">${count(children.length - below.length)} more were made of it.</p>`}
    </div>
  <//>`;
}

/** The path from the first version to this one, a gap (null) where there is no room. */
function shownOf(path, length, room) {
  const oldest = [...path].reverse();
  if (length <= room && oldest.length === length) return oldest;
  if (room < 4) return oldest.slice(-room);
  const tail = oldest.slice(-(room - 2));
  const first = path.length === length ? oldest[0] : null;
  return first === null || tail.includes(first) ? [null, ...tail] : [first, null, ...tail];
}

const Edge = ({ from: [x, y], to: [toX, toY] }) => html`<path class="edge" d=${`M${x} ${y}C${(x + toX) / 2} ${y} ${(x + toX) / 2} ${toY} ${toX} ${toY}`} />`;

function Node({ run, name, x, y, kind }) {
  if (name === null) return html`<text class="node-gap" x=${x} y=${y + 5} text-anchor="middle">…</text>`;
  const wide = 24 + String(name).length * 8;
  return html`<a class=${`node ${kind}`} href=${href("versions", { run, rest: [name] })} aria-label=${`version ${name}`} aria-current=${kind === "this" ? "true" : null}>
    <rect x=${x - wide / 2} y=${y - 14} width=${wide} height="28" rx="14" />
    <text x=${x} y=${y + 5} text-anchor="middle">${name}</text>
  </a>`;
}
