// Images, films and sounds of hits: seen small, and played from the place that was found.
import { button, clock, make, numbers } from "./dom.js";

const address = (medium, what, options = {}) =>
  `/v1/blobs/${medium.blob}${what}${Object.keys(options).length ? `?${new URLSearchParams(options)}` : ""}`;

const best = (chunks) => chunks.reduce((one, other) => (other.score > one.score ? other : one));

/** Return what shows a hit's medium; null for a text, or for what was not fetched. */
export function figureOf(hit) {
  for (const [kind, show] of Object.entries({ image: imageOf, video: videoOf, audio: audioOf })) {
    const medium = hit.content?.[kind];
    if (medium?.blob) return make("figure", { className: `medium ${kind}`, children: show(medium, hit) });
  }
  return null;
}

function picture(source, alt, className = "") {
  const image = make("img", { src: source, alt, loading: "lazy", decoding: "async", className });
  image.addEventListener("error", () => image.replaceWith(make("p", { className: "nothing", text: "no preview" })));
  return image;
}

function imageOf(medium, hit) {
  const whole = make("a", {
    href: address(medium, ""),
    target: "_blank",
    rel: "noopener",
    children: [picture(address(medium, "/thumbnail", { size: 320 }), hit.id)],
  });
  const boxes = hit.chunks.map((chunk) => chunk.span).filter((span) => span?.length === 4);
  const found = boxes.length ? best(hit.chunks).span : null;
  return found && !isWhole(found, boxes) ? [whole, cropOf(medium, found)] : [whole];
}

/** Whether a box is the image as a whole, as far as one can tell: it holds all the others. */
function isWhole([left, top, right, bottom], boxes) {
  return left <= 0 && top <= 0 && boxes.every(([, , x1, y1]) => x1 <= right && y1 <= bottom);
}

function cropOf(medium, span) {
  const box = span.map(Math.round).join(",");
  const part = picture(address(medium, "/thumbnail", { size: 192, box }), "the part that was found");
  return make("figcaption", { className: "part", children: [part, make("small", { text: "found here" })] });
}

function videoOf(medium, hit) {
  const spans = momentsOf(hit);
  const first = spans[0]?.span ?? [0, 0];
  const player = make("video", {
    src: address(medium, ""),
    poster: address(medium, "/thumbnail", { size: 320, at: middle(first).toFixed(1) }),
    preload: "none",
    controls: "",
    playsinline: "",
  });
  const thumb = (span) => picture(address(medium, "/thumbnail", { size: 96, at: middle(span).toFixed(1) }), "");
  return [player, momentButtons(player, medium, spans, "mp4", thumb)];
}

function audioOf(medium, hit) {
  const shape = picture(address(medium, "/thumbnail", { size: 320 }), `how loud ${hit.id} is over time`);
  const player = make("audio", { src: address(medium, ""), preload: "none", controls: "" });
  return [shape, player, momentButtons(player, medium, momentsOf(hit), "ogg", null)];
}

const middle = ([start, end]) => (start + end) / 2;

function momentsOf(hit) {
  return hit.chunks.filter((chunk) => chunk.span?.length === 2 && chunk.span[0] >= 0);
}

/** One button a moment: it plays from there and stops at its end. */
function momentButtons(player, medium, moments, format, thumb) {
  const play = playerOf(player, medium, format);
  const nodes = moments.map(({ span, score }) => {
    const label = `${clock(span[0])} – ${clock(span[1])}`;
    const spoken = `Play ${clock(span[0])} to ${clock(span[1])}`;
    const node = button("", () => play(span), { className: "moment", "aria-label": spoken });
    node.append(...(thumb ? [thumb(span)] : []), make("span", { text: label }),
      make("small", { text: numbers.format(score) }));
    return node;
  });
  return make("div", { className: "moments", children: nodes });
}

/** How to play a span; what the browser cannot play is played as a clip that the server makes. */
function playerOf(player, medium, format) {
  let until = Infinity;
  let offset = 0;
  let wanted = null;
  player.addEventListener("timeupdate", () => {
    if (player.currentTime + offset >= until) player.pause();
  });
  player.addEventListener("seeked", () => {
    if (player.currentTime + offset < until - 1e-3) return;
    until = Infinity; // the listener went further by hand
  });
  player.addEventListener("error", () => {
    if (wanted === null || offset) return;
    const [from, to] = [wanted[0], Math.min(wanted[1], wanted[0] + 60)];
    offset = from || 1e-9;
    player.src = address(medium, "/clip", { from: from.toFixed(1), to: to.toFixed(1), format });
    player.play().catch(() => {});
  });
  return (span) => {
    wanted = span;
    until = span[1];
    if (offset) {
      offset = 0;
      player.src = address(medium, "");
    }
    player.currentTime = span[0];
    player.play().catch(() => {});
  };
}
