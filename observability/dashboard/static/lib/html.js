/** Markup and state. Text that is put into `html` is text, never markup; nothing here writes markup from a string. */
import { h } from "../vendor/preact/preact.module.js";
import htm from "../vendor/htm/htm.module.js";

export { render } from "../vendor/preact/preact.module.js";
export {
  useEffect,
  useErrorBoundary,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "../vendor/preact/hooks.module.js";

export const html = htm.bind(h);
