// The README's first conversation, driven through the page alone: node first-conversation.mjs PAGE_URL SCREENSHOT
// It starts nothing. CHROMIUM names another browser, TEMPLATE the template that Jane sends.
import { chromium } from 'playwright-core';

const [url, screenshot] = process.argv.slice(2);
if (!url || !screenshot) {
  console.error('usage: node first-conversation.mjs PAGE_URL SCREENSHOT.png');
  process.exit(2);
}

const ANN = '+4915112345678';
const ADD_ANN = `/contact add Ann Lee phone=${ANN} email=ann@lee.de channel=whatsapp --room`;
const TEMPLATE = process.env.TEMPLATE || 'follow_up';
const NASTY = '<b>&${7*7}#{x}';
/** The longest wait for one condition; a healthy sandbox needs a few hundred milliseconds. */
const PATIENCE = 15_000;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
});
const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
page.setDefaultTimeout(PATIENCE);
const faults = [];
page.on('pageerror', (error) => faults.push(`script error: ${error.message}`));
page.on('console', (message) => {
  if (message.type() === 'error' && /Content Security Policy|Trusted/i.test(message.text())) faults.push(message.text());
});

let failed = false;
try {
  await step('the page opens', () => page.goto(url, { waitUntil: 'domcontentloaded' }));
  await firstConversation();
  await clientTextStaysText();
  if (faults.length) throw new Error(`the page complained:\n  ${faults.join('\n  ')}`);
  console.log('the first conversation went through');
} catch (error) {
  failed = true;
  console.error(error.message);
  if (faults.length) console.error(`the page complained:\n  ${faults.join('\n  ')}`);
} finally {
  await page.screenshot({ path: screenshot, animations: 'disabled' }).catch((error) => console.error(`no screenshot: ${error.message}`));
  await browser.close();
}
process.exit(failed ? 1 : 0);

async function firstConversation() {
  const phone = page.locator(`[data-testid="phone"][data-number="${ANN}"]`);
  await step('Jane is who I am', becomeJane);
  await step('Ann has a phone', () => havePhone(phone));
  await step('Jane opens her chat with Liaison', () => openRoom('[data-bot="true"]'));
  await step('Jane adds Ann', () => type(ADD_ANN));
  await step('the room Ann Lee appears in the list', () => roomEntry('[data-name="Ann Lee"]').waitFor());
  await step('Jane opens the room', () => openRoom('[data-name="Ann Lee"]'));

  const yes = phone.locator('[data-testid="phone-button"][data-payload="consent:yes"]').last();
  await step("the invitation with its buttons is on Ann's phone", () => yes.waitFor());
  await step('Jane writes before Ann has answered', () => type('Good morning Ann.'));
  await step('the room shows that it is held', () => codes('held').first().waitFor());
  await step('the journal shows both entries of that commit', () => bothInTheJournal());
  await step('nothing of it has reached Ann', () => never(phone, 'Good morning Ann.'));
  await step('Ann taps yes', () => yes.click());
  await step('the held message arrives', () => bubble(phone, 'Good morning Ann.').waitFor());
  await step('invitation, yes, welcome and message stand in this order', () => inOrder(phone));

  const heldBefore = await codes('held').count();
  await step('25 hours go by', passADay);
  await step('Jane writes into the closed window', () => type('Are you free on Friday?'));
  await step('the room shows that this is held too', () => codes('held').nth(heldBefore).waitFor());
  await step('it has not reached Ann', () => never(phone, 'Are you free on Friday?'));
  await step(`Jane sends the template ${TEMPLATE}`, () => sendTemplate(phone));
  await step('Ann answers', () => fromPhone(phone, 'Yes, Friday is fine.'));
  await step("Ann's answer is in the room", () => codes('client_message').filter({ hasText: 'Yes, Friday is fine.' }).first().waitFor());
  await step('what was held arrives', () => bubble(phone, 'Are you free on Friday?').waitFor());
}

/** What a client writes is shown as written, on the phone and in the room, and makes no element. */
async function clientTextStaysText() {
  const phone = page.locator(`[data-testid="phone"][data-number="${ANN}"]`);
  await step('Ann writes what looks like markup', () => fromPhone(phone, NASTY));
  await step('her phone shows it as written', () => bubble(phone, NASTY).waitFor());
  const line = codes('client_message').filter({ hasText: NASTY }).last();
  await step('the room shows it as written', () => line.waitFor());
  await step('none of it became an element', async () => {
    const bold = await line.locator('.words b').allTextContents();
    if (bold.length !== 1 || bold[0].includes('&')) throw new Error(`bold in the line: ${JSON.stringify(bold)}`);
  });
}

async function sendTemplate(phone) {
  const templates = () => phone.locator(`[data-testid="phone-message"][data-template="${TEMPLATE}"]`);
  const before = await templates().count();
  await type(`/template send ${TEMPLATE}`);
  const form = page.locator('[data-testid="chat-form"][data-form="confirm"]').last();
  await form.locator('button[name="confirm"]').click();
  await form.locator('fieldset:disabled').waitFor();
  await templates().nth(before).waitFor();
}

// ---- what a hand does

async function becomeJane() {
  const people = page.getByTestId('user-switch');
  await people.locator('option', { hasText: 'Jane' }).first().waitFor({ state: 'attached' });
  await people.selectOption(await people.locator('option', { hasText: 'Jane' }).first().getAttribute('value'));
}

async function havePhone(phone) {
  await page.getByTestId('clock-now').filter({ hasText: /\d/ }).waitFor();
  if (await phone.count()) return;
  await page.getByTestId('phone-add').click();
  await page.getByTestId('phone-add-number').fill(ANN);
  await page.getByTestId('phone-add-name').fill('Ann Lee');
  await page.getByTestId('phone-add-submit').click();
  await phone.waitFor();
}

async function openRoom(which) {
  await roomEntry(which).click();
  await roomEntry(`${which}[aria-current="true"]`).waitFor();
  await page.locator('[data-testid="chat-input"]:enabled').waitFor();
}

async function type(text) {
  await page.getByTestId('chat-input').fill(text);
  await page.getByTestId('chat-input').press('Enter');
  await page.getByTestId('chat-message').filter({ hasText: text }).last().waitFor();
}

async function fromPhone(phone, text) {
  await phone.getByTestId('phone-input').fill(text);
  await phone.getByTestId('phone-send').click();
}

async function passADay() {
  const hour = async () => page.getByTestId('clock-now').getAttribute('datetime');
  for (const hours of [24, 1]) {
    const before = Date.parse(await hour());
    await page.locator(`[data-testid="clock-advance"][data-hours="${hours}"]`).click();
    await page.waitForFunction(
      (after) => Date.parse(document.querySelector('[data-testid="clock-now"]').dateTime) >= after, before + hours * 3_600_000);
  }
}

// ---- what an eye sees

function roomEntry(which) {
  return page.getByTestId('chat-room-list').locator(`[data-testid="chat-room"]${which}`).first();
}

function codes(code) {
  return page.locator(`[data-testid="chat-message"][data-code="${code}"]`);
}

function bubble(phone, text) {
  return phone.locator('[data-testid="phone-message"] .bubble-text').filter({ hasText: text }).first();
}

/** Accepted and held in one commit: two entries, each as itself, however often the list is drawn anew. */
async function bothInTheJournal() {
  for (const kind of ['message.accepted', 'message.held']) {
    await page.locator(`[data-testid="timeline-entry"][data-kind="${kind}"]`).first().waitFor();
  }
}

async function never(phone, text) {
  const found = await bubble(phone, text).count();
  if (found) throw new Error(`"${text}" is on the phone already`);
}

async function inOrder(phone) {
  const shown = await phone.getByTestId('phone-message').evaluateAll((messages) => messages.map((message) => ({
    direction: message.dataset.direction, template: message.dataset.template || '', text: message.querySelector('.bubble-text').textContent,
  })));
  const at = [
    shown.findIndex((message) => message.template === 'liaison_invitation'),
    shown.findIndex((message) => message.direction === 'out'),
    shown.findIndex((message, index) => message.direction === 'in' && shown[index - 1]?.direction === 'out'),
    shown.findIndex((message) => message.text === 'Good morning Ann.'),
  ];
  const sound = at.every((place, index) => place >= 0 && (index === 0 || place > at[index - 1]));
  if (!sound) throw new Error(`the phone shows:\n  ${shown.map((message) => JSON.stringify(message)).join('\n  ')}`);
}

/** Names the step in each failure, so that a log says where the conversation broke. */
async function step(what, act) {
  try {
    await act();
    console.log(`ok  ${what}`);
  } catch (error) {
    throw new Error(`FAILED: ${what}\n  ${error.message.split('\n').slice(0, 6).join('\n  ')}`);
  }
}
