/** The time slider: sets all views to one position of the log, and says which. */
import { html, useEffect, useMemo, useRef, useState } from "../lib/html.js";
import { count, counted, time } from "../lib/format.js";
import { Steps, travel, usePlace } from "../lib/travel.js";

const SETTLES = 60;

/** `at` is the position in the address, null at the end of the log. */
export function TimeSlider({ run, at }) {
  const { data, error } = usePlace(run, at);
  const steps = useMemo(() => new Steps(), [run]);
  const [held, setHeld] = useState(null);
  const [wrong, setWrong] = useState(null);
  const timer = useRef(null);
  const last = useRef(null);

  useEffect(() => setHeld(null), [data]);
  useEffect(() => setWrong(null), [at]);
  useEffect(() => () => clearTimeout(timer.current), []);

  const max = data?.steps ?? 0;
  const place = data && (at === null ? max : data.step);
  const step = held ?? place ?? max;
  const to = (next, wait = 0) => {
    setHeld(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(async () => setWrong(await steps.to(run, next, max)), wait);
  };
  last.current = data ?? last.current;
  const said = held !== null && held !== place ? `step ${count(step)} of ${count(max)}` : placed(data ?? last.current, at);
  const travelling = at !== null;
  const amiss = wrong ?? (travelling ? error : null);

  return html`<section class=${`slider ${travelling ? "travelling" : ""}`} aria-label="Position in time" data-testid="slider">
    <div class="slider-steps">
      <${Step} name="start" sign="M5 3v10M13 3l-6 5l6 5z" label="To the start of the log" off=${!data || step <= 0} onClick=${() => to(0)} />
      <${Step} name="previous" sign="M11 3l-6 5l6 5z" label="Previous version" off=${!data || step <= 0} onClick=${() => to(at === null ? max - 1 : (data.previous ?? step - 1))} />
      <input class="slider-range" type="range" min="0" max=${max} step="1" value=${step} disabled=${!data}
        aria-label="Position in the log, by versions" aria-valuetext=${said} data-testid="slider-range"
        onInput=${(event) => to(Number(event.currentTarget.value), SETTLES)} />
      <${Step} name="next" sign="M5 3l6 5l-6 5z" label="Next version" off=${!data || !travelling} onClick=${() => to(data.next ?? step + 1)} />
      <${Step} name="end" sign="M3 3l6 5l-6 5zM11 3v10" label="To now" off=${!data || !travelling} onClick=${() => travel(null)} />
    </div>
    <${Asked} at=${at} />
    <p class="slider-said" role=${travelling ? "status" : null} data-testid="slider-said">
      ${travelling ? html`<b>Paused</b> at ${said}` : html`<b>Now</b>${said && ` · ${said}`}`}
    </p>
    ${travelling && html`<button type="button" class="button first" data-testid="back-to-now" onClick=${() => travel(null)}>Back to now</button>`}
    ${amiss && html`<p class="slider-wrong bad" role="alert" data-testid="slider-error">${amiss}</p>`}
  </section>`;
}

const Step = ({ name, sign, label, off, onClick }) =>
  html`<button type="button" class="button icon" aria-label=${label} title=${label} disabled=${off} data-testid=${`slider-${name}`} onClick=${onClick}>
    <svg class="sign" viewBox="0 0 16 16" aria-hidden="true"><path d=${sign} /></svg>
  </button>`;

/** The field takes what \`--at\` takes. */
function Asked({ at }) {
  const [text, setText] = useState(at ?? "");
  useEffect(() => setText(at ?? ""), [at]);
  const asked = (event) => {
    event.preventDefault();
    travel(text.trim() || null);
  };
  return html`<form class="slider-at" onSubmit=${asked}>
    <label class="soft small" for="slider-at">at</label>
    <input id="slider-at" class="field" value=${text} placeholder="version, time, event, offsets" spellcheck="false" autocomplete="off"
      data-testid="slider-at" onInput=${(event) => setText(event.currentTarget.value)} />
    <button class="button" type="submit">Go</button>
  </form>`;
}

function placed(data, at) {
  if (!data) return at ?? "";
  const version = data.version === null || data.version === undefined ? "before version 0" : `version ${data.version}`;
  const moment = data.time ? ` · ${time(data.time)}` : "";
  return `${version}${moment} · ${counted(data.events, "event")}`;
}
