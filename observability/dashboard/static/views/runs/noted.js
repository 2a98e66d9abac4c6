/** Tags and a note of a run: read, and written where this page may. */
import { html, useState } from "../../lib/html.js";
import { Value } from "../../components/bits.js";
import { Said } from "../../components/said.js";
import { Note } from "../../components/words.js";
import { ApiError, of, send } from "../../lib/api.js";
import { go, here } from "../../lib/router.js";
import { oneLine } from "../../lib/visible.js";

export function Noted({ run, mayWrite, reload }) {
  const [open, setOpen] = useState(false);
  const tags = run.tags ?? [];
  if (open) return html`<${Form} run=${run} onDone=${() => (setOpen(false), reload())} onClose=${() => setOpen(false)} />`;
  return html`<div class="row noted">
    ${tags.map((tag) => html`<span class="badge" key=${tag}><${Value} title=${`Only ${tag}`} testid="tag" onPick=${() => go(here({ tag }))}>${oneLine(tag)}<//></span>`)}
    ${run.note && html`<${Said} text=${run.note} testid="note-text" />`}
    ${mayWrite && html`<button type="button" class="button quiet small" data-testid="edit-note" onClick=${() => setOpen(true)}>${tags.length || run.note ? "Change tags and note" : "Add tags or a note"}</button>`}
  </div>`;
}

function Form({ run, onDone, onClose }) {
  const [wrong, setWrong] = useState(null);
  const saved = async (event) => {
    event.preventDefault();
    const said = new FormData(event.currentTarget);
    const tags = said.get("tags").split(",").map((tag) => tag.trim()).filter(Boolean);
    try {
      await send("PATCH", of(run.id), { tags, note: said.get("note") });
      onDone();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setWrong(error.sentence);
    }
  };
  return html`<form class="stack" onSubmit=${saved}>
    <label class="labelled"><span>Tags, with commas between</span><input class="field" name="tags" defaultValue=${(run.tags ?? []).join(", ")} autocomplete="off" data-testid="tags" /></label>
    <label class="labelled"><span>Note</span><textarea class="field" name="note" rows="3" defaultValue=${run.note ?? ""} data-testid="note-field"></textarea></label>
    ${wrong && html`<${Note} kind="bad">${wrong}<//>`}
    <div class="row"><button class="button first" type="submit" data-testid="save-note">Save</button><button class="button" type="button" onClick=${onClose}>Cancel</button></div>
  </form>`;
}
