"use strict";
{
  const gallery = document.querySelector(".gallery");
  const tools = gallery.querySelector(".tools");
  const field = tools.elements;
  const list = gallery.querySelector(".cards");
  const cards = [...list.children];
  const blank = gallery.querySelector("template").content.firstElementChild;
  const decisions = new Map(); // card -> {excluded, band, why, at}
  let saved = true;

  const wasDecided = (card) => card.dataset.c || card.dataset.x;
  const order = {
    doubt: null,
    dark: (a, b) => (a.dataset.a ?? 999) - (b.dataset.a ?? 999),
    light: (a, b) => (b.dataset.a ?? -999) - (a.dataset.a ?? -999),
    name: (a, b) => (a.dataset.i < b.dataset.i ? -1 : 1),
  };

  function matches(card) {
    const flag = field.flag.value, band = field.band.value, decided = field.decided.value;
    const marks = card.dataset.f, flags = marks.replace("far", "").trim();
    if (flag === "*" ? !flags : flag === "-" ? flags : flag === "far" ? !marks.startsWith("far")
      : !` ${flags} `.includes(flag)) return false;
    if (band && card.dataset.b !== band) return false;
    const done = decisions.has(card) || wasDecided(card);
    return !decided || (decided === "yes") === Boolean(done);
  }

  function show() {
    let shown = 0;
    for (const card of cards) {
      card.hidden = !matches(card);
      shown += !card.hidden;
    }
    report(`${shown.toLocaleString("en")} of ${cards.length.toLocaleString("en")} images shown.`);
  }

  function report(text) {
    const count = decisions.size;
    const unexplained = [...decisions.values()].filter((decision) => !decision.why).length;
    field.state.value = text + (count
      ? ` ${count} decided here${unexplained ? `, ${unexplained} without a reason` : ""}${saved ? "" : ", not saved"}.`
      : "");
  }

  function decide(card) {
    const [box, select, why] = card.querySelectorAll(".decide input, .decide select");
    const decision = { excluded: box.checked, band: select.value, why: why.value.trim() };
    const before = { excluded: Boolean(card.dataset.x), band: card.dataset.c ?? "" };
    const same = decision.excluded === before.excluded && decision.band === before.band
      && !(decision.why && wasDecided(card));
    if (same) decisions.delete(card);
    else decisions.set(card, { ...decision, at: new Date().toISOString().replace(/\.\d+/, "") });
    card.classList.toggle("changed", !same);
    saved = false;
    report("");
  }

  function addControls(card) {
    if (card.querySelector(".decide")) return;
    const controls = blank.cloneNode(true);
    const [box, select, why] = controls.querySelectorAll("input, select");
    const name = card.querySelector("h3").textContent;
    box.setAttribute("aria-label", `exclude ${name}`);
    select.setAttribute("aria-label", `corrected band of ${name}`);
    why.setAttribute("aria-label", `why, for ${name}`);
    box.checked = Boolean(card.dataset.x);
    select.value = card.dataset.c ?? "";
    controls.addEventListener("input", () => decide(card));
    card.append(controls);
  }

  // A spreadsheet runs a cell that begins with one of these as a formula; a quote makes it text.
  const cell = (text) => {
    const safe = /^'*[=+\-@\x00-\x1f\x7f]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };

  function save() {
    const who = field.who.value.trim();
    if (!decisions.size) return report("Nothing is decided yet: tick exclude or choose a band.");
    if (!who) {
      report("Write your name first: a decision says who made it.");
      return field.who.focus();
    }
    const rows = [["image", "ita_band_corrected", "excluded", "corrected_by", "corrected_at",
      "corrected_why", "corrected_scheme"]];
    // an image that the table names twice has two cards: the later decision counts
    const last = new Map([...decisions].map(([card, decision]) => [card.dataset.i, decision]));
    for (const [image, { band, excluded, at, why }] of last) {
      rows.push([image, band, excluded ? "true" : "false", who, at, why, gallery.dataset.scheme]);
    }
    const text = rows.map((row) => row.map(cell).join(",")).join("\n") + "\n";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = `${gallery.dataset.name}-corrections.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    saved = true;
    report(`Saved as ${link.download}: equiderm reband TONES --corrections ${link.download} -o CHECKED`);
  }

  for (const name of ["flag", "band", "decided"]) field[name].addEventListener("change", show);
  field.sort.addEventListener("change", () => {
    const by = order[field.sort.value];
    list.append(...(by ? [...cards].sort(by) : cards));
  });
  field.save.addEventListener("click", save);
  addEventListener("beforeunload", (event) => saved || event.preventDefault());
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) addControls(entry.target);
  }, { rootMargin: "1500px" });
  cards.forEach((card) => near.observe(card));
  tools.hidden = false;
  show();
}
