"use strict";
// The checking desk of a page that robustlabels has written. First come plain functions, which
// are tested without a browser; the part that talks to the page starts at `openDesk`.

const UNCLEAR = -1;

// ---------------------------------------------------------------- the interval
// The formulas of robustlabels/audit/_intervals.py and _population.py, step by step, so that the
// page and the package give the same numbers.

function first(condition, low, high) {
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (condition(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function minimize(value, low, high) {
  return first((number) => value(number + 1) >= value(number), low, high);
}

// How many entries of a sorted list are below a value, or not above it.
const countBelow = (list, value) => first((i) => list[i] >= value, 0, list.length);
const countUpTo = (list, value) => first((i) => list[i] > value, 0, list.length);

function logRatio(history, left) {
  let sum = 0;
  for (let i = 0; i < history.marked.length; i++) {
    const share = (history.later[i] + left) / history.nUnseen[i];
    const forecast = history.forecast[i];
    sum += history.marked[i]
      ? Math.log(forecast / share)
      : Math.log((1 - forecast) / (1 - share));
  }
  return sum;
}

function anytimeInterval(histories, level) {
  const limit = -Math.log1p(-level);
  histories = histories.filter((history) => history.nLeft > 0);
  const best = histories.map((h) => minimize((left) => logRatio(h, left), 0, h.nLeft));
  const middle = best.reduce((sum, number) => sum + number, 0);
  const nLeft = histories.reduce((sum, history) => sum + history.nLeft, 0);

  // The smallest log-ratio over all ways to split a number over the strata.
  function least(number) {
    if (histories.length === 1) return logRatio(histories[0], number);
    const [one, other] = histories;
    const ofSplit = (part) => logRatio(one, part) + logRatio(other, number - part);
    return ofSplit(
      minimize(ofSplit, Math.max(0, number - other.nLeft), Math.min(one.nLeft, number))
    );
  }

  if (histories.length === 0 || least(middle) > limit) return [middle, middle];
  return [
    first((number) => least(number) <= limit, 0, middle),
    first((number) => least(number) > limit, middle + 1, nLeft + 1) - 1,
  ];
}

// What was drawn from a stratum, in the order of time. A look is a row that somebody has looked
// at, or that was drawn: {stratum, place, given, answer, time, offered}; answer is null before.
function makeHistory(looks, stratum, size, isMarked) {
  const ascending = (a, b) => a - b;
  const inside = looks.filter((look) => look.stratum === stratum);
  const seen = inside.filter((look) => look.answer !== null);
  const times = seen.map((look) => look.time).sort(ascending);
  const timesMarked = seen.filter(isMarked).map((look) => look.time).sort(ascending);
  let drawn = inside.filter((look) => look.offered).sort((a, b) => a.time - b.time);
  const gap = drawn.findIndex((look) => look.answer === null);
  if (gap >= 0) drawn = drawn.slice(0, gap);

  // The top of the ranking that has been looked at without a gap, and when.
  const timeAt = new Map();
  for (const look of looks) if (look.answer !== null) timeAt.set(look.place, look.time);
  const top = [];
  for (let latest = 0; timeAt.has(top.length); top.push(latest)) {
    latest = Math.max(latest, timeAt.get(top.length));
  }
  const nTop = drawn.map((look) => countBelow(top, look.time));

  const marked = drawn.map(isMarked);
  const change = [new Float64Array(drawn.length + 1), new Float64Array(drawn.length + 1)];
  drawn.forEach((look, i) => {
    const leaves = Math.max(countUpTo(nTop, look.place), i + 1);
    [marked[i] ? 1 : 0, 1].forEach((weight, which) => {
      change[which][i + 1] += weight;
      change[which][leaves] -= weight;
    });
  });
  const forecast = [];
  let [nMarked, n] = [0, 0];
  for (let i = 0; i < drawn.length; i++) {
    nMarked += change[0][i];
    n += change[1][i];
    forecast.push((nMarked + 0.5) / (n + 1));
  }
  return {
    marked,
    forecast,
    nUnseen: drawn.map((look) => size - countBelow(times, look.time)),
    later: drawn.map((look) => timesMarked.length - countBelow(timesMarked, look.time)),
    nLeft: size - seen.length,
  };
}

// How many labels are wrong: the estimate and the interval that holds at all times.
function countWrong(design, looks) {
  const isWrong = (look) => look.answer !== null && look.answer >= 0 && look.answer !== look.given;
  const mayBeWrong = (look) => isWrong(look) || look.answer === UNCLEAR;
  const [low, high] = [isWrong, mayBeWrong].map((isMarked, end) => {
    const histories = design.strata.map((s, h) => makeHistory(looks, h, s.size, isMarked));
    return looks.filter(isMarked).length + anytimeInterval(histories, design.level)[end];
  });
  const reach = Math.max(design.nOrdered, ...looks.map((look) => (look.offered ? look.order + 1 : 0)));
  let value = 0;
  design.strata.forEach((stratum, h) => {
    let drawn = looks
      .filter((look) => look.stratum === h && look.order < reach)
      .sort((a, b) => a.order - b.order);
    const gap = drawn.findIndex((look) => look.answer === null);
    if (gap >= 0) drawn = drawn.slice(0, gap);
    value += stratum.expected;
    const off = drawn.map((look) =>
      look.answer === UNCLEAR ? 0 : (isWrong(look) ? 1 : 0) - look.expected
    );
    if (off.length) value += (stratum.size * off.reduce((a, b) => a + b, 0)) / off.length;
  });
  return { value: Math.min(Math.max(value, low), high), low, high };
}

// ---------------------------------------------------------------- decisions.csv

function parseCSV(text) {
  const records = [];
  let [record, field, quoted] = [[], "", false];
  const endRecord = () => {
    record.push(field);
    if (record.length > 1 || record[0] !== "") records.push(record);
    [record, field] = [[], ""];
  };
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') field += c;
      else if (text[i + 1] === '"') (field += c), i++;
      else quoted = false;
    } else if (c === '"' && field === "") quoted = true;
    else if (c === ",") record.push(field), (field = "");
    else if (c === "\n" || c === "\r") {
      if (c === "\r" && text[i + 1] === "\n") i++;
      endRecord();
    } else field += c;
  }
  if (field !== "" || record.length) endRecord();
  return records;
}

const quote = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

const COLUMNS = ["row", "label", "status", "origin", "time"];

function writeDecisions(table, classes, decisions) {
  const lines = [`# robustlabels audit ${table}`, COLUMNS.join(",")];
  for (const { row, answer, origin, time } of decisions) {
    const [label, status] = answer === UNCLEAR ? ["", "cannot tell"] : [classes[answer], "checked"];
    lines.push([String(row), label, status, origin, time].map(quote).join(","));
  }
  return lines.join("\n") + "\n";
}

// Decisions by row, in the order of their first answers. Throws a sentence for people.
function readDecisions(text, table, classes, nRows) {
  text = text.replace(/^\ufeff/, "");
  const end = text.search(/[\r\n]/);
  const words = text.slice(0, end < 0 ? text.length : end).trim().split(/\s+/);
  if (words.length !== 4 || words.slice(0, 3).join(" ") !== "# robustlabels audit") {
    throw new Error("This is no file of decisions: its first line does not say so.");
  }
  if (words[3] !== table) throw new Error("These decisions belong to another table.");
  const [header = [], ...records] = parseCSV(end < 0 ? "" : text.slice(end));
  const missing = COLUMNS.filter((name) => !header.includes(name));
  if (missing.length) throw new Error(`The file lacks the columns ${missing.join(", ")}.`);
  const decisions = new Map();
  for (const record of records) {
    const [row, label, status, origin, time] = COLUMNS.map((name) => record[header.indexOf(name)]);
    const answer = status === "cannot tell" ? UNCLEAR : classes.indexOf(label);
    const known = status === "cannot tell" || (status === "checked" && answer >= 0);
    if (!/^\d+$/.test(row) || Number(row) >= nRows || !known) {
      throw new Error(`The file has a line that does not fit this table: ${record.join(",")}`);
    }
    decisions.set(Number(row), { row: Number(row), answer, origin, time });
  }
  return decisions;
}

// ---------------------------------------------------------------- what to check next

// Put together decisions of two places; of each row the later answer counts.
function mergeDecisions(one, other) {
  const all = [...one.values(), ...other.values()];
  const merged = new Map();
  for (const decision of all.sort((a, b) => (a.since < b.since ? -1 : a.since > b.since ? 1 : 0))) {
    const before = merged.get(decision.row);
    if (!before) merged.set(decision.row, { ...decision });
    else if (decision.time > before.time) {
      merged.set(decision.row, { ...decision, since: before.since, origin: before.origin });
    }
  }
  return merged;
}

// The looks that `countWrong` takes: what the package knew when it wrote the page, then the
// decisions that were taken here, in the order of their first answers.
function makeLooks(audit, decisions) {
  const looks = new Map();
  for (const row of [...audit.known, ...audit.rows]) {
    if (row.answer !== null || row.offered) looks.set(row.row, { ...row });
  }
  const byRow = new Map([...audit.known, ...audit.rows].map((row) => [row.row, row]));
  let clock = audit.clock;
  for (const decision of decisions.values()) {
    const row = byRow.get(decision.row);
    if (!row) continue;
    const look = looks.get(decision.row) || { ...row, time: clock++ };
    look.answer = decision.answer;
    look.offered = look.offered || decision.origin === "drawn";
    looks.set(decision.row, look);
  }
  return [...looks.values()];
}

// The next row of a list of positions that nobody has looked at, or null.
function nextRow(list, isAnswered) {
  const row = list.find((candidate) => !isAnswered(candidate));
  return row === undefined ? null : row;
}

// Classes whose names start with, or else contain, what was typed.
function findClasses(classes, typed) {
  const text = typed.trim().toLowerCase();
  if (!text) return [];
  const all = classes.map((name, code) => [name.toLowerCase(), code]);
  const exact = all.filter(([name]) => name === text);
  if (exact.length === 1) return [exact[0][1]];
  const starts = all.filter(([name]) => name.startsWith(text));
  return (starts.length ? starts : all.filter(([name]) => name.includes(text))).map(([, c]) => c);
}

if (typeof module !== "undefined") {
  module.exports = {
    anytimeInterval, countWrong, findClasses, makeLooks, mergeDecisions, nextRow, parseCSV,
    readDecisions, writeDecisions,
  };
}

// ---------------------------------------------------------------- the page

function openDesk(document, window) {
  const audit = JSON.parse(document.getElementById("audit-data").textContent);
  const $ = (id) => document.getElementById(id);
  const rows = new Map(audit.rows.map((row) => [row.row, row]));
  const known = new Map(audit.known.map((row) => [row.row, row]));
  const key = `robustlabels ${audit.table}`;
  let decisions = new Map();
  let pending = null; // the drawn row that the person has seen and not answered
  let viewed = null; // an answered row that is looked at again
  let mode = "drawn";
  let curve = [];
  let saved = true;

  // ---- keeping decisions

  // Drawn rows of another design say nothing about this one's strata.
  function adopt(stored) {
    const fitting = new Map();
    for (const decision of stored) {
      if (known.has(decision.row) && decision.time < audit.made) continue;
      const foreign = decision.design !== audit.design && decision.origin === "drawn";
      fitting.set(decision.row, foreign ? { ...decision, origin: "own" } : decision);
    }
    decisions = mergeDecisions(decisions, fitting);
  }

  function load() {
    try {
      const stored = JSON.parse(window.localStorage.getItem(key) || "{}");
      adopt(stored.decisions || []);
      if (stored.design === audit.design && pending === null) pending = stored.pending ?? null;
      return true;
    } catch (error) {
      return false;
    }
  }

  function save() {
    try {
      if (!load()) throw new Error();
      const stored = { design: audit.design, pending, decisions: [...decisions.values()] };
      window.localStorage.setItem(key, JSON.stringify(stored));
    } catch (error) {
      saved = false;
      const text =
        "This browser does not keep decisions of this page. Download decisions.csv before you close it.";
      if ($("storage").hidden) $("storage").textContent = text;
      $("storage").hidden = false;
    }
  }

  // ---- what is shown

  const isAnswered = (row) => decisions.has(row);
  const list = () => (mode === "drawn" ? audit.drawn : audit.worst);

  function current() {
    if (viewed !== null) return viewed;
    const row = nextRow(list(), isAnswered);
    if (row !== null || mode === "worst") return row;
    setMode("worst");
    return nextRow(audit.worst, isAnswered);
  }

  function setMode(name) {
    mode = name;
    for (const radio of document.querySelectorAll("input[name=mode]")) {
      radio.checked = radio.value === name;
    }
  }

  function element(tag, text, attributes = {}) {
    const made = document.createElement(tag);
    made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  const count = (number) => String(Math.round(number));

  function showInterval() {
    const { value, low, high } = curve[curve.length - 1];
    $("interval").textContent = decisions.size + audit.known.length === 0
      ? "Nothing is checked yet. The checked labels alone will say how many are wrong, and the " +
        "interval narrows with each drawn row."
      : `${count(value)} of ${count(audit.nRows)} labels are wrong, ${low} to ${high} at ` +
        `${Math.round(audit.level * 100)} % by the checked labels alone. This holds at all times.`;
    $("interval").dataset.low = low;
    $("interval").dataset.high = high;
    const n = Math.max(curve[curve.length - 1].n, 1);
    const top = Math.max(...curve.map((point) => point.high), 1);
    const x = (point) => ((point.n / n) * 300).toFixed(1);
    const y = (number) => (58 - (number / top) * 56).toFixed(1);
    const area = [...curve.map((p) => `${x(p)},${y(p.high)}`),
      ...curve.map((p) => `${x(p)},${y(p.low)}`).reverse()];
    const svg = "http://www.w3.org/2000/svg";
    const shapes = [["polygon", "area", area], ["polyline", "mid", curve.map((p) => `${x(p)},${y(p.value)}`)]];
    $("curve").replaceChildren(...shapes.map(([tag, name, points]) => {
      const shape = document.createElementNS(svg, tag);
      shape.setAttribute("class", name);
      shape.setAttribute("points", points.join(" "));
      return shape;
    }));
    const left = (rows) => rows.filter((row) => !isAnswered(row)).length;
    const done = audit.rows.filter((row) => isAnswered(row.row)).length;
    $("progress").textContent =
      `${done} of ${audit.rows.length} rows of this page answered; ${left(audit.drawn)} drawn ones ` +
      `and ${left(audit.worst)} doubtful ones are left.`;
    $("bar").max = audit.rows.length;
    $("bar").value = done;
  }

  // Each answer adds a point to the curve; after a load there are at most thirty.
  function trace(all) {
    const list = [...decisions.values()];
    const numbers = all
      ? [...new Set(Array.from({ length: 31 }, (_, i) => Math.round((i / 30) * list.length)))]
      : [list.length];
    if (all) curve = [];
    for (const n of numbers) {
      const part = new Map(list.slice(0, n).map((decision) => [decision.row, decision]));
      curve = curve.filter((point) => point.n < n);
      curve.push({ n, ...countWrong(audit, makeLooks(audit, part)) });
    }
  }

  function showSuggestion(open) {
    $("suggest").setAttribute("aria-expanded", String(open));
    $("suggestion").hidden = !open;
    $("values").classList.toggle("open", open);
  }

  function showRow(focus) {
    const number = current();
    const row = rows.get(number);
    $("card").hidden = row === undefined;
    if (!row) {
      $("said").textContent =
        "All rows of this page are answered. Download decisions.csv and run the command below for more.";
      return;
    }
    if (mode === "drawn" && viewed === null && pending !== number) {
      pending = number;
      save();
    }
    const before = decisions.get(number);
    const name = audit.unit === "line" ? `Line ${row.line} of the file` : `Row ${row.row}`;
    $("row-title").textContent = before ? `${name}, answered before` : name;
    $("given").textContent = audit.classes[row.given];
    $("classes").replaceChildren(...row.keys.map((code, i) => {
      const chosen = before !== undefined && before.answer === code;
      const button = element("button", "", { type: "button", "aria-pressed": chosen });
      button.append(element("kbd", String(i + 1)), ` ${audit.classes[code]}`);
      button.addEventListener("click", () => answer(code));
      return button;
    }));
    $("unclear").setAttribute("aria-pressed", String(before?.answer === UNCLEAR));
    $("typed").hidden = audit.classes.length <= row.keys.length;
    $("suggestion").textContent =
      `The suggestion is ${audit.classes[row.suggested]}, with a probability of ${row.probability}.`;
    $("same").textContent = `Similar row: ${audit.classes[row.given]}`;
    $("other").textContent = `Similar row: ${audit.classes[row.second]}`;
    $("values").tBodies[0].replaceChildren(...row.values.map(([feature, value, score, same, other]) => {
      const line = document.createElement("tr");
      const times = Math.exp(Math.abs(score));
      const strength = times > 99 ? "more than 99" : times.toPrecision(2);
      const says = times < 1.1 ? "" : `${score > 0 ? "for" : "against"}, ×${strength}`;
      line.append(element("th", audit.features[feature], { scope: "row" }), element("td", value || "missing"),
        element("td", says), element("td", same), element("td", other, { class: "blind" }));
      return line;
    }));
    $("values").hidden = row.values.length === 0;
    $("name").value = "";
    $("matches").textContent = "";
    showSuggestion(false);
    if (focus) $("card").focus({ preventScroll: true });
  }

  // ---- what the person does

  function answer(code) {
    const row = current();
    if (row === null) return;
    const before = decisions.get(row);
    const time = new Date().toISOString();
    const origin = before ? before.origin : row === pending ? "drawn" : mode;
    decisions.set(row, { since: time, ...before, row, answer: code, origin, time, design: audit.design });
    if (row === pending) pending = null;
    viewed = null;
    save();
    trace(before !== undefined);
    const choice = code === UNCLEAR ? "cannot tell" : audit.classes[code];
    const { suggested, line } = rows.get(row);
    showInterval();
    showRow(true);
    const after = current() === null ? ` ${$("said").textContent}` : "";
    $("said").textContent =
      `${audit.unit === "line" ? "Line" : "Row"} ${line}: ${choice}. The suggestion was ${audit.classes[suggested]}.${after}`;
  }

  function goBack() {
    const answered = [...decisions.keys()].filter((row) => rows.has(row));
    const at = viewed === null ? answered.length : answered.indexOf(viewed);
    if (at > 0) {
      viewed = answered[at - 1];
      showRow(true);
    }
  }

  function chooseTyped(event) {
    event.preventDefault();
    const found = findClasses(audit.classes, $("name").value);
    if (found.length === 1) answer(found[0]);
    else showMatches();
  }

  function showMatches() {
    const names = findClasses(audit.classes, $("name").value).map((code) => audit.classes[code]);
    const more = names.length > 8 ? ` and ${names.length - 8} more` : "";
    $("matches").textContent =
      $("name").value.trim() === "" ? "" : names.length === 0 ? "No class has this name."
        : names.length === 1 ? `Enter chooses ${names[0]}.` : names.slice(0, 8).join(", ") + more;
  }

  function pressKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.id === "name";
    if (typing) {
      if (event.key === "Escape") $("card").focus();
      return;
    }
    const row = rows.get(current());
    if (/^[1-9]$/.test(event.key) && row && row.keys[event.key - 1] !== undefined) {
      answer(row.keys[event.key - 1]);
    } else if (event.key === "0") answer(UNCLEAR);
    else if (event.key === "?") showSuggestion($("suggestion").hidden);
    else if (event.key === "Backspace" || (event.key === "ArrowLeft" && event.target.type !== "radio")) goBack();
    else if (/^\p{L}$/u.test(event.key) && row && !$("typed").hidden) return $("name").focus();
    else return;
    event.preventDefault();
  }

  function download() {
    const before = audit.known
      .filter((row) => !decisions.has(row.row))
      .map((row) => ({ row: row.row, answer: row.answer, origin: row.origin, time: audit.made }));
    const text = writeDecisions(audit.table, audit.classes, [...before, ...decisions.values()]);
    const link = element("a", "", {
      href: window.URL.createObjectURL(new Blob([text], { type: "text/csv" })),
      download: "decisions.csv",
    });
    link.click();
    saved = true;
  }

  async function upload(event) {
    const file = event.target.files[0];
    if (!file) return;
    try {
      const read = readDecisions(await file.text(), audit.table, audit.classes, audit.nRows);
      adopt([...read.values()].map((d) => ({ since: d.time, design: audit.design, ...d })));
      refresh();
      save();
      $("said").textContent = `${read.size} decisions were read.`;
    } catch (error) {
      $("said").textContent = error.message;
    }
    event.target.value = "";
  }

  function refresh() {
    trace(true);
    showInterval();
    showRow(false);
  }

  if (!load()) save();
  refresh();
  document.addEventListener("keydown", pressKey);
  $("unclear").addEventListener("click", () => answer(UNCLEAR));
  $("back").addEventListener("click", goBack);
  $("suggest").addEventListener("click", () => showSuggestion($("suggestion").hidden));
  $("typed").addEventListener("submit", chooseTyped);
  $("name").addEventListener("input", showMatches);
  $("download").addEventListener("click", download);
  $("upload").addEventListener("change", upload);
  for (const radio of document.querySelectorAll("input[name=mode]")) {
    radio.addEventListener("change", () => {
      viewed = null;
      setMode(radio.value);
      showRow(false);
    });
  }
  // Another tab with this page has taken a decision.
  window.addEventListener("storage", (event) => {
    if (event.key === key && load()) refresh();
  });
  window.addEventListener("beforeunload", (event) => {
    if (!saved && decisions.size) event.preventDefault();
  });
}

if (typeof document !== "undefined") openDesk(document, window);
