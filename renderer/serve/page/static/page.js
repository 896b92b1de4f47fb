// Follows a job: appends its log, and has htmx load the state again when it changed. The page works without it.
"use strict";
const log = document.getElementById("log");
if (log) {
  const MOST = 5000; // lines on the page; the whole log is one link away
  const follow = document.getElementById("follow");
  let lines = 0;
  let waits = null;
  const source = new EventSource(log.dataset.events);
  const COLOURS = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)/g; // and titles, for a terminal
  const CONTROL = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;
  const escape = (char) => char === "\t" ? char : `\\u{${char.codePointAt(0).toString(16)}}`;
  const add = (text) => {
    log.append(text.replace(COLOURS, "").replace(CONTROL, escape).trimEnd() + "\n");
    if (++lines > MOST) log.firstChild.remove();
  };
  const changed = () => {
    if (waits === null) {
      waits = setTimeout(() => { waits = null; document.body.dispatchEvent(new Event("job-changed")); }, 300);
    }
  };
  document.body.addEventListener("htmx:beforeRequest", (event) => { // the page shows how the job ended already
    if (document.querySelector("#job > [data-ended]")) event.preventDefault();
  });
  source.addEventListener("log", (event) => {
    for (const line of JSON.parse(event.data)) {
      if (!/^openjd_(progress|status|fail):/.test(line.text)) add(line.text);
    }
    if (follow.checked) log.scrollTop = log.scrollHeight;
  });
  source.addEventListener("gap", (event) => add(`… ${JSON.parse(event.data).lines} lines are left out here …`));
  source.addEventListener("reset", () => { log.textContent = ""; lines = 0; });
  const left = document.getElementById("left");
  let begun = null; // the first progress that was seen, and when
  const estimate = (job) => {
    const now = Date.now() / 1000;
    left.textContent = "";
    if (job.state !== "running" || job.progress === null) return;
    begun ??= { progress: job.progress, at: now };
    const done = job.progress - begun.progress;
    if (done < 1 || now - begun.at < 3) return;
    const seconds = Math.ceil((now - begun.at) * (100 - job.progress) / done);
    const text = seconds < 90 ? `${seconds} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
    left.textContent = `about ${text} left`;
  };
  const announce = document.getElementById("announce");
  let state = null;
  source.addEventListener("job", (event) => {
    const job = JSON.parse(event.data);
    if (state !== null && state !== job.state) announce.textContent = `The job is now ${job.state}.`;
    state = job.state;
    estimate(job);
    changed();
  });
  source.addEventListener("units", changed);
  source.addEventListener("end", () => { source.close(); changed(); });
}
