/** What models and users wrote, as people can see it: what has no look of its own gets a sign. */

/** Everything but line breaks and tabs that is written and not seen, or turns the direction of writing. */
const UNSEEN = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
/** What joins two pictures to one is no text that hides. */
const JOINED = /\p{Extended_Pictographic}\ufe0f?$/u;
const PICTURE = /^\p{Extended_Pictographic}/u;

/** `text` with a sign for every character that has none: \u0000 as ␀, \u202e as ⟨U+202E⟩. */
export const visible = (text) =>
  String(text).replace(UNSEEN, (found, at, whole) => {
    const joins = found === "\u200d" && JOINED.test(whole.slice(Math.max(0, at - 3), at)) && PICTURE.test(whole.slice(at + 1));
    return joins ? found : sign(found);
  });

/** The same for a piece of text, of which every blank matters. */
export const exact = (text) => visible(text).replaceAll("\t", "→\t").replaceAll("\n", "⏎\n");

/** On one line. */
export const oneLine = (text) => visible(text).replace(/\s+/g, " ");

function sign(character) {
  const code = character.codePointAt(0);
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return "␡";
  return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
}
