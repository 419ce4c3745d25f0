"use strict";
// Everything works without this file: it adds keys, dropping on the page, and a word while waiting.

const keys = document.getElementById("keys");
if (keys) {
  keys.checked = localStorage.getItem("equiderm-keys") !== "off";
  keys.addEventListener("change", () => localStorage.setItem("equiderm-keys", keys.checked ? "on" : "off"));
  let sent = false;
  document.addEventListener("keydown", (event) => {
    if (sent || event.repeat || !keys.checked || event.ctrlKey || event.metaKey || event.altKey) return;
    const button = document.querySelector(`button[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
    if (!button || button.disabled) return;
    sent = true; // until the next image is there
    button.click();
  });
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
}

const PHOTOGRAPH = /\.(jpe?g|jfif|png|tiff?|bmp|gif|webp|avif|heic|heif|jp2|jxl|dcm)$/i;

// A folder's photographs, no more than are measured: the rest would be sent for nothing.
function choose(input, files) {
  const place = (file) => file.webkitRelativePath || file.name;
  const isHidden = (file) => place(file).split("/").some((part) => part.startsWith("."));
  const isPhotograph = (file) => file.type.startsWith("image/") || PHOTOGRAPH.test(file.name);
  const photographs = files.filter((file) => isPhotograph(file) && !isHidden(file));
  photographs.sort((one, other) => place(one).localeCompare(place(other), undefined, { numeric: true }));
  const chosen = new DataTransfer();
  for (const file of photographs.slice(0, Number(input.dataset.most))) chosen.items.add(file);
  input.files = chosen.files;
  const cut = photographs.length > chosen.files.length ? `the first ${chosen.files.length} of ` : "";
  document.getElementById("folder-said").textContent = `${cut}${photographs.length} photographs`;
}

const folder = document.getElementById("folder");
if (folder) folder.addEventListener("change", () => choose(folder, [...folder.files]));

const fileOf = (entry) => new Promise((done, fail) => entry.file(done, fail));

async function filesOf(entry) {
  if (entry.isFile) { // a file says where it lay only when its folder was chosen, not dropped
    const file = await fileOf(entry);
    return [new File([file], entry.fullPath.slice(1), { type: file.type })];
  }
  const reader = entry.createReader(), found = [];
  for (;;) { // a reader gives about a hundred entries at a time
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) return found;
    for (const one of some) found.push(...await filesOf(one));
  }
}

for (const zone of document.querySelectorAll(".drop")) {
  const input = zone.querySelector("input");
  zone.addEventListener("dragover", (event) => event.preventDefault());
  zone.addEventListener("drop", async (event) => {
    event.preventDefault();
    const { files, items } = event.dataTransfer;
    const entries = [...items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    const folders = entries.filter((entry) => entry.isDirectory);
    if (!folder || !folders.length) {
      if (files.length) input.files = files;
      return;
    }
    const loose = new DataTransfer(), beside = entries.filter((entry) => entry.isFile);
    for (const file of await Promise.all(beside.map(fileOf))) loose.items.add(file);
    input.files = loose.files;
    choose(folder, (await Promise.all(folders.map(filesOf))).flat());
  });
}

// Dropped beside its place a file would be opened in the place of the page.
for (const kind of ["dragover", "drop"]) {
  document.addEventListener(kind, (event) => {
    if (!event.target.closest("input[type=file], .drop")) event.preventDefault();
  });
}

for (const form of document.querySelectorAll("form[data-busy]")) {
  form.addEventListener("submit", () => { form.querySelector("output").textContent = form.dataset.busy; });
  window.addEventListener("pageshow", () => { form.querySelector("output").textContent = ""; });
}

// A preview takes the place of the last one, so that the chosen files stay chosen.
const preview = document.querySelector('button[value="preview"]');
if (preview) preview.addEventListener("click", async (event) => {
  const form = preview.form, said = form.querySelector("output");
  if (!form.checkValidity()) return;
  event.preventDefault();
  said.textContent = "Reading …";
  const sent = new FormData(form);
  sent.set("answer", "preview");
  const answer = await fetch(form.action, { method: "POST", body: sent }).catch(() => null);
  const read = new DOMParser().parseFromString(answer ? await answer.text() : "", "text/html");
  const there = read.getElementById("said");
  said.textContent = there ? "" : "No answer came.";
  if (!there) return;
  document.getElementById("said").replaceWith(there);
  there.focus();
});
