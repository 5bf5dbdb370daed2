// Colours for YAML, and a wavy line under each fault: painted behind the editor, as text only.
"use strict";

const paintYaml = (() => {
  // A comment, a tag, a quoted word, a number or constant, a variable; the key of a line comes first.
  const WORDS = /(#.*$)|(![\w.]+)|("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')|(\$\{?\w+\}?)|(\b(?:true|false|null)\b|-?\b\d[\d.]*\b)/g;
  const KEY = /^(\s*(?:-\s+)*\{?\s*)([\w.-]+)(?=\s*:(?:\s|$))/;
  const KINDS = [null, "t-note", "t-tag", "t-word", "t-tag", "t-word"];

  /** Return [text, class] for the parts of a line. */
  function partsOf(line) {
    const parts = [];
    let rest = line;
    const key = KEY.exec(line);
    if (key) {
      parts.push([key[1], ""], [key[2], "t-key"]);
      rest = line.slice(key[0].length);
    }
    let at = 0;
    for (const found of rest.matchAll(WORDS)) {
      const isNote = found[1] !== undefined;
      if (isNote && found.index > 0 && !/\s/.test(rest[found.index - 1])) continue; // a # inside a word
      parts.push([rest.slice(at, found.index), ""]);
      parts.push([found[0], KINDS[found.findIndex((group, place) => place > 0 && group !== undefined)]]);
      at = found.index + found[0].length;
    }
    parts.push([rest.slice(at), ""]);
    return parts.filter(([text]) => text);
  }

  /** Split the parts so that the word that begins at a column is one by itself, and is marked. */
  function marked(parts, column) {
    const line = parts.map(([text]) => text).join("");
    const from = Math.min(Math.max(0, column - 1), Math.max(0, line.length - 1));
    const word = /^[^\s,\]}]+/.exec(line.slice(from));
    const until = from + (word ? word[0].replace(/:$/, "").length || 1 : 1);
    const result = [];
    let at = 0;
    for (const [text, kind] of parts) {
      for (const [start, end] of [[at, from], [from, until], [until, Infinity]]) {
        const piece = line.slice(Math.max(at, start), Math.min(at + text.length, end));
        if (piece) result.push([piece, start === from && end === until ? `${kind} t-fault` : kind]);
      }
      at += text.length;
    }
    return result;
  }

  /** Fill a place with coloured text. */
  return (place, yaml, faults) => {
    const columns = new Map();
    for (const { line, column } of faults) columns.set(line, [...(columns.get(line) ?? []), column]);
    const nodes = yaml.split("\n").flatMap((line, number) => {
      const parts = (columns.get(number + 1) ?? []).reduce(marked, partsOf(line));
      return [...parts.map(([text, kind]) => (kind ? make("span", { text, className: kind.trim() }) : text)), "\n"];
    });
    place.replaceChildren(...nodes);
  };
})();
