// Small things that all parts of the page use.

export const numbers = new Intl.NumberFormat(undefined, { maximumFractionDigits: 3 });

/** Make an element with text or children, and attributes. Text is put in as text, never as HTML. */
export function make(name, { className = "", text = null, children = [], ...attributes } = {}) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== null) node.textContent = text;
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

export function button(text, onClick, attributes = {}) {
  const node = make("button", { text, type: "button", ...attributes });
  node.addEventListener("click", onClick);
  return node;
}

/** Seconds as a clock shows them: 1:02:03, or 2:03.5 with tenths, rounded. */
export function clock(seconds) {
  const all = Math.round(seconds * 10);
  const [whole, tenths] = [Math.floor(all / 10), all % 10];
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const start = hours ? `${hours}:${two(minutes)}` : String(minutes);
  return `${start}:${two(whole % 60)}${tenths ? `.${tenths}` : ""}`;
}
