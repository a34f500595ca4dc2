"use strict";
// Says when the page has lost its server: what is old must not look like now.
(() => {
  const note = document.getElementById("connection");
  let since = null;
  const lost = () => {
    since ??= new Date().toISOString().slice(11, 19);
    note.textContent = `No answer from Driftline since ${since} UTC. What you see is from before that; it is being tried again.`;
    note.hidden = false;
    document.body.classList.add("lost");
  };
  const found = () => {
    since = null;
    note.hidden = true;
    document.body.classList.remove("lost");
  };
  for (const event of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
    document.body.addEventListener(event, lost);
  }
  document.body.addEventListener("htmx:afterSwap", found);
})();
