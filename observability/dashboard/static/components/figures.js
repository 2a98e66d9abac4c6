/** Figures with their names above them, as small as the text around. */
import { html } from "../lib/html.js";

/** `figures`: [{name, value, more, title}]; what is falsy is left out. */
export const Figures = ({ figures, testid }) =>
  html`<dl class="figures" data-testid=${testid}>
    ${figures.filter(Boolean).map(({ name, value, more, title }) => html`<div key=${name} title=${title}>
      <dt>${name}</dt>
      <dd>${value}${more && html` <small class="soft">${more}</small>`}</dd>
    </div>`)}
  </dl>`;
