// Hits as they are shown: what was found, why, and where the time went.
import { button, make, numbers } from "./dom.js";
import { figureOf } from "./media.js";

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

/** One node of an explanation: what it is called, its value, and what it was made of. */
function treeOf(node) {
  const value = node.value ?? node.score;
  const about = node.docstring ?? node.doc ?? node.description ?? "";
  const children = [document.createTextNode(`${node.name ?? "score"} = `)];
  children.push(make("b", { text: typeof value === "number" ? numbers.format(value) : String(value ?? "") }));
  if (about) children.push(make("small", { text: ` ${about}` }));
  const inner = node.operands ?? node.children ?? [];
  if (inner.length) children.push(make("ul", { children: inner.map(treeOf) }));
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
  const tree = hit.explanation ?? hit.explain;
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
