// The flow that runs: its drawing, with what waits and who works, looked at again and again.
"use strict";

(() => {
  const PAUSE_MS = 1500;
  const LINE = 13; // pixels from a box to the words under it
  const status = document.getElementById("running-status");
  const graph = document.getElementById("running-graph");
  const whole = new Intl.NumberFormat();
  const tiles = Object.fromEntries([...document.querySelectorAll("[data-tile]")].map((tile) => [tile.dataset.tile, tile]));
  let drawn = null;
  let seen = null; // the numbers shown last
  let boxes = [];
  let timer = null;

  /** Put a line of words under each box of the drawing that stands for a queue. */
  function prepare() {
    const drawing = drawInto(graph, drawn);
    boxes = [];
    for (const [id, behind] of Object.entries(drawn.boxes)) {
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
  function newest({ index, shard, of, serves, queue, replicas }) {
    const best = replicas.reduce((a, b) => ((b.applied_seq ?? 0) > (a.applied_seq ?? -1) ? b : a), {});
    const ready = replicas.filter((replica) => replica.ready).length;
    return { index, name: `${index}, shard ${shard} of ${of}`, of, serves, queue, documents: best.documents ?? 0, chunks: best.chunks ?? 0, ready, replicas: replicas.length };
  }

  function row(cells, className, wide = -1) {
    const [first, ...rest] = cells;
    const children = [
      make("th", { text: first, attributes: { scope: "row" } }),
      ...rest.map((text, place) => make("td", { text, className: place + 1 === wide ? "wide" : "" })),
    ];
    return make("tr", { className, children });
  }

  /** Say in four numbers how it is. */
  function count(queues, serving) {
    const waiting = queues.map((queue) => queue.waiting);
    const perIndex = Map.groupBy ? [...Map.groupBy(serving, (shard) => shard.index).values()] : [serving];
    const ready = serving.filter((shard) => shard.ready).length;
    tiles.documents.textContent = whole.format(Math.max(0, ...perIndex.map((shards) => sum(shards.map((shard) => shard.documents)))));
    tiles.waiting.textContent = waiting.includes(null) ? "not told" : whole.format(sum(waiting));
    tiles.busy.textContent = `${sum(queues.map((queue) => queue.busy))} / ${sum(queues.map((queue) => queue.workers))}`;
    tiles.shards.textContent = `${ready} / ${serving.length}`;
    tiles.shards.classList.toggle("warning", ready < serving.length);
  }

  function show(queues, everyShard) {
    const shards = everyShard.filter((shard) => shard.serves);
    count(queues, shards);
    const byName = new Map(queues.map((queue) => [queue.queue, queue]));
    for (const { group, words, queues: behind } of boxes) {
      const here = behind.map((name) => byName.get(name)).filter(Boolean);
      words.textContent = wordsFor(here, shards.filter((shard) => behind.includes(shard.queue)));
      group.classList.toggle("lacking", here.some((queue) => queue.workers === 0));
    }
    document.querySelector("#queues tbody").replaceChildren(...queues.map((queue) => row(
      [queue.queue, queue.waiting === null ? "not told" : whole.format(queue.waiting), `${queue.busy} / ${queue.workers}`, whole.format(queue.wanted)],
      queue.workers === 0 ? "warning" : "", 3)));
    document.querySelector("#shards tbody").replaceChildren(...everyShard.map((shard) => row(
      [shard.name + (shard.serves ? "" : ", being made"), whole.format(shard.documents), whole.format(shard.chunks), `${shard.ready} of ${shard.replicas}`],
      shard.serves ? (shard.ready === 0 ? "warning" : "") : "coming")));
    say(queues, everyShard);
  }

  /** Say the state in words, only when it has changed: it is read aloud. */
  function say(queues, shards) {
    const lacking = queues.filter((queue) => queue.workers === 0).map((queue) => queue.queue);
    const workers = sum(queues.map((queue) => queue.workers));
    const coming = new Map(shards.filter((shard) => !shard.serves).map((shard) => [shard.index, shard.of]));
    const making = [...coming].map(([index, of]) => `; ${index} is dealt out to ${of} shards`).join("");
    const text = (lacking.length ? `Nobody works on ${lacking.join(", ")}` : `${workers} workers on ${queues.length} queues`) + making;
    status.classList.toggle("warning", lacking.length > 0);
    if (status.textContent !== text) status.textContent = text;
  }

  async function look() {
    clearTimeout(timer);
    try {
      const [{ queues }, { shards }] = await Promise.all([ask("/v1/queues"), ask("/v1/shards")]);
      const layout = JSON.stringify(shards.filter((shard) => shard.serves).map((shard) => shard.queue));
      if (drawn?.layout !== layout) {
        drawn = { ...(await ask("/board/running")), layout };
        prepare();
      }
      seen = [queues, shards.map(newest)];
      show(...seen);
    } catch (error) {
      status.classList.add("warning");
      status.textContent = error.message;
    }
    if (!document.hidden) timer = setTimeout(look, PAUSE_MS);
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : look()));
  document.addEventListener("gnes-key", look);
  narrow.addEventListener("change", () => { if (seen) { prepare(); show(...seen); } });
  look();
})();
