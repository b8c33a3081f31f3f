// Clients' phones: what arrives from the firm, what the client writes, taps or calls.
import { attempt, byTestId, call, el, hourOf, initials, keepAtEnd, keyed, kindOf, path, filePicker, showFile, tint, wholeTime, withDays } from './dom.js';

const MAX_SHOWN = 300;
/** SMS comes with a later stage; until then the choice is shown, with the reason why it is not offered. */
const SMS_WORKS = false;

const TICKS = { pending: ['◷', 'on its way'], sent: ['✓✓', 'arrived'], delivered: ['', ''], read: ['', ''] };
let app;

export function startPhones(theApp) {
  app = theApp;
  const form = document.getElementById('new-phone');
  const toggle = byTestId('phone-add');
  const open = (shown) => {
    form.hidden = !shown;
    toggle.setAttribute('aria-expanded', String(shown));
  };
  toggle.addEventListener('click', () => {
    open(form.hidden);
    if (!form.hidden) byTestId('phone-add-number').focus();
  });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const { number, name, on_whatsapp: onWhatsapp } = form.elements;
    const phone = { number: number.value, name: name.value, on_whatsapp: onWhatsapp.checked };
    if (!(await attempt(() => call(path('phones'), phone)))) return;
    form.reset();
    open(false);
    toggle.focus();
    await app.refresh();
  });
}

export function showPhones(state) {
  const shelf = document.getElementById('phones');
  keyed(shelf, state.phones, (phone) => phone.number, (phone) => phone.name + phone.on_whatsapp, buildPhone);
  for (const phone of state.phones) {
    const node = shelf.querySelector(`[data-number="${CSS.escape(phone.number)}"]`);
    showMessages(node.querySelector('.screen'), phone);
  }
}

const pretty = (number) => (number.startsWith('+1')
  ? number.replace(/^\+1(\d{3})(\d{3})(\d{4})$/, '+1 $1 $2 $3')
  : number.replace(/^(\+\d{2})(\d{3})(\d+)$/, '$1 $2 $3'));

function buildPhone(phone) {
  const status = el('p', { class: 'phone-status', role: 'status' });
  const channel = el('select', { testid: 'phone-channel', 'aria-label': 'Channel', title: SMS_WORKS ? '' : 'SMS comes with a later stage' },
    el('option', { value: 'whatsapp' }, 'WhatsApp'),
    el('option', { value: 'sms', disabled: !SMS_WORKS }, SMS_WORKS ? 'SMS' : 'SMS (later)'));
  const words = el('input', { testid: 'phone-input', placeholder: 'Message', 'aria-label': `Message from ${phone.name}`, autocomplete: 'off' });
  const form = el('form', { class: 'phone-composer', onsubmit: (event) => { event.preventDefault(); write(phone, channel.value, words); } },
    filePicker(`Send a file from ${phone.name}’s phone`, 'phone-file', ([file]) => sendFile(phone, words, file)),
    words, el('button', { type: 'submit', class: 'send', testid: 'phone-send', 'aria-label': 'Send' }, '➤'));
  const title = 'Call the firm on WhatsApp';
  return el('article', { class: 'phone', testid: 'phone', 'data-number': phone.number, 'aria-label': `Phone of ${phone.name}` },
    el('header', {},
      el('span', { class: `avatar ${tint(phone.name)}`, 'aria-hidden': 'true' }, initials(phone.name)),
      el('span', { class: 'phone-owner' }, el('strong', {}, phone.name), el('span', {}, pretty(phone.number), phone.on_whatsapp ? '' : ' · no WhatsApp')),
      el('button', { type: 'button', class: 'call', testid: 'phone-call', title, 'aria-label': title, onclick: () => ring(phone, status) }, '✆')),
    el('div', { class: 'screen', role: 'log', 'aria-live': 'polite', tabindex: '0', 'aria-label': `Messages on ${phone.name}’s phone` }),
    el('div', { class: 'phone-line' }, channel, status), form);
}

async function write(phone, channel, words) {
  const text = words.value;
  if (!text.trim()) return;
  words.value = '';
  const sent = await attempt(() => call(path('phones', phone.number, 'messages'), { channel, text }));
  if (!sent && !words.value) words.value = text;
  await app.refresh();
}

async function sendFile(phone, words, file) {
  const said = { channel: 'whatsapp', [kindOf(file.mime_type)]: { ...file, caption: words.value } };
  if (await attempt(() => call(path('phones', phone.number, 'messages'), said))) words.value = '';
  await app.refresh();
}

async function ring(phone, status) {
  try {
    await call(path('phones', phone.number, 'calls'), {});
    status.textContent = 'Called the firm.';
  } catch (error) {
    status.textContent = error.message;
  }
  setTimeout(() => { status.textContent = ''; }, 5000);
}

function showMessages(screen, phone) {
  const rows = withDays(phone.messages.slice(-MAX_SHOWN));
  const first = !screen.childElementCount;
  const stamp = (row) => (row.day ? '' : [row.status, row.text].join('|'));
  const build = (row) => (row.day ? el('p', { class: 'day' }, el('span', {}, row.day)) : buildBubble(row, phone));
  keepAtEnd(screen, () => keyed(screen, rows, (row) => row.id, stamp, build));
  if (first) screen.scrollTop = screen.scrollHeight;
}

function buildBubble(message, phone) {
  const fromClient = message.direction === 'out';
  const [tick, meaning] = (fromClient && TICKS[message.status]) || ['', ''];
  return el('div', {
    class: `bubble ${fromClient ? 'sent' : 'got'}`, testid: 'phone-message', 'data-direction': message.direction,
    'data-status': message.status, 'data-message': message.id, 'data-template': message.template,
  },
  message.file ? showFile(path('phones', 'files', message.file.id), message.file) : null,
  el('p', { class: 'bubble-text' }, message.text),
  el('footer', {},
    message.channel === 'sms' ? el('span', {}, 'SMS') : null,
    el('time', { title: wholeTime(message.at), dateTime: new Date(message.at).toISOString() }, hourOf(message.at)),
    tick ? el('span', { class: `ticks ${message.status}`, role: 'img', 'aria-label': meaning, title: meaning }, tick) : null),
  message.buttons.length ? el('div', { class: 'replies' }, ...message.buttons.map((button) => buildReply(button, phone))) : null);
}

function buildReply(button, phone) {
  const tap = async () => {
    await attempt(() => call(path('phones', phone.number, 'messages'), { channel: 'whatsapp', payload: button.payload }));
    await app.refresh();
  };
  return el('button', { type: 'button', testid: 'phone-button', 'data-payload': button.payload, onclick: tap }, button.title);
}
