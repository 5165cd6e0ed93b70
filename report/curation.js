"use strict";
// Decisions on doubtful labels: one key each, kept in this page until they are saved as a file.
(() => {
  const all = [...document.querySelectorAll(".doubt")];
  const decisions = {};
  const words = { k: "keep", r: "reject" };
  const show = (section) => {
    const made = decisions[section.dataset.id];
    section.querySelector(".decision").textContent = made ? made.decision : "";
    document.getElementById("count").textContent =
      `${Object.keys(decisions).length} of ${all.length} decided`;
  };
  const go = (section) => section && (section.focus(), section.scrollIntoView({ block: "start" }));
  document.addEventListener("keydown", (event) => {
    const at = all.indexOf(document.activeElement.closest(".doubt"));
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowDown") go(all[Math.min(at + 1, all.length - 1)]);
    else if (event.key === "ArrowUp") go(all[Math.max(at - 1, 0)]);
    else if (at >= 0 && event.key in words) {
      decisions[all[at].dataset.id] = { decision: words[event.key], at: new Date().toISOString() };
      show(all[at]);
      go(all[at + 1]);
    } else if (at >= 0 && event.key === "u") {
      delete decisions[all[at].dataset.id];
      show(all[at]);
    } else return;
    event.preventDefault();
  });
  document.getElementById("save").addEventListener("click", () => {
    const link = document.createElement("a");
    const text = JSON.stringify(decisions, null, 1);
    link.href = `data:application/json;charset=utf-8,${encodeURIComponent(text)}`;
    link.download = "decisions.json";
    link.click();
  });
})();
