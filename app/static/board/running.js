// The flow that runs: its drawing, with what waits and who works, looked at again and again.
"use strict";

(() => {
  const PAUSE_MS = 1500;
  const LINE = 13; // pixels from a box to the words under it
  const status = document.getElementById("running-status");
  const graph = document.getElementById("running-graph");
  const whole = new Intl.NumberFormat();
  let boxes = null;
  let timer = null;

  /** Put a line of words under each box of the drawing that stands for a queue. */
  function prepare({ svg, boxes: queues }) {
    const drawing = drawInto(graph, svg);
    boxes = [];
    for (const [id, behind] of Object.entries(queues)) {
      const group = drawing.querySelector(`[data-node="${CSS.escape(id)}"]`);
      const rect = group.querySelector("rect");
      const words = document.createElementNS("http://www.w3.org/2000/svg", "text");
      const [x, y, width, height] = ["x", "y", "width", "height"].map((name) => Number(rect.getAttribute(name)));
      words.setAttribute("x", x + width / 2);
      words.setAttribute("y", y + height + LINE);
      words.setAttribute("text-anchor", "middle");
      words.setAttribute("class", "live");
      group.append(words);
      boxes.push({ group, words, queues: behind });
    }
  }

  const sum = (values) => values.reduce((total, value) => total + value, 0);

  function wordsFor(queues, shards) {
    const waiting = sum(queues.map((queue) => queue.waiting ?? 0));
    const parts = [`${sum(queues.map((queue) => queue.busy))}/${sum(queues.map((queue) => queue.workers))} busy`];
    if (waiting) parts.unshift(`${whole.format(waiting)} wait`);
    if (shards.length) parts.push(`${whole.format(sum(shards.map((shard) => shard.documents)))} docs`);
    return parts.join(" · ");
  }

  /** Return a shard with what the copy that has read furthest says of it. */
  function newest({ index, shard, queue, replicas }) {
    const best = replicas.reduce((a, b) => ((b.applied_seq ?? 0) > (a.applied_seq ?? -1) ? b : a), {});
    const ready = replicas.filter((replica) => replica.ready).length;
    return { name: `${index} ${shard}`, queue, documents: best.documents ?? 0, chunks: best.chunks ?? 0, ready, replicas: replicas.length };
  }

  function row(cells, isWarning) {
    const [first, ...rest] = cells;
    const children = [make("th", { text: first, attributes: { scope: "row" } }), ...rest.map((text) => make("td", { text }))];
    return make("tr", { className: isWarning ? "warning" : "", children });
  }

  function show(queues, shards) {
    const byName = new Map(queues.map((queue) => [queue.queue, queue]));
    for (const { group, words, queues: behind } of boxes) {
      const here = behind.map((name) => byName.get(name)).filter(Boolean);
      words.textContent = wordsFor(here, shards.filter((shard) => behind.includes(shard.queue)));
      group.classList.toggle("lacking", here.some((queue) => queue.workers === 0));
    }
    document.querySelector("#queues tbody").replaceChildren(...queues.map((queue) => row(
      [queue.queue, queue.waiting === null ? "not told" : whole.format(queue.waiting), `${queue.busy} / ${queue.workers}`, whole.format(queue.wanted)],
      queue.workers === 0)));
    document.querySelector("#shards tbody").replaceChildren(...shards.map((shard) => row(
      [shard.name, whole.format(shard.documents), whole.format(shard.chunks), `${shard.ready} of ${shard.replicas} ready`],
      shard.ready === 0)));
    say(queues);
  }

  /** Say the state in words, only when it has changed: it is read aloud. */
  function say(queues) {
    const lacking = queues.filter((queue) => queue.workers === 0).map((queue) => queue.queue);
    const workers = sum(queues.map((queue) => queue.workers));
    const text = lacking.length ? `Nobody works on ${lacking.join(", ")}` : `${workers} workers on ${queues.length} queues`;
    status.classList.toggle("warning", lacking.length > 0);
    if (status.textContent !== text) status.textContent = text;
  }

  async function look() {
    clearTimeout(timer);
    try {
      if (boxes === null) prepare(await ask("/board/running"));
      const [{ queues }, { shards }] = await Promise.all([ask("/v1/queues"), ask("/v1/shards")]);
      show(queues, shards.map(newest));
    } catch (error) {
      status.classList.add("warning");
      status.textContent = error.message;
    }
    if (!document.hidden) timer = setTimeout(look, PAUSE_MS);
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : look()));
  document.addEventListener("gnes-key", look);
  look();
})();
