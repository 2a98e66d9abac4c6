/** Figures as people read them: each with its unit, none with more digits than it means. */

const NONE = "–";
const WHOLE = new Intl.NumberFormat("en");
const TIME = new Intl.DateTimeFormat("en-GB", {
  year: "numeric", month: "short", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
});
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export const known = (value) => value !== null && value !== undefined && !Number.isNaN(value);

/** 21760 as 21,760. */
export const count = (value) => (known(value) ? WHOLE.format(Math.round(value)) : NONE);

/** 1 event, 21,760 events. */
export const counted = (value, thing) => `${count(value)} ${thing}${value === 1 ? "" : "s"}`;

/** Three digits that mean something: 0.0549, 10.7, 13,430. */
export function number(value) {
  if (!known(value)) return NONE;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1000) return WHOLE.format(Math.round(value));
  if (size < 0.001) return value.toExponential(1).replace("e", " e");
  return String(Number(value.toPrecision(3)));
}

/** 0.057 as 5.7 %. */
export function percent(value) {
  if (!known(value)) return NONE;
  const digits = value > 0 && value < 0.1 ? 1 : 0;
  return `${(100 * value).toFixed(digits)} %`;
}

/** 0.057 as 5.7: a share where its title says that it is of a hundred. */
export const points = (value) => (known(value) ? String(Math.round(1000 * value) / 10) : NONE);

/** An interval of shares: 1.6–12.9 %. */
export const interval = (pair) => {
  if (!pair) return NONE;
  const [low, high] = pair.map((value) => (100 * value).toFixed(1));
  return `${low}–${high} %`;
};

export function seconds(value) {
  if (!known(value)) return NONE;
  if (value < 0.001) return value === 0 ? "0 s" : `${number(value * 1e6)} µs`;
  if (value < 1) return `${number(value * 1000)} ms`;
  if (value < 120) return `${number(value)} s`;
  if (value < 7200) return `${Math.round(value / 60)} min`;
  if (value < 172800) return `${number(value / 3600)} h`;
  return `${number(value / 86400)} d`;
}

export function bytes(value) {
  if (!known(value)) return NONE;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let rank = 0;
  while (value >= 1000 && rank < units.length - 1) {
    value /= 1000;
    rank += 1;
  }
  return `${number(value)} ${units[rank]}`;
}

/** A moment, in the clock of who reads; `null` where there is none. */
export const date = (text) => {
  const moment = text === null || text === undefined ? null : new Date(text);
  return moment === null || Number.isNaN(moment.valueOf()) ? null : moment;
};

export const time = (text) => (date(text) ? TIME.format(date(text)) : NONE);
export const clock = (text) => (date(text) ? CLOCK.format(date(text)) : NONE);

const AGES = [[172800, "d", 86400], [7200, "h", 3600], [120, "min", 60], [1, "s", 1]];

/** How long ago a moment was. */
export function ago(text, now = Date.now()) {
  const moment = date(text);
  if (!moment) return NONE;
  const past = Math.max(0, (now - moment.valueOf()) / 1000);
  const unit = AGES.find(([least]) => past >= least);
  return unit ? `${Math.floor(past / unit[2])} ${unit[1]} ago` : "a moment ago";
}

/** Text cut to a length, for where a line has no more room. */
export const cut = (text, length) => {
  const letters = [...String(text)];
  return letters.length > length ? `${letters.slice(0, length - 1).join("")}…` : letters.join("");
};
