// One bot on Kapso's client for WhatsApp: what such a bot may want, once, and all the webhooks that come, each first shown to
// Kapso's verifier. It talks with run.py as pywa_story.py does.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [folder] = process.argv.slice(2);
const from = createRequire(`${folder}/package.json`);
const load = (name) => import(pathToFileURL(from.resolve(name)));
const { WhatsAppClient, GraphApiError, buildTemplateSendPayload } = await load("@kapso/whatsapp-cloud-api");
const { normalizeWebhook, verifySignature } = await load("@kapso/whatsapp-cloud-api/server");

const LINE = "100000000000001";
const ACCOUNT = "200000000000001";
const BOB = "+12025550123";
// The longest wait for anything; the machine may be busy.
const PATIENCE_MS = 30_000;

const seen = { messages: [], statuses: [], calls: [], verified: 0, refused: 0 };

function taken(request, response) {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const rawBody = Buffer.concat(parts);
    const fits = verifySignature({ appSecret: "sandbox-secret", rawBody, signatureHeader: request.headers["x-hub-signature-256"] });
    seen[fits ? "verified" : "refused"] += 1;
    if (fits) {
      const hook = normalizeWebhook(JSON.parse(rawBody.toString()));
      for (const kind of ["messages", "statuses", "calls"]) seen[kind].push(...hook[kind]);
    }
    response.writeHead(fits ? 200 : 401).end();
  });
}

async function until(what, look) {
  const end = Date.now() + PATIENCE_MS;
  while (Date.now() < end) {
    const found = look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what} never came; there is ${JSON.stringify(seen)}`);
}

async function phone(page, body) {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${page}/api/phones/${BOB}/messages`, {
    method: "POST",
    headers,
    body: JSON.stringify({ channel: "whatsapp", ...body }),
  });
  assert.equal(answer.status, 200, await answer.clone().text());
}

const refused = (code, call) => assert.rejects(call, (error) => error instanceof GraphApiError && error.code === code);

function arrived(sent, status) {
  const { id } = sent.messages[0];
  return until(`${status} of ${id}`, () => seen.statuses.find((one) => one.id === id && one.status === status));
}

async function template(client, to) {
  const payload = buildTemplateSendPayload({ name: "follow_up", language: "en_US", ...(await parameters(client)) });
  const sent = await client.messages.sendTemplate({ ...to, template: payload, bizOpaqueCallbackData: "k-1" });
  const status = await arrived(sent, "delivered");
  assert.equal(status.bizOpaqueCallbackData, "k-1");
  assert.equal(sent.messages[0].messageStatus, "accepted");
}

// As many as the account's own template wants, under the names that it gives them. `templates.get` asks below the account's list,
// where Meta's documents have nothing.
async function parameters(client) {
  const listed = await client.templates.list({ businessAccountId: ACCOUNT, name: "follow_up", language: "en_US", limit: 5 });
  assert.equal(listed.data.length, 1);
  const body = listed.data[0].components.find((component) => component.type === "BODY").text;
  const names = [...body.matchAll(/\{\{\s*(\w+)\s*\}\}/g)].map(([, name]) => name);
  const named = (name) => (/^\d+$/.test(name) ? {} : { parameterName: name });
  return { body: names.map((name) => ({ type: "text", text: "Bob", ...named(name) })) };
}

async function interactive(client, to, page) {
  const buttons = ["first", "second"].map((id) => ({ id: `kapso:${id}`, title: id }));
  await client.messages.sendInteractiveButtons({ ...to, bodyText: "Which?", footerText: "One of two", buttons });
  await phone(page, { payload: "kapso:first" });
  await until("the button", () => seen.messages.find((one) => one.interactive?.buttonReply?.id === "kapso:first"));
  const rows = [{ id: "kapso:noon", title: "Noon", description: "At twelve" }];
  await client.messages.sendInteractiveList({ ...to, bodyText: "When?", buttonText: "Times", sections: [{ title: "Today", rows }] });
  await phone(page, { payload: "kapso:noon" });
  await until("the row", () => seen.messages.find((one) => one.interactive?.listReply?.id === "kapso:noon"));
  const parameters = { displayText: "Map", url: "https://example.com/map" };
  await client.messages.sendInteractiveCtaUrl({ ...to, bodyText: "Where?", parameters });
}

async function messages(client, to, page) {
  await phone(page, { text: 'Hello <kapso> & "all" 😀' });
  const said = await until("the text", () => seen.messages.find((one) => one.text?.body === 'Hello <kapso> & "all" 😀'));
  await client.messages.markRead({ phoneNumberId: LINE, messageId: said.id, typingIndicator: { type: "text" } });
  const answer = await client.messages.sendText({ ...to, body: "Hello Bob", contextMessageId: said.id });
  assert.equal((await arrived(answer, "sent")).recipientUserId, said.fromUserId);
  const byId = { phoneNumberId: LINE, recipient: said.fromUserId };
  await arrived(await client.messages.sendText({ ...byId, body: "Known by your id" }), "delivered");
  await client.messages.sendReaction({ ...to, reaction: { messageId: said.id, emoji: "👍" } });
  const location = { latitude: 51.5, longitude: -0.12, name: "London", address: "Westminster" };
  await client.messages.sendLocation({ ...to, location });
  const name = { formattedName: "Jane Doe", firstName: "Jane" };
  await client.messages.sendContacts({ ...to, contacts: [{ name, phones: [{ phone: "+15550100001", type: "WORK" }] }] });
}

async function media(client, to) {
  const file = new Blob(["plain words"], { type: "text/plain" });
  const { id } = await client.media.upload({ phoneNumberId: LINE, type: "text/plain", file, fileName: "words.txt" });
  const kept = await client.media.get({ mediaId: id });
  assert.equal(kept.mimeType, "text/plain");
  const bytes = await client.media.download({ mediaId: id, auth: "always" });
  assert.equal(Buffer.from(bytes).toString(), "plain words");
  const sent = await client.messages.sendDocument({ ...to, document: { id, filename: "words.txt", caption: "Words" } });
  await arrived(sent, "delivered");
  await client.media.delete({ mediaId: id });
}

async function story(graph, page) {
  const client = new WhatsAppClient({ baseUrl: graph, graphVersion: "v25.0", accessToken: "sandbox-token" });
  const to = { phoneNumberId: LINE, to: BOB };
  await refused(131047, client.messages.sendText({ ...to, body: "Too early" }));
  await template(client, to);
  await messages(client, to, page);
  await interactive(client, to, page);
  await media(client, to);
  await refused(132001, client.messages.sendTemplate({ ...to, template: { name: "no_such_thing", language: { code: "en_US" } } }));
  const stranger = new WhatsAppClient({ baseUrl: graph, graphVersion: "v25.0", accessToken: "wrong" });
  await refused(190, stranger.messages.sendText({ ...to, body: "With a wrong token" }));
}

const server = createServer(taken).listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/`));
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const [graph, page] = (await lines.next()).value.split(" ");
await story(graph, page);
const { version } = JSON.parse(readFileSync(`${folder}/node_modules/@kapso/whatsapp-cloud-api/package.json`, "utf8"));
console.log(JSON.stringify({ kapso: version }));
await lines.next();
const kinds = Object.fromEntries(["messages", "statuses", "calls"].map((kind) => [kind, seen[kind].length]));
console.log(JSON.stringify({ verified: seen.verified, refused: seen.refused, ...kinds }));
process.exit(0);
