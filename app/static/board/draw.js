// What both halves of the Board share. Everything from the server is put in as text or parsed as
// SVG by the browser's XML parser, which runs no scripts of its own here: the policy allows none.
"use strict";

/** Make an element with text or children. */
function make(name, { className = "", text = null, children = [], attributes = {} } = {}) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== null) node.textContent = text;
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** Ask our server; the answer is JSON, a failure an Error with the problem's words. */
async function ask(path, body = null, signal = undefined) {
  const key = sessionStorage.getItem("gnes-key");
  const headers = { ...(body ? { "content-type": "application/json" } : {}), ...(key ? { "api-key": key } : {}) };
  const method = body ? "POST" : "GET";
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body), signal });
  const answer = await response.json();
  if (response.status === 401) document.getElementById("key-form").hidden = false;
  if (!response.ok) throw new Error(`${answer.title}: ${answer.detail}`);
  return answer;
}

/** Narrow pages get drawings that run from the top down. */
const narrow = matchMedia("(max-width: 40rem)");

/** Show the drawing that fits the page in a place of it, and return its SVG element. */
function drawInto(place, { svg, svg_down: down }) {
  const parsed = new DOMParser().parseFromString(narrow.matches ? down : svg, "image/svg+xml").documentElement;
  const drawing = document.importNode(parsed, true);
  drawing.style.setProperty("--own-width", `${drawing.getAttribute("width")}px`);
  place.replaceChildren(drawing);
  place.scrollLeft = narrow.matches ? (place.scrollWidth - place.clientWidth) / 2 : 0;
  return drawing;
}

document.getElementById("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("gnes-key", event.target.elements.key.value);
  event.target.hidden = true;
  document.dispatchEvent(new Event("gnes-key"));
});
