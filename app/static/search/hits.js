// Hits as they are shown: what was found, why, and where the time went.
import { button, make, numbers } from "./dom.js";
import { figureOf } from "./media.js";

const exact = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 6 });
export const milliseconds = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });

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

export function unfolding(label, content) {
  return make("details", { children: [make("summary", { text: label }), content] });
}

/** One hit; ``onLike`` is called with its id when more like it is asked for. */
export function hitOf(hit, onLike) {
  const meta = make("div", { className: "meta" });
  meta.append(make("span", { className: "score", text: `score ${numbers.format(hit.score)}` }));
  for (const [name, value] of Object.entries(hit.tags ?? {})) {
    if (value === hit.id) continue; // said already
    const shown = typeof value === "object" ? JSON.stringify(value) : String(value);
    meta.append(make("span", { className: "tag", text: `${name}: ${shown}` }));
  }
  const like = button("More like this", () => onLike(hit.id), { class: "quiet", "aria-label": `More like ${hit.id}` });
  const figure = figureOf(hit);
  const children = [...(figure ? [figure] : []), make("h2", { text: hit.id }), meta];
  if (!figure) children.push(...hit.chunks.filter((chunk) => chunk.text || chunk.highlight).map(chunkOf));
  const text = hit.content?.text;
  if (text) children.push(unfolding("whole text", make("pre", { text })));
  const tree = hit.explanation;
  if (tree) children.push(unfolding("why this score", make("ul", { className: "tree", children: [treeOf(tree)] })));
  children.push(like);
  return make("li", { className: figure ? "hit seen" : "hit", children });
}

export function timingOf(trace) {
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
