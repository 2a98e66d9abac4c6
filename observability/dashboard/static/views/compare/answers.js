/** The same problem, answered by both sides. */
import { html } from "../../lib/html.js";
import { count } from "../../lib/format.js";
import { href } from "../../lib/router.js";
import { Badge, Card } from "../../components/bits.js";
import { Empty, Note } from "../../components/words.js";

export const Answers = ({ answers, names, sides }) => html`<${Card} title="The same problem, answered by both" testid="answers">
  ${!answers.available && answers.why && html`<${Note} testid="answers-why">${answers.why}<//>`}
  ${answers.problems.length === 0
    ? html`<${Empty}>No problem was asked of both.<//>`
    : html`<div class="scroll tall" tabindex="0" role="group" aria-label="Problems"><table class="plain answers">
        <thead><tr><th>problem</th><th>right answer</th>${names.map((name) => html`<th>${name}</th>`)}</tr></thead>
        <tbody>${answers.problems.map((problem, at) => html`<tr key=${at}>
          <td><span class="mono breaks">${problem.question}</span><br /><span class="soft small">${problem.family} ${problem.level}</span></td>
          <td class="mono breaks">${problem.answer}</td>
          <${Given} side=${problem.a} run=${sides[0]} right=${problem.answer} /><${Given} side=${problem.b} run=${sides[1]} right=${problem.answer} />
        </tr>`)}</tbody>
      </table></div>`}
<//>`;

const MOST = 8;

/** Every answer once, with how often it was given, the most frequent first. */
function counted(answers) {
  const times = new Map();
  for (const answer of answers) times.set(answer, (times.get(answer) ?? 0) + 1);
  return [...times].sort(([, a], [, b]) => b - a);
}

function Given({ side, run, right }) {
  if (!side) return html`<td class="soft">not asked</td>`;
  const given = counted(side.answers);
  return html`<td>
    <${Badge} kind=${side.correct === side.samples ? "good" : side.correct === 0 ? "bad" : "warn"}>${count(side.correct)} of ${count(side.samples)} right<//>
    ${side.task && html` <a class="small" href=${href("tasks", { run, rest: [side.task], query: { at: null } })}>by version ${side.version}</a>`}
    <ul class="given">${given.slice(0, MOST).map(([answer, times]) => html`<li key=${answer}>
      <span class=${`mono breaks ${answer === right ? "good" : ""}`}>${answer || html`<span class="soft">(nothing)</span>`}</span>${times > 1 && html`<span class="soft small"> × ${count(times)}</span>`}
    </li>`)}</ul>
    ${given.length > MOST && html`<span class="soft small">and ${count(given.length - MOST)} more</span>`}
  </td>`;
}
