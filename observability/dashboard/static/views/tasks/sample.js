/** One sample: its turns, seat by seat, and what the judges made of it. */
import { html } from "../../lib/html.js";
import { Badge } from "../../components/bits.js";
import { Said } from "../../components/said.js";
import { Tokens } from "../../components/tokens.js";
import { count, number } from "../../lib/format.js";

const FINISHED = { length: "cut at the longest answer", abort: "broken off" };

export function Sample({ sample, number: place }) {
  const { verdict, turns, versions, hinted } = sample;
  const several = turns.length > 1;
  return html`<article class="sample" aria-label=${`Sample ${place}`} data-testid="sample">
    <header class="row spread">
      <h3>Sample ${place}</h3>
      <span class="row">${hinted && html`<${Badge} title="The model was given a hint">hinted<//>`}<${Right} verdict=${verdict} /></span>
    </header>
    ${turns.map((turn, at) => html`<${TurnOf} key=${at} turn=${turn} label=${several ? `turn ${at + 1}` : "the answer"} numbered=${several ? at + 1 : null} />`)}
    <p class="small soft">${versions?.length > 0 ? `by version ${versions.join(", ")}` : "by nobody knows which version"}</p>
    ${verdict && html`<${Verdict} verdict=${verdict} />`}
  </article>`;
}

function Right({ verdict }) {
  if (!verdict) return html`<${Badge}>not judged<//>`;
  if (!verdict.known) return html`<${Badge} kind="warn">the judge cannot tell<//>`;
  return html`<${Badge} kind=${verdict.right ? "good" : verdict.reward > 0 ? "warn" : "bad"}>${verdict.right ? "✓ right" : verdict.reward > 0 ? "partly right" : "✗ wrong"}<//>`;
}

export function TurnOf({ turn, label, numbered = null }) {
  const said = [
    numbered && `turn ${numbered}`, turn.seat && `seat ${turn.seat}`, turn.policy && turn.policy !== "current" && `policy ${turn.policy}`,
    !turn.trainable && "not learned from", FINISHED[turn.finish_reason],
  ].filter(Boolean);
  return html`<div class="turn">
    ${said.length > 0 && html`<p class="small soft">${said.join(" · ")}</p>`}
    <${Tokens} tokens=${turn.tokens} known=${turn.pieces_known} label=${`The tokens of ${label}, with their probabilities`} />
    ${!turn.pieces_known && html`<${Said} text=${turn.text} />`}
    ${turn.prompt !== null && turn.prompt !== undefined && html`<details class="small"><summary>What the model read (${count(turn.num_prompt_tokens)} tokens)</summary><${Said} text=${turn.prompt} /></details>`}
  </div>`;
}

function Verdict({ verdict, within = false }) {
  const scores = Object.entries(verdict.scores ?? {});
  const seats = Object.entries(verdict.seats ?? {});
  const words = verdict.words ?? verdict.turn?.text ?? verdict.call?.answer;
  return html`<div class=${`verdict ${within ? "within" : ""}`} data-testid=${within ? "verdict-part" : "verdict"}>
    <p><b>${verdict.judge}</b> <span class="soft">reward</span> ${number(verdict.reward)}${!verdict.known && ", cannot tell"}</p>
    ${verdict.reason && html`<${Said} text=${verdict.reason} />`}
    ${scores.length > 0 && html`<${Named} named=${scores} />`}
    ${seats.length > 0 && html`<p class="small soft">rewards by seat</p><${Named} named=${seats} />`}
    ${words && html`<details class="small"><summary>What the judge said${verdict.call ? ` (${verdict.call.model})` : ""}</summary>
      ${verdict.call?.asked && html`<p class="soft">asked</p><${Said} text=${verdict.call.asked} />`}
      <${Said} text=${words} />
      ${verdict.turn && html`<${Tokens} tokens=${verdict.turn.tokens} known=${verdict.turn.pieces_known} label="The tokens of the judge" />`}</details>`}
    ${verdict.combined?.map((one, at) => html`<${Verdict} key=${at} verdict=${one} within=${true} />`)}
  </div>`;
}

const Named = ({ named }) =>
  html`<dl class="named small">${named.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${number(value)}</dd></div>`)}</dl>`;
