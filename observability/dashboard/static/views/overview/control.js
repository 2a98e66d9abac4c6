/** Pause, resume, stop and another objective, where the page may say so: each is an event of the log. */
import { html, useEffect, useState } from "../../lib/html.js";
import { ApiError, of, send, useApi } from "../../lib/api.js";
import { Card } from "../../components/bits.js";
import { Empty, Note } from "../../components/words.js";

const ALL = "";
const SURE = 4000;

export function Control({ run, roles }) {
  const session = useApi("/session");
  const [role, setRole] = useState(ALL);
  const [said, setSaid] = useState(null);
  if (session.data === null) return null;
  const tell = async (command) => {
    try {
      const told = await send("POST", of(run, "control"), command);
      setSaid({ kind: "", text: `${told.command} was said to ${told.role ?? "all"}; the roles do so when they read it.` });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setSaid({ kind: "bad", text: error.sentence });
    }
  };
  const order = (command) => tell({ command, role: role || null });
  return html`<${Card} title="Control" about="what is said here stands on the log, as what is said in a terminal" testid="control">
    ${session.data.control
      ? html`<div class="row">
            <label class="soft small" for="control-role">to</label>
            <select id="control-role" class="field" data-testid="control-role" onChange=${(event) => setRole(event.currentTarget.value)}>
              <option value=${ALL}>all roles</option>
              ${roles.map((one) => html`<option key=${one.role} value=${one.role} selected=${one.role === role}>${one.role}</option>`)}
            </select>
            <button type="button" class="button" data-testid="pause" onClick=${() => order("pause")}>Pause</button>
            <button type="button" class="button" data-testid="resume" onClick=${() => order("resume")}>Resume</button>
            <${Stop} onStop=${() => order("stop")} />
            <${Objective} onSay=${(settings) => tell({ command: "objective", settings })} />
          </div>
          ${said && html`<${Note} kind=${said.kind} testid="control-said">${said.text}<//>`}`
      : html`<${Empty} testid="control-none">This page only watches: a dashboard that is started with --control may pause, resume and stop.<//>`}
  <//>`;
}

/** Asks once more before it stops anything. */
function Stop({ onStop }) {
  const [asked, setAsked] = useState(false);
  useEffect(() => {
    if (!asked) return undefined;
    const timer = setTimeout(() => setAsked(false), SURE);
    return () => clearTimeout(timer);
  }, [asked]);
  const pressed = () => {
    setAsked(!asked);
    if (asked) onStop();
  };
  return html`<button type="button" class="button" data-testid="stop" onClick=${pressed}>${asked ? "Stop: press again" : "Stop"}</button>`;
}

function Objective({ onSay }) {
  const [text, setText] = useState("");
  const said = (event) => {
    event.preventDefault();
    if (text.trim()) onSay(text.trim().split(/\s+/));
  };
  return html`<form class="row" onSubmit=${said}>
    <label class="soft small" for="objective">objective</label>
    <input id="objective" class="field" placeholder="advance_at=0.5" value=${text} data-testid="objective" onInput=${(event) => setText(event.currentTarget.value)} />
    <button type="submit" class="button">Say</button>
  </form>`;
}
