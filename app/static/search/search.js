// The search page. Everything that comes from the server is put in as text, never as HTML.
"use strict";

const collection = document.body.dataset.collection;
const form = document.querySelector("form");
const status = document.getElementById("status");
const list = document.getElementById("hits");
const timing = document.getElementById("timing");
const keyRow = document.getElementById("key-row");
const numbers = new Intl.NumberFormat(undefined, { maximumFractionDigits: 3 });
const exact = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 6 });
const milliseconds = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
let running = null;

/** Make an element with text or children. */
function make(name, { className = "", text = null, children = [] } = {}) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== null) node.textContent = text;
  node.append(...children);
  return node;
}

const ENTITIES = { "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#x27;": "'", "&#39;": "'", "&amp;": "&" };

/** Turn the server's highlight, escaped text with <em>, into nodes: only <em> has a meaning. */
function highlighted(html) {
  return html.split(/(<em>.*?<\/em>)/s).filter(Boolean).map((part) => {
    const inner = part.replace(/^<em>|<\/em>$/g, "");
    const text = inner.replace(/&(lt|gt|quot|amp|#x27|#39);/g, (entity) => ENTITIES[entity]);
    return part.startsWith("<em>") ? make("mark", { text }) : document.createTextNode(text);
  });
}

function chunkOf(chunk) {
  const words = chunk.highlight ? highlighted(chunk.highlight) : [chunk.text ?? ""];
  const score = make("small", { text: ` ${numbers.format(chunk.score)}` });
  return make("p", { className: "chunk", children: [...words, score] });
}

/** What else is known of a node of an explanation: the chunk's position, the rank, the mode. */
function detailsOf({ value, name, doc, operands, params, ...extras }) {
  return Object.entries({ ...extras, ...params })
    .filter(([, detail]) => detail !== null && typeof detail !== "object")
    .map(([key, detail]) => make("span", { className: "tag", text: `${key.replaceAll("_", " ")} ${detail}` }));
}

const MOST_OPERANDS = 12;

/** One node of an explanation: its value, what it is called, and what it was made of. */
function treeOf(node) {
  const children = [make("b", { text: exact.format(node.value) }), ` ${node.name} `, ...detailsOf(node)];
  if (node.doc) children.push(make("small", { text: ` ${node.doc}` }));
  const inner = node.operands ?? [];
  const [first, rest] = [inner.slice(0, MOST_OPERANDS), inner.slice(MOST_OPERANDS)];
  if (first.length) children.push(make("ul", { children: first.map(treeOf) }));
  if (rest.length) children.push(unfolding(`${rest.length} more`, make("ul", { children: rest.map(treeOf) })));
  return make("li", { children });
}

function unfolding(label, content) {
  return make("details", { children: [make("summary", { text: label }), content] });
}

function hitOf(hit) {
  const meta = make("div", { className: "meta" });
  meta.append(make("span", { className: "score", text: `score ${numbers.format(hit.score)}` }));
  for (const [name, value] of Object.entries(hit.tags ?? {})) {
    const shown = typeof value === "object" ? JSON.stringify(value) : String(value);
    meta.append(make("span", { className: "tag", text: `${name}: ${shown}` }));
  }
  const children = [make("h2", { text: hit.id }), meta, ...hit.chunks.map(chunkOf)];
  const text = hit.content?.text;
  if (text) children.push(unfolding("whole text", make("pre", { text })));
  const tree = hit.explanation;
  if (tree) children.push(unfolding("why this score", make("ul", { className: "tree", children: [treeOf(tree)] })));
  return make("li", { className: "hit", children });
}

function timingOf(trace) {
  const rows = (trace?.stages ?? []).map((stage) =>
    make("tr", {
      children: [
        make("td", { text: stage.stage }),
        make("td", { text: milliseconds.format(stage.queue_ms) }),
        make("td", { text: milliseconds.format(stage.work_ms) }),
      ],
    }));
  const head = make("tr", {
    children: ["stage", "waited ms", "worked ms"].map((text) => make("th", { text })),
  });
  return make("table", { children: [head, ...rows] });
}

function say(text, isWarning = false) {
  status.textContent = text;
  status.classList.toggle("warning", isWarning);
}

function show(answer, tookMs) {
  list.replaceChildren(...answer.hits.map(hitOf));
  const { shards_ok: ok, shards_total: total, degraded } = answer.coverage;
  const count = answer.hits.length === 1 ? "1 document" : `${answer.hits.length} documents`;
  const shards = `${ok} of ${total} shards answered`;
  say(`${count} in ${milliseconds.format(answer.took_ms)} ms (${Math.round(tookMs)} ms here); ${shards}`, degraded);
  timing.replaceChildren();
  if (answer.trace?.stages?.length) timing.append(unfolding("where the time went", timingOf(answer.trace)));
}

function bodyOf(data) {
  return {
    query: { text: data.get("q") },
    limit: Number(data.get("limit")),
    highlight: true,
    trace: true,
    explain: data.has("explain"),
  };
}

async function search(data, signal) {
  const key = sessionStorage.getItem("gnes-key");
  const headers = { "content-type": "application/json", ...(key ? { "api-key": key } : {}) };
  const path = `/v1/collections/${encodeURIComponent(collection)}/search`;
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(bodyOf(data)), signal });
  const answer = await response.json();
  if (response.status === 401) keyRow.hidden = false;
  if (!response.ok) throw new Error(`${answer.title}: ${answer.detail}`);
  return answer;
}

async function run(isFromHistory = false) {
  const data = new FormData(form);
  if (!data.get("q").trim()) return;
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  if (!isFromHistory) {
    history.pushState(null, "", `?${new URLSearchParams([...data].filter(([name]) => name !== "key"))}`);
  }
  say("Searching…");
  list.setAttribute("aria-busy", "true");
  const started = performance.now();
  try {
    show(await search(data, signal), performance.now() - started);
  } catch (error) {
    if (signal.aborted) return;
    list.replaceChildren();
    timing.replaceChildren();
    say(error.message, true);
  }
  list.removeAttribute("aria-busy");
}

/** Fill the form from the address, so that a search can be shared and gone back to. */
function restore() {
  const wanted = new URLSearchParams(location.search);
  form.elements.q.value = wanted.get("q") ?? "";
  if (wanted.has("limit")) form.elements.limit.value = wanted.get("limit");
  if (!form.elements.limit.value) form.elements.limit.value = "10";
  form.elements.explain.checked = wanted.has("explain");
  list.replaceChildren();
  timing.replaceChildren();
  say("");
  run(true);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const key = form.elements.key.value;
  if (key) sessionStorage.setItem("gnes-key", key);
  run();
});
window.addEventListener("popstate", restore);
restore();
