// node render.mjs FILE SCENE: renders a scene with `renderer serve`, and downloads what it makes. Node 18 or newer.
// SERVE_URL is the server, SERVE_TOKEN the token, if it has tokens.
import { randomUUID } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout } from "node:timers/promises";

const server = process.env.SERVE_URL ?? "http://localhost:8080";
const token = process.env.SERVE_TOKEN;
const headers = token ? { Authorization: `Bearer ${token}` } : {};

async function call(path, options = {}) {
  const answer = await fetch(server + path, { ...options, headers: { ...headers, ...options.headers } });
  if (answer.ok) return answer;
  const problem = await answer.json();
  throw new Error(`${problem.detail}. ${problem.hint ?? ""}`);
}

// yields the events of a job until it has ended, also if the server is restarted meanwhile
async function* events(id) {
  let name = "", last = {};
  while (name !== "end") {
    try {
      let text = "";
      const answer = await call(`/api/v1/jobs/${id}/events`, { headers: last });
      for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
        const blocks = (text + part).split("\n\n");
        text = blocks.pop();
        for (const block of blocks) {
          const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s, 2)));
          if (!fields.event) continue;
          name = fields.event;
          if (fields.id) last = { "Last-Event-ID": fields.id };
          yield { name, data: JSON.parse(fields.data) };
        }
      }
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // fetch's error for a connection that breaks
      await setTimeout(1000);
    }
  }
}

const [file, scene] = process.argv.slice(2);
const run = { code: await readFile(file, "utf8"), scenes: [scene], settings: { quality: "l" } };
const submitted = await call("/api/v1/jobs", {
  method: "POST",
  body: JSON.stringify(run),
  // the same request with the same key makes one job, so that it may be sent again
  headers: { "Content-Type": "application/json", "Idempotency-Key": randomUUID() },
});
const { id } = await submitted.json();
for await (const event of events(id)) {
  if (event.name === "log") for (const line of event.data) console.log(line.text);
}
const job = await (await call(`/api/v1/jobs/${id}`)).json();
if (job.state !== "succeeded") throw new Error(job.reason ?? job.units[0].message);
const { outputs } = await (await call(`/api/v1/jobs/${id}/outputs`)).json();
for (const output of outputs) {
  await mkdir(dirname(output.path), { recursive: true });
  await writeFile(output.path, (await call(output.url)).body);
  console.log(output.path);
}
