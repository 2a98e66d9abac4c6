/** Light or dark: as the system has it, until a person says otherwise. */
import { Store } from "./store.js";

const KEY = "evolvent.theme";
const SYSTEM = window.matchMedia("(prefers-color-scheme: dark)");

function remembered() {
  try {
    return window.localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

const worn = () => document.documentElement.dataset.theme || (SYSTEM.matches ? "dark" : "light");

/** "light" or "dark", as it is worn. */
export const theme = new Store("light");

export function dress() {
  const said = remembered();
  if (said === "light" || said === "dark") document.documentElement.dataset.theme = said;
  theme.set(worn());
  SYSTEM.addEventListener("change", () => theme.set(worn()));
}

export function turn() {
  const next = worn() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try {
    window.localStorage.setItem(KEY, next);
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
  theme.set(next);
}

/** A colour of the style sheet as it is worn, for what is drawn on a canvas; `share`: how opaque. */
export function colour(name, share = 1) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const said = getComputedStyle(probe).color;
  probe.remove();
  return share === 1 ? said : said.replace("rgb(", "rgba(").replace(")", `, ${share})`);
}

/** The fonts of the page, for a canvas. */
export const font = (pixels) => `${pixels}px ${getComputedStyle(document.body).fontFamily}`;
