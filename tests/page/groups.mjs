// A WhatsApp group on two phones, by the page: node groups.mjs PAGE_URL WHATSAPP_URL
// The firm's part is done by calls to the WhatsApp API, as any program with its token could.
import { chromium } from 'playwright-core';

const [url, whatsapp] = process.argv.slice(2);
const [ANN, BOB] = ['+4915112345678', '+12025550123'];
const LINE = '100000000000001';
/** The longest wait for one condition; a healthy sandbox needs a few hundred milliseconds. */
const PATIENCE = 15_000;

async function graph(method, path, more) {
  const body = more && JSON.stringify({ messaging_product: 'whatsapp', ...more });
  const answer = await fetch(`${whatsapp}/v25.0/${path}`, {
    method, body, headers: { Authorization: 'Bearer sandbox-token', 'Content-Type': 'application/json' },
  });
  const said = await answer.json();
  if (!answer.ok) throw new Error(`${method} ${path}: ${JSON.stringify(said)}`);
  return said;
}

async function made() {
  await graph('POST', `${LINE}/groups`, { subject: 'Lee family', description: 'With Jane Doe', join_approval_mode: 'approval_required' });
  const { data } = await graph('GET', `${LINE}/groups`);
  const group = data.groups.find((one) => one.subject === 'Lee family').id;
  const { invite_link: link } = await graph('GET', `${group}/invite_link`);
  return { group, link };
}

/** A link reaches a phone as a text of the firm, within the window that the client's own message opens. */
async function invited(phone, number, link) {
  await phone.locator('[data-testid="phone-input"]').fill('Hello');
  await phone.locator('[data-testid="phone-send"]').click();
  await phone.locator('[data-testid="phone-message"][data-direction="out"]', { hasText: 'Hello' }).first().waitFor();
  await graph('POST', `${LINE}/messages`, { to: number, type: 'text', text: { body: `Please join: ${link}` } });
  await phone.locator('[data-testid="phone-join"]').last().click();
  await phone.locator('[data-testid="phone-group"][data-standing="asked"]').waitFor();
}

async function approved(phone, group) {
  const { data } = await graph('GET', `${group}/join_requests`);
  await graph('POST', `${group}/join_requests`, { join_requests: data.map((one) => one.join_request_id) });
  await phone.locator('[data-testid="phone-group"][data-standing="in"]').waitFor();
}

async function write(phone, text) {
  await phone.locator('[data-testid="phone-input"]').fill(text);
  await phone.locator('[data-testid="phone-send"]').click();
  await phone.locator('[data-testid="phone-message"][data-direction="out"]', { hasText: text }).waitFor();
}

/** A picture as a browser paints it, in the form in which Meta takes it. */
async function pictured(page, group) {
  const base64 = await page.evaluate(() => {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 200;
    canvas.getContext('2d').fillRect(20, 20, 80, 80);
    return canvas.toDataURL('image/jpeg').split(',')[1];
  });
  const form = new FormData();
  form.append('messaging_product', 'whatsapp');
  form.append('file', new Blob([Buffer.from(base64, 'base64')], { type: 'image/jpeg' }), 'family.jpg');
  const answer = await fetch(`${whatsapp}/v25.0/${group}`, { method: 'POST', body: form, headers: { Authorization: 'Bearer sandbox-token' } });
  if (!answer.ok) throw new Error(`the picture: ${await answer.text()}`);
}

async function story(page) {
  const on = (number) => page.locator(`[data-testid="phone"][data-number="${number}"]`);
  const [ann, bob] = [on(ANN), on(BOB)];
  const { group, link } = await made();
  for (const [phone, number] of [[ann, ANN], [bob, BOB]]) {
    await invited(phone, number, link);
    await approved(phone, group);
  }
  if (await ann.locator('[data-testid="phone-group-picture"]').count()) throw new Error('a picture before there is one');
  await pictured(page, group);
  for (const place of [bob.locator('[data-testid="phone-group"]'), ann.locator(`[data-testid="phone-talk"][data-group="${group}"]`)]) {
    const picture = place.locator('[data-testid="phone-group-picture"]');
    await picture.waitFor();
    const width = await picture.evaluate((image) => image.decode().then(() => image.naturalWidth));
    if (width !== 200) throw new Error(`the picture is ${width} pixels wide`);
  }
  await write(ann, 'Hello <b>all</b>');
  await bob.locator('[data-testid="phone-message"][data-direction="in"]', { hasText: 'Hello <b>all</b>' }).waitFor();
  await graph('POST', `${LINE}/messages`, { recipient_type: 'group', to: group, type: 'text', text: { body: 'Welcome to the group' } });
  for (const phone of [ann, bob]) await phone.locator('[data-testid="phone-message"]', { hasText: 'Welcome to the group' }).waitFor();
  await ann.locator('[data-testid="phone-talk"][data-group=""]').click();
  await ann.locator('[data-testid="phone-message"]', { hasText: 'Please join' }).first().waitFor();
  if (await ann.locator('[data-testid="phone-message"]', { hasText: 'Welcome to the group' }).count()) throw new Error('the group shows in the chat with the firm');
  await bob.locator('[data-testid="phone-leave"]').click();
  await bob.locator('[data-testid="phone-group"][data-standing="left"]').waitFor();
  await bob.locator('[data-testid="phone-input"]').waitFor({ state: 'hidden' });
  if (!await bob.locator('.attach svg path').count()) throw new Error('the paper clip is no drawing');
  await bob.locator('[data-testid="phone-channel"]').selectOption('sms');
  await bob.locator('[data-testid="phone-input"]').waitFor();
  await bob.locator('[data-testid="phone-channel"]').selectOption('whatsapp');
  await bob.locator('[data-testid="phone-input"]').waitFor({ state: 'hidden' });
  await ann.locator('[data-testid="phone-look"]').click();
  await ann.locator('.phone-status', { hasText: /Read \d+ messages/ }).waitFor();
  await graph('DELETE', `${group}/participants`, { participants: [{ user: ANN }] });
  await ann.locator('[data-testid="phone-join"]').last().click();
  await page.locator('#say', { hasText: 'No link lets this phone in again' }).waitFor();
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
});
let failed = false;
try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  page.setDefaultTimeout(PATIENCE);
  page.on('pageerror', (error) => { failed = true; console.error(`script error: ${error.message}`); });
  await page.goto(url, { waitUntil: 'domcontentloaded' });
  await story(page);
  if (process.env.GROUPS_SCREENSHOT) await page.screenshot({ path: process.env.GROUPS_SCREENSHOT, animations: 'disabled' });
  if (!failed) console.log('the group lived on both phones');
} catch (error) {
  failed = true;
  console.error(error.message);
} finally {
  await browser.close();
}
process.exit(failed ? 1 : 0);
