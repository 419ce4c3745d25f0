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

for (const zone of document.querySelectorAll(".drop")) {
  const input = zone.querySelector("input");
  const stop = (event) => event.preventDefault();
  zone.addEventListener("dragover", stop);
  zone.addEventListener("drop", (event) => {
    stop(event);
    if (event.dataTransfer.files.length) input.files = event.dataTransfer.files;
  });
}

for (const form of document.querySelectorAll("form[data-busy]")) {
  form.addEventListener("submit", () => { form.querySelector("output").textContent = form.dataset.busy; });
  window.addEventListener("pageshow", () => { form.querySelector("output").textContent = ""; });
}
