// The search page. Everything that comes from the server is put in as text, never as HTML.
import { Files } from "./asking.js";
import { hitOf, milliseconds, timingOf, unfolding } from "./hits.js";

const { collection, takes } = document.body.dataset;
const form = document.querySelector("form");
const status = document.getElementById("status");
const list = document.getElementById("hits");
const timing = document.getElementById("timing");
const keyRow = document.getElementById("key-row");
let running = null;
let like = null; // the id of a document when more like it is asked for
const files = new Files(form, takes.split(" ").filter(Boolean), (fault) => {
  if (fault) {
    say(fault, true);
    return;
  }
  like = null;
  run();
});

function say(text, isWarning = false) {
  status.textContent = text;
  status.classList.toggle("warning", isWarning);
}

function show(answer, tookMs) {
  list.replaceChildren(...answer.hits.map((hit) => hitOf(hit, moreLike)));
  list.classList.toggle("sheet", answer.hits.some((hit) => !hit.content?.text));
  document.body.classList.toggle("wide", list.classList.contains("sheet"));
  const { shards_ok: ok, shards_total: total, degraded } = answer.coverage;
  const count = answer.hits.length === 1 ? "1 document" : `${answer.hits.length} documents`;
  const shards = `${ok} of ${total} shards answered`;
  const about = like === null ? "" : ` like ${like}`;
  say(`${count}${about} in ${milliseconds.format(answer.took_ms)} ms (${Math.round(tookMs)} ms here); ${shards}`, degraded);
  timing.replaceChildren();
  if (answer.trace?.stages?.length) timing.append(unfolding("where the time went", timingOf(answer.trace)));
}

async function queryOf(data, headers, signal) {
  if (like !== null) return { id: like };
  const parts = await files.parts(headers, signal);
  const text = data.get("q").trim();
  const query = text ? { text, ...parts } : parts;
  if (Object.keys(query).length > 1) {
    const share = Number(data.get("share")) / 100;
    const others = Object.keys(parts);
    query.weights = Object.fromEntries(others.map((kind) => [kind, text ? share / others.length : 1]));
    if (text) query.weights.text = 1 - share;
  }
  return query;
}

async function search(data, signal) {
  const key = sessionStorage.getItem("gnes-key");
  const headers = { "content-type": "application/json", ...(key ? { "api-key": key } : {}) };
  const body = {
    query: await queryOf(data, headers, signal),
    limit: Number(data.get("limit")),
    highlight: true,
    trace: true,
    explain: data.has("explain"),
  };
  const path = `/v1/collections/${encodeURIComponent(collection)}/search`;
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), signal });
  const answer = await response.json();
  if (response.status === 401) keyRow.hidden = false;
  if (!response.ok) throw new Error(`${answer.title}: ${answer.detail}`);
  return answer;
}

function remember(data) {
  const kept = [...data].filter(([name]) => ["q", "limit", "explain"].includes(name));
  history.pushState(null, "", `?${new URLSearchParams(like === null ? kept : [["like", like], ...kept])}`);
}

async function run(isFromHistory = false) {
  const data = new FormData(form);
  if (!data.get("q").trim() && !files.chosen.size && like === null) return;
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  if (!isFromHistory) remember(data);
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

function moreLike(id) {
  like = id;
  form.elements.q.value = "";
  files.clear();
  run();
  window.scrollTo({ top: 0 });
}

/** Fill the form from the address, so that a search can be shared and gone back to. */
function restore() {
  const wanted = new URLSearchParams(location.search);
  like = wanted.get("like");
  form.elements.q.value = wanted.get("q") ?? "";
  if (wanted.has("limit")) form.elements.limit.value = wanted.get("limit");
  if (!form.elements.limit.value) form.elements.limit.value = "10";
  form.elements.explain.checked = wanted.has("explain");
  files.clear();
  list.replaceChildren();
  timing.replaceChildren();
  say("");
  run(true);
}

/** Keep the key for this window: searches send it, images and films come with it as a cookie. */
function keep(key) {
  sessionStorage.setItem("gnes-key", key);
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `gnes-key=${encodeURIComponent(key)}; path=/v1/blobs/; samesite=strict${secure}`;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (form.elements.key.value) keep(form.elements.key.value);
  like = null;
  if (form.elements.q.value.trim() || files.chosen.size) run();
  else say("Type what to look for, or add a file.");
});
form.elements.q.addEventListener("input", () => files.mind());
form.elements.share?.addEventListener("change", () => run());
window.addEventListener("popstate", restore);
restore();
