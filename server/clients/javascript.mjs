// winnow from JavaScript without a package: a search, and another one whose events are shown as they come.
//
//   node javascript.mjs http://127.0.0.1:8000
//
// It needs Node 20 or newer. For a service with keys, set WINNOW_API_KEY.

const url = (process.argv[2] ?? "http://127.0.0.1:8000").replace(/\/$/, "").replace(/\/v1$/, "");
const key = process.env.WINNOW_API_KEY;
const problem = "Compute 8 + 6 * 4 - 12.";

/** Posts a request; an error has the words of the service. */
async function post(path, body) {
  const authorization = key ? { Authorization: `Bearer ${key}` } : {};
  const headers = { "Content-Type": "application/json", ...authorization };
  const reply = await fetch(url + path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!reply.ok) throw new Error((await reply.json()).error.message);
  return reply;
}

/** Yields the events of a stream: {name, data}. The last one is the result or an error. */
async function* events(reply) {
  let text = "";
  for await (const piece of reply.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (text + piece).split(/\r?\n\r?\n/);
    text = blocks.pop();
    for (const block of blocks) {
      const name = block.match(/^event: (.*)$/m)?.[1];
      const data = block.match(/^data: (.*)$/m)?.[1];
      if (data) yield { name, data: JSON.parse(data) };
    }
  }
}

const solved = await (await post("/solve", { problem, n: 16, strategy: "majority", include: [] })).json();
console.log("answer:", solved.answer, "votes:", solved.votes.map(({ answer, count }) => `${answer} (${count})`).join(", "));

const seen = {};
let last;
for await (const event of events(await post("/solve", { problem, n: 4, strategy: "majority", stream: true }))) {
  seen[event.name] = (seen[event.name] ?? 0) + 1;
  last = event;
}
if (last?.name !== "result") throw new Error(last?.data.error?.message ?? "the stream broke before the result");
console.log("streamed:", last.data.answer, "events:", JSON.stringify(seen));
