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
  const photographs = files.filter((file) => file.type.startsWith("image/") || PHOTOGRAPH.test(file.name));
  const place = (file) => file.webkitRelativePath || file.name;
  photographs.sort((one, other) => place(one).localeCompare(place(other), undefined, { numeric: true }));
  const chosen = new DataTransfer();
  for (const file of photographs.slice(0, Number(input.dataset.most))) chosen.items.add(file);
  input.files = chosen.files;
  const cut = photographs.length > chosen.files.length ? `the first ${chosen.files.length} of ` : "";
  document.getElementById("folder-said").textContent = `${cut}${photographs.length} photographs`;
}

const folder = document.getElementById("folder");
if (folder) folder.addEventListener("change", () => choose(folder, [...folder.files]));

async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((done, fail) => entry.file(done, fail))];
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
    if (!folder || !entries.some((entry) => entry.isDirectory)) {
      if (files.length) input.files = files;
      return;
    }
    choose(folder, (await Promise.all(entries.map(filesOf))).flat());
  });
}

for (const form of document.querySelectorAll("form[data-busy]")) {
  form.addEventListener("submit", () => { form.querySelector("output").textContent = form.dataset.busy; });
  window.addEventListener("pageshow", () => { form.querySelector("output").textContent = ""; });
}
