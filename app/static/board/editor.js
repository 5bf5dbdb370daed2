// The flow under construction: checked as it is typed, drawn, and rendered into each target.
"use strict";

(() => {
  const PAUSE_MS = 350; // after the last key
  const TARGETS = {
    yaml: "YAML", procfile: "Procfile", shell: "Shell", "docker-compose": "Compose", swarm: "Swarm",
    kubernetes: "Kubernetes", dockerfile: "Dockerfile", "dockerfile-full": "Dockerfile.full",
    mermaid: "Mermaid", svg: "SVG", html: "HTML",
  };
  const [editor, lines, paint, verdict, faults, drawing, outputs, tabs, panel, text, copy, download, done, example] = [
    "yaml", "lines", "paint", "verdict", "faults", "drawing", "outputs", "tabs", "panel", "text", "copy", "download", "done", "example",
  ].map((id) => document.getElementById(id));
  let chosen = "docker-compose";
  let checking = null;
  let timer = null;
  let flows = new Map();
  let drawn = null;

  /** Number and colour the lines, and mark what is at fault. */
  function dress(found = []) {
    const faulty = new Set(found.map((fault) => fault.line));
    const count = editor.value.split("\n").length;
    lines.replaceChildren(...Array.from({ length: count }, (_, line) =>
      make("div", { text: line + 1, className: faulty.has(line + 1) ? "faulty" : "" })));
    paintYaml(paint, editor.value, found);
    follow();
  }

  /** Keep numbers and colours beside the text that is scrolled. */
  function follow() {
    lines.scrollTop = paint.scrollTop = editor.scrollTop;
    paint.scrollLeft = editor.scrollLeft;
  }

  /** Put the cursor where a fault is. */
  function goTo({ line, column }) {
    const before = editor.value.split("\n").slice(0, Math.max(0, line - 1)).join("\n").length;
    const place = before + (line > 1 ? 1 : 0) + Math.max(0, column - 1);
    editor.focus();
    editor.setSelectionRange(place, place);
  }

  function faultOf(fault) {
    const button = make("button", { text: fault.line ? `line ${fault.line}, column ${fault.column}` : "the flow", attributes: { type: "button" } });
    button.addEventListener("click", () => goTo(fault));
    return make("li", { children: [button, make("span", { text: ` ${fault.text}` })] });
  }

  function judge(answer) {
    editor.setAttribute("aria-invalid", String(!answer.valid));
    dress(answer.faults);
    faults.replaceChildren(...answer.faults.map(faultOf));
    verdict.classList.toggle("warning", !answer.valid);
    outputs.hidden = !answer.valid;
    drawing.classList.toggle("stale", !answer.valid);
    if (!answer.valid) {
      verdict.textContent = answer.faults.length === 1 ? "One fault" : `${answer.faults.length} faults`;
      return;
    }
    const queues = Object.values(answer.queues);
    const workers = queues.reduce((total, count) => total + count, 0);
    verdict.textContent = `Valid: collection ${answer.collection}, ${queues.length} queues, ${workers} workers`;
    drawn = answer;
    drawInto(drawing, drawn);
  }

  async function check() {
    checking?.abort();
    checking = new AbortController();
    const { signal } = checking;
    try {
      const answer = await ask("/board/validate", { yaml: editor.value }, signal);
      judge(answer);
      if (answer.valid) await render(signal);
    } catch (error) {
      if (signal.aborted) return;
      verdict.classList.add("warning");
      verdict.textContent = error.message;
    }
  }

  /** Fetch the chosen rendering; only the one that is looked at. */
  async function render(signal = undefined) {
    panel.setAttribute("aria-busy", "true");
    const answer = await ask("/board/render", { yaml: editor.value, target: chosen }, signal);
    text.textContent = answer.text;
    URL.revokeObjectURL(download.href);
    download.href = URL.createObjectURL(new Blob([answer.text], { type: "application/octet-stream" }));
    download.download = answer.file;
    done.textContent = "";
    panel.removeAttribute("aria-busy");
  }

  function choose(target, isFocused = true) {
    chosen = target;
    for (const tab of tabs.children) {
      const isChosen = tab.dataset.target === target;
      tab.setAttribute("aria-selected", String(isChosen));
      tab.tabIndex = isChosen ? 0 : -1;
      if (isChosen && isFocused) tab.focus();
      if (isChosen) panel.setAttribute("aria-labelledby", tab.id);
    }
  }

  function tabOf([target, label]) {
    const attributes = { type: "button", role: "tab", id: `tab-${target}`, "data-target": target, "aria-controls": "panel" };
    const tab = make("button", { text: label, attributes });
    tab.addEventListener("click", () => { choose(target); render().catch(say); });
    return tab;
  }

  function say(error) {
    done.textContent = error.message;
  }

  /** Arrow keys, Home and End move between the tabs. */
  function move(event) {
    const all = Object.keys(TARGETS);
    const here = all.indexOf(chosen);
    const next = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: all.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    choose(all[(next + all.length) % all.length]);
    render().catch(say);
  }

  function start(name) {
    editor.value = flows.get(name) ?? "";
    editor.scrollTop = 0;
    dress();
    check();
  }

  async function load() {
    const { examples } = await ask("/board/examples");
    flows = new Map(examples.map(({ name, yaml }) => [name, yaml]));
    try {
      flows.set("the flow that runs", (await ask("/v1/flow")).yaml);
    } catch { /* it asks for a key: the examples do without */ }
    example.replaceChildren(...[...flows.keys()].map((name) => make("option", { text: name })));
    if (flows.has("text")) example.value = "text";
    if (!editor.value) start(example.value);
  }

  editor.addEventListener("input", () => {
    dress();
    clearTimeout(timer);
    timer = setTimeout(check, PAUSE_MS);
  });
  editor.addEventListener("scroll", follow);
  narrow.addEventListener("change", () => { if (drawn) drawInto(drawing, drawn); });
  example.addEventListener("change", () => start(example.value));
  tabs.addEventListener("keydown", move);
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text.textContent).then(() => { done.textContent = "Copied"; }, say);
  });
  document.addEventListener("gnes-key", () => { load().then(check, say); });
  tabs.append(...Object.entries(TARGETS).map(tabOf));
  choose(chosen, false);
  dress();
  load().catch((error) => { verdict.textContent = error.message; });
})();
