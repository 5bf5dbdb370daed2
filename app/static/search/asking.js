// What is looked for besides words: files that are chosen, dropped or pasted, one of a kind.
import { button, make } from "./dom.js";

const INSIDE_BYTES = 8 * 1024 * 1024; // a larger file is uploaded before the search
const KINDS = { image: ["image"], video: ["video", "audio"], audio: ["audio"] };

export class Files {
  /** Watches a form's file input, what is dropped on the page and what is pasted.
   *
   * takes: the kinds that the collection takes. onChange: called when the choice changes, or with
   * a reason when a file cannot be looked for. */
  constructor(form, takes, onChange) {
    this.chosen = new Map(); // kind -> file
    this.takes = takes;
    this.onChange = onChange;
    this.tray = form.querySelector("#chosen");
    this.balance = form.querySelector("#balance");
    this.input = form.elements.file;
    if (!this.input) return;
    this.input.addEventListener("change", () => this.add([...this.input.files]));
    document.addEventListener("paste", (event) => this.add([...(event.clipboardData?.files ?? [])]));
    document.addEventListener("dragover", (event) => this.hover(event, true));
    document.addEventListener("dragleave", (event) => event.relatedTarget || this.hover(event, false));
    document.addEventListener("drop", (event) => {
      this.hover(event, false);
      this.add([...(event.dataTransfer?.files ?? [])]);
    });
  }

  hover(event, isOver) {
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    event.preventDefault();
    document.body.classList.toggle("dropping", isOver);
  }

  add(files) {
    if (!files.length) return;
    this.input.value = "";
    const stranger = files.find((file) => !this.kindOf(file));
    if (stranger) {
      this.onChange(`${stranger.name}: this collection looks for ${this.takes.join(", ")} only`);
      return;
    }
    for (const file of files) this.chosen.set(this.kindOf(file), file);
    this.show();
    this.onChange();
  }

  kindOf(file) {
    const type = file.type === "image/gif" ? ["image", "video"] : KINDS[file.type.split("/")[0]] ?? [];
    return type.find((kind) => this.takes.includes(kind));
  }

  clear() {
    this.chosen.clear();
    this.show();
  }

  /** Show what is chosen, each with a way to take it back. */
  show() {
    if (!this.tray) return;
    for (const seen of this.tray.querySelectorAll("[src]")) URL.revokeObjectURL(seen.src);
    this.tray.replaceChildren(...[...this.chosen].map(([kind, file]) => {
      const remove = button("×", () => {
        this.chosen.delete(kind);
        this.show();
      }, { "aria-label": `Remove ${file.name}`, class: "remove" });
      const name = make("span", { text: file.name });
      return make("span", { className: "chip", children: [seenOf(kind, file), name, remove] });
    }));
    this.mind();
  }

  /** Words and a file together can be balanced. */
  mind(hasWords = Boolean(this.tray?.closest("form").elements.q.value.trim())) {
    if (this.balance) this.balance.hidden = !(this.chosen.size && hasWords);
  }

  /** Return the query's parts; large files are uploaded first. */
  async parts(headers, signal) {
    const found = {};
    for (const [kind, file] of this.chosen) {
      found[kind] = file.size <= INSIDE_BYTES
        ? { base64: await base64Of(file) }
        : { blob: await uploaded(file, headers, signal) };
    }
    return found;
  }
}

function seenOf(kind, file) {
  const source = URL.createObjectURL(file);
  if (kind === "image") return make("img", { src: source, alt: "" });
  if (kind === "video") return make("video", { src: `${source}#t=0.5`, muted: "", preload: "metadata" });
  return make("span", { text: "♪", "aria-hidden": "true" });
}

function base64Of(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result.split(",", 2)[1] ?? ""));
    reader.addEventListener("error", () => reject(reader.error));
    reader.readAsDataURL(file);
  });
}

async function uploaded(file, headers, signal) {
  const { "content-type": _, ...keys } = headers;
  const response = await fetch("/v1/blobs", { method: "POST", headers: keys, body: file, signal });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${answer.title}: ${answer.detail}`);
  return answer.blob;
}
