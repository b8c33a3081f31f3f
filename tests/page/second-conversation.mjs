// The README's second conversation, by the page alone: node second-conversation.mjs PAGE_URL [SCREENSHOT]
// An American and a German client by SMS side by side, a stranger who calls, and two channels on one phone.
import { chromium } from 'playwright-core';

const [url, screenshot] = process.argv.slice(2);
const [MIA, JAN, EVA] = ['+19175550148', '+491713920012', '+442071234567'];
/** The longest wait for one condition; a line sends one text in a second, and the machine may be busy. */
const PATIENCE = 20_000;
let page;

const phone = (number) => page.locator(`[data-testid="phone"][data-number="${number}"]`);
const bubble = (number, text) => phone(number).locator('[data-testid="phone-message"]', { hasText: text }).first();
const line = (code, text = '') => page.locator(`[data-testid="chat-message"][data-code="${code}"]`, { hasText: text });
const entry = (which) => page.getByTestId('chat-room-list').locator(`[data-testid="chat-room"]${which}`).first();

async function openRoom(which) {
  await entry(which).click();
  await entry(`${which}[aria-current="true"]`).waitFor();
  await page.locator('[data-testid="chat-input"]:enabled').waitFor();
}

async function type(text) {
  await page.getByTestId('chat-input').fill(text);
  await page.getByTestId('chat-input').press('Enter');
  await page.getByTestId('chat-message').filter({ hasText: text }).last().waitFor();
}

async function texts(number, text) {
  await phone(number).getByTestId('phone-channel').selectOption('sms');
  await phone(number).getByTestId('phone-input').fill(text);
  await phone(number).getByTestId('phone-send').click();
  await phone(number).locator('[data-testid="phone-message"][data-direction="out"][data-channel="sms"]', { hasText: text }).last().waitFor();
}

async function never(number, text) {
  if (await bubble(number, text).count()) throw new Error(`"${text}" is on the phone already`);
}

async function added(first, last, number) {
  await openRoom('[data-bot="true"]');
  await type(`/contact add ${first} ${last} phone=${number} channel=sms`);
  await entry(`[data-name="${first} ${last}"]`).waitFor();
  await bubble(number, 'this is Jane Doe of Acme Wealth').waitFor();
}

async function sideBySide() {
  await step('Jane adds Mia of New York', () => added('Mia', 'Cole', MIA));
  await step('and Jan of Munich; both are welcomed', () => added('Jan', 'Vogt', JAN));
  await step('Jane writes to Jan', async () => { await openRoom('[data-name="Jan Vogt"]'); await type('Guten Morgen Jan.'); });
  await step('it is on his phone', () => bubble(JAN, 'Guten Morgen Jan.').waitFor());
  await step('Jane writes to Mia', async () => { await openRoom('[data-name="Mia Cole"]'); await type('Good morning Mia.'); });
  await step('that is held', () => line('held').first().waitFor());
  await step('Mia is asked', () => bubble(MIA, 'Reply YES to agree').waitFor());
  await step('and has nothing of it', () => never(MIA, 'Good morning Mia.'));
  await step('Mia says yes', () => texts(MIA, 'YES'));
  await step('what was held arrives', () => bubble(MIA, 'Good morning Mia.').waitFor());
  await step('Mia answers into the room', async () => { await texts(MIA, 'Hello <b>Jane</b>'); await line('client_message', 'Hello <b>Jane</b>').waitFor(); });
  await step('Mia says stop', () => texts(MIA, 'STOP'));
  await step('the room says so', () => line('consent_no').first().waitFor());
  await step('Jane writes all the same', () => type('One more thing.'));
  await step('that is refused', () => line('refusal').first().waitFor());
  await step('and never sent', () => never(MIA, 'One more thing.'));
}

async function aStrangerCalls() {
  await step('Eva calls and speaks after the tone', async () => {
    await phone(EVA).getByTestId('phone-channel').selectOption('sms');
    await phone(EVA).getByTestId('phone-call-plan').selectOption('voicemail');
    await phone(EVA).getByTestId('phone-input').fill('Please call me back about the bonds.');
    await phone(EVA).getByTestId('phone-call').click();
  });
  await step('her phone shows how it went', () => phone(EVA).getByTestId('phone-call-outcome').filter({ hasText: 'voicemail' }).waitFor());
  await step('she heard the notice', () => phone(EVA).getByTestId('phone-spoken').filter({ hasText: 'may be recorded' }).first().waitFor());
  await step('a room with her appears', () => openRoom(`[data-name="${EVA}"]`));
  await step('with the call', () => line('info', 'not answered').waitFor());
  await step('and the recording', () => line('client_message').locator('[data-testid="file"]').waitFor());
  await step('she is welcomed', () => bubble(EVA, 'this is Jane Doe of Acme Wealth').waitFor());
  await step('Jane gives her a name', () => type('/contact complete first=Eva last=Sun'));
  await step('and answers at once, for Eva is no American', () => type('I will call you at four.'));
  await step('which arrives', () => bubble(EVA, 'I will call you at four.').waitFor());
}

/** One person, two channels: her phone tells them apart, and so do the rooms. */
async function twoChannels() {
  await step('Eva writes by WhatsApp, too', async () => {
    await phone(EVA).getByTestId('phone-channel').selectOption('whatsapp');
    await phone(EVA).getByTestId('phone-input').fill('Hello by WhatsApp');
    await phone(EVA).getByTestId('phone-send').click();
    await bubble(EVA, 'Hello by WhatsApp').waitFor();
  });
  await step('and by text', () => texts(EVA, 'Hello by text'));
  await step('the two look different', async () => {
    const look = (text) => bubble(EVA, text).evaluate((node) => ({
      channel: node.dataset.channel, label: node.querySelector('.by-sms')?.textContent || '', colour: getComputedStyle(node).backgroundColor,
    }));
    const [whatsapp, sms] = [await look('Hello by WhatsApp'), await look('Hello by text')];
    const told = whatsapp.channel === 'whatsapp' && sms.channel === 'sms' && !whatsapp.label && sms.label === 'SMS' && whatsapp.colour !== sms.colour;
    if (!told) throw new Error(JSON.stringify({ whatsapp, sms }));
  });
  await step('the room of texts has the text only', async () => {
    await line('client_message', 'Hello by text').waitFor();
    if (await line('client_message', 'Hello by WhatsApp').count()) throw new Error('a room mixes channels');
  });
}

async function step(what, act) {
  try {
    await act();
    console.log(`ok  ${what}`);
  } catch (error) {
    throw new Error(`FAILED: ${what}\n  ${error.message.split('\n').slice(0, 6).join('\n  ')}`);
  }
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
});
let failed = false;
try {
  page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  page.setDefaultTimeout(PATIENCE);
  page.on('pageerror', (error) => { failed = true; console.error(`script error: ${error.message}`); });
  await page.goto(url, { waitUntil: 'domcontentloaded' });
  const people = page.getByTestId('user-switch');
  const jane = people.locator('option', { hasText: 'Jane' }).first();
  await jane.waitFor({ state: 'attached' });
  await people.selectOption(await jane.getAttribute('value'));
  await sideBySide();
  await aStrangerCalls();
  await twoChannels();
  if (!failed) console.log('the second conversation went through');
} catch (error) {
  failed = true;
  console.error(error.message);
} finally {
  if (screenshot) await page?.screenshot({ path: screenshot, animations: 'disabled' });
  await browser.close();
}
process.exit(failed ? 1 : 0);
