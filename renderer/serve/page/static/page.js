// Follows a job: appends its log, and has htmx load the state again when it changed. The page works without it.
"use strict";
const log = document.getElementById("log");
if (log) {
  const MOST = 5000; // lines on the page; the whole log is one link away
  const follow = document.getElementById("follow");
  let lines = 0;
  let waits = null;
  const source = new EventSource(log.dataset.events);
  const add = (text) => {
    log.append(text + "\n");
    if (++lines > MOST) log.firstChild.remove();
  };
  const changed = () => {
    if (waits === null) {
      waits = setTimeout(() => { waits = null; document.body.dispatchEvent(new Event("job-changed")); }, 300);
    }
  };
  source.addEventListener("log", (event) => {
    for (const line of JSON.parse(event.data)) {
      if (!line.text.startsWith("openjd_progress:")) add(line.text);
    }
    if (follow.checked) log.scrollTop = log.scrollHeight;
  });
  source.addEventListener("gap", (event) => add(`… ${JSON.parse(event.data).lines} lines are left out here …`));
  source.addEventListener("reset", () => { log.textContent = ""; lines = 0; });
  const announce = document.getElementById("announce");
  let state = null;
  source.addEventListener("job", (event) => {
    const job = JSON.parse(event.data);
    if (state !== null && state !== job.state) announce.textContent = `The job is now ${job.state}.`;
    state = job.state;
    changed();
  });
  source.addEventListener("units", changed);
  source.addEventListener("end", () => { source.close(); changed(); });
}
