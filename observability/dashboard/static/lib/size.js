/** How wide a part of the page is, as it changes. */
import { useEffect, useState } from "./html.js";

/** The width of the element of `ref` in pixels; `first` until it is known. */
export function useWidth(ref, first) {
  const [width, setWidth] = useState(first);
  useEffect(() => {
    const watcher = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    watcher.observe(ref.current);
    return () => watcher.disconnect();
  }, []);
  return width;
}
