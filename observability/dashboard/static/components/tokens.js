/** What a model sampled, token by token: how likely each was, as colour and as figures. */
import { html, useState } from "../lib/html.js";
import { count, number } from "../lib/format.js";
import { exact } from "../lib/visible.js";

const MOST = 400;
/** Tokens that were less likely than this are of the next class. */
const BOUNDS = [0.9, 0.5, 0.2, 0.05];
const NAMES = ["over 90 %", "50–90 %", "20–50 %", "5–20 %", "under 5 %"];

const classOf = (logprob) => BOUNDS.filter((bound) => Math.exp(logprob) < bound).length;

export const TokenLegend = () =>
  html`<div class="token-legend small soft" data-testid="token-legend">
    <span>How likely a token was:</span>
    ${NAMES.map((name, at) => html`<span key=${name}><span class=${`token lp${at}`}>${at === NAMES.length - 1 ? "rare" : "abc"}</span> ${name}</span>`)}
  </div>`;

/** `tokens`: [[piece, log-probability]]. Arrow keys and the pointer say the figures of a token. */
export function Tokens({ tokens, label, known = true }) {
  const [at, setAt] = useState(null);
  const [whole, setWhole] = useState(false);
  const shown = whole ? tokens : tokens.slice(0, MOST);
  if (tokens.length === 0) return html`<p class="soft small">no token</p>`;
  const pressed = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -10, ArrowDown: 10 }[event.key];
    const next = event.key === "Home" ? 0 : event.key === "End" ? shown.length - 1 : step && (at ?? (step < 0 ? shown.length : -1)) + step;
    if (next === undefined) return;
    event.preventDefault();
    setAt(Math.min(shown.length - 1, Math.max(0, next)));
  };
  return html`<div class="tokens">
    <div class="token-strip" dir="ltr" tabindex="0" role="group" aria-label=${label} data-testid="tokens"
      onKeyDown=${pressed} onPointerLeave=${() => setAt(null)} onBlur=${() => setAt(null)}>
      ${shown.map(([piece, logprob], order) => html`<bdi key=${order} class=${`token lp${classOf(logprob)} ${order === at ? "active" : ""}`}
        onPointerEnter=${() => setAt(order)}>${exact(piece)}</bdi>`)}
    </div>
    ${tokens.length > MOST && html`<button type="button" class="button quiet small" aria-expanded=${whole} onClick=${() => setWhole(!whole)}>
      ${whole ? "Show fewer" : `Show all ${count(tokens.length)} tokens`}</button>`}
    <p class="token-said small" aria-live="polite" data-testid="token-said">${at === null ? summary(tokens, known) : told(tokens, at)}</p>
  </div>`;
}

function summary(tokens, known) {
  const sum = tokens.reduce((total, [, logprob]) => total + logprob, 0);
  const words = `${count(tokens.length)} ${tokens.length === 1 ? "token" : "tokens"}, log-probability ${signed(sum)}`;
  return known ? words : `${words}; the tokenizer is not here, so these are the tokens' numbers`;
}

function told(tokens, at) {
  const [piece, logprob] = tokens[at];
  return html`token ${count(at + 1)} of ${count(tokens.length)} <bdi class="mono">${exact(piece)}</bdi>: ${likely(logprob)}, log-probability ${signed(logprob)}`;
}

const likely = (logprob) => {
  const share = Math.exp(logprob);
  return share > 0.9995 ? "over 99.9 %" : share >= 0.01 ? `${(100 * share).toFixed(1)} %` : `${number(100 * share)} %`;
};

const signed = (value) => (value < 0 ? `−${Math.abs(value).toFixed(2)}` : value.toFixed(2));
