// Clients' phones: what arrives from the firm, what the client writes, taps or calls.
import { attempt, byTestId, call, el, hourOf, initials, keepAtEnd, keyed, kindOf, path, filePicker, showFile, tint, wholeTime, withDays } from './dom.js';
import { buildGroupBubble, groupOf, groupRows, joinButtons, showTalks, writeInGroup } from './phones_groups.js';

const MAX_SHOWN = 300;
/** How a telephone call goes, and what the choice says. WhatsApp's calls are never taken here. */
const PLANS = {
  nobody: ['not answered', () => ({})],
  answered: ['answered', () => ({ answered: true, seconds: 120 })],
  voicemail: ['voicemail', (words) => ({ voicemail: words || 'Please call me back.' })],
  withheld: ['withheld', () => ({ withheld: true })],
};
const TICKS = {
  pending: ['◷', 'on its way'], sent: ['✓✓', 'arrived'], lost: ['✕', 'the firm did not take it'], delivered: ['', ''], read: ['', ''],
};
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
    node.phone = phone;
    showTalks(node.querySelector('.talks'), phone, app);
    showMessages(node.querySelector('.screen'), phone);
    showComposer(node);
  }
}

/** Whoever is not in the group that the phone shows has nowhere to write, but by SMS. */
function showComposer(node) {
  const group = node.dataset.channel === 'sms' ? undefined : groupOf(node.phone);
  node.querySelector('.phone-composer').hidden = Boolean(group) && group.standing !== 'in';
}

const pretty = (number) => (number.startsWith('+1')
  ? number.replace(/^\+1(\d{3})(\d{3})(\d{4})$/, '+1 $1 $2 $3')
  : number.replace(/^(\+\d{2})(\d{3})(\d+)$/, '$1 $2 $3'));

function buildPhone(phone) {
  const status = el('p', { class: 'phone-status', role: 'status' });
  const channel = el('select', { testid: 'phone-channel', 'aria-label': 'Channel' },
    el('option', { value: 'whatsapp', disabled: !phone.on_whatsapp }, 'WhatsApp'),
    el('option', { value: 'sms' }, 'SMS'));
  channel.value = phone.on_whatsapp ? 'whatsapp' : 'sms';
  const plan = el('select', { class: 'call-plan', testid: 'phone-call-plan', 'aria-label': 'How a call goes', title: 'How the next call goes; a voicemail says what stands in the message field' },
    ...Object.entries(PLANS).map(([value, [label]]) => el('option', { value }, label)));
  const words = el('input', { testid: 'phone-input', 'aria-label': `Message from ${phone.name}`, autocomplete: 'off' });
  const form = el('form', { class: 'phone-composer', onsubmit: (event) => { event.preventDefault(); writeIn(node.phone, channel.value, words); } },
    filePicker(`Send a file from ${phone.name}’s phone`, 'phone-file', ([file]) => sendFile(node.phone, channel.value, words, file)),
    words, el('button', { type: 'submit', class: 'send', testid: 'phone-send', 'aria-label': 'Send' }, '➤'));
  const dial = el('button', { type: 'button', class: 'call', testid: 'phone-call', onclick: () => ring(phone, channel.value, plan.value, words, status) }, '✆');
  const node = el('article', { class: 'phone', testid: 'phone', 'data-number': phone.number, 'aria-label': `Phone of ${phone.name}` },
    el('header', {},
      el('span', { class: `avatar ${tint(phone.name)}`, 'aria-hidden': 'true' }, initials(phone.name)),
      el('span', { class: 'phone-owner' }, el('strong', {}, phone.name), el('span', {}, pretty(phone.number), phone.on_whatsapp ? '' : ' · no WhatsApp')),
      el('button', { type: 'button', class: 'call', testid: 'phone-look', title: 'Look at the phone: what arrived is read', 'aria-label': `Look at ${phone.name}’s phone`, onclick: () => look(phone, status) }, '✓✓'),
      dial),
    el('div', { class: 'talks', role: 'group', 'aria-label': `Conversations on ${phone.name}’s phone`, hidden: true }),
    el('div', { class: 'screen', role: 'log', 'aria-live': 'polite', tabindex: '0', 'aria-label': `Messages on ${phone.name}’s phone` }),
    el('div', { class: 'phone-line' }, channel, plan, status), form);
  const turn = () => {
    const sms = channel.value === 'sms';
    node.dataset.channel = channel.value;
    plan.hidden = !sms;
    words.placeholder = sms ? 'Text message' : 'Message';
    dial.title = sms ? 'Call the firm by telephone' : 'Call the firm on WhatsApp';
    dial.setAttribute('aria-label', dial.title);
  };
  channel.addEventListener('change', () => { turn(); showComposer(node); });
  turn();
  return node;
}

/** Into the group that the phone shows, or to the firm. By SMS nobody writes into a group. */
function writeIn(phone, channel, words) {
  const group = channel === 'sms' ? undefined : groupOf(phone);
  return group ? writeInGroup(phone, group, words, app) : write(phone, channel, words);
}

async function write(phone, channel, words) {
  const text = words.value;
  if (!text.trim()) return;
  words.value = '';
  const sent = await attempt(() => call(path('phones', phone.number, 'messages'), { channel, text }));
  if (!sent && !words.value) words.value = text;
  await app.refresh();
}

async function sendFile(phone, channel, words, file) {
  const group = channel === 'sms' ? undefined : groupOf(phone)?.id;
  const said = { channel, group, [kindOf(file.mime_type)]: { ...file, caption: words.value } };
  if (await attempt(() => call(path('phones', phone.number, 'messages'), said))) words.value = '';
  await app.refresh();
}

/** The client looks at the phone: the firm gets its ticks. */
async function look(phone, status) {
  const looked = await attempt(() => call(path('phones', phone.number, 'look'), {}));
  if (looked) status.textContent = looked.read === 1 ? 'Read one message.' : `Read ${looked.read} messages.`;
  setTimeout(() => { status.textContent = ''; }, 5000);
  await app.refresh();
}

/** A call by telephone shows its outcome among the messages, as soon as there is one. */
async function ring(phone, channel, plan, words, status) {
  const how = channel === 'sms' ? PLANS[plan][1](words.value.trim()) : {};
  try {
    await call(path('phones', phone.number, 'calls'), { channel, ...how });
    status.textContent = channel === 'sms' ? 'Calling…' : 'Called the firm.';
    if (how.voicemail) words.value = '';
  } catch (error) {
    status.textContent = error.message;
  }
  setTimeout(() => { status.textContent = ''; }, channel === 'sms' ? 1500 : 5000);
  await app.refresh();
}

function showMessages(screen, phone) {
  const group = groupOf(phone);
  const rows = group ? groupRows(group, MAX_SHOWN) : withDays(phone.messages.slice(-MAX_SHOWN));
  const first = !screen.childElementCount;
  const stamp = (row) => (row.day ? '' : [row.status, row.text, row.call?.voicemail].join('|'));
  const build = (row) => {
    if (row.day) return el('p', { class: 'day' }, el('span', {}, row.day));
    if (group) return buildGroupBubble(row, phone, app);
    return row.call ? buildCall(row) : buildBubble(row, phone);
  };
  keepAtEnd(screen, () => keyed(screen, rows, (row) => row.id, stamp, build));
  if (first) screen.scrollTop = screen.scrollHeight;
}

function buildBubble(message, phone) {
  const fromClient = message.direction === 'out';
  const [tick, meaning] = (fromClient && TICKS[message.status]) || ['', ''];
  return el('div', {
    class: `bubble ${fromClient ? 'sent' : 'got'} ${message.channel}`, testid: 'phone-message', 'data-direction': message.direction,
    'data-channel': message.channel,
    'data-status': message.status, 'data-message': message.id, 'data-template': message.template,
  },
  message.file ? showFile(path('phones', 'files', message.file.id), message.file) : null,
  el('p', { class: 'bubble-text' }, message.text),
  el('footer', {},
    message.channel === 'sms' ? el('span', { class: 'by-sms', title: `Text message, line ${pretty(message.line || '')}` }, 'SMS') : null,
    el('time', { title: wholeTime(message.at), dateTime: new Date(message.at).toISOString() }, hourOf(message.at)),
    tick ? el('span', { class: `ticks ${message.status}`, role: 'img', 'aria-label': meaning, title: meaning }, tick) : null),
  fromClient ? null : joinButtons(message.text, phone, app),
  message.buttons.length ? el('div', { class: 'replies' }, ...message.buttons.map((button) => buildReply(button, phone))) : null);
}

/** A call: how it went, what the firm's machine said, what was left after the tone. */
function buildCall({ id, at, direction, status, line, call: made }) {
  const over = status !== 'pending';
  const title = direction === 'out' ? 'Called the firm' : 'The firm called';
  return el('div', {
    class: `call-card ${made.answered ? 'answered' : ''}`, testid: 'phone-message', 'data-direction': direction, 'data-channel': 'sms',
    'data-status': status, 'data-message': id, 'data-call': made.status,
  },
  el('header', { title: `Line ${pretty(line || '')}` }, el('span', { class: 'call-sign', 'aria-hidden': 'true' }, '✆'), el('span', {}, title, made.withheld ? ' · withheld' : ''),
    el('time', { title: wholeTime(at), dateTime: new Date(at).toISOString() }, hourOf(at))),
  el('p', { class: 'call-outcome', testid: 'phone-call-outcome' }, over ? made.outcome : 'Calling…'),
  ...made.spoken.map((sentence) => el('p', { class: 'spoken', testid: 'phone-spoken' }, `“${sentence}”`)),
  made.voicemail ? el('p', { class: 'voicemail' }, `After the tone: “${made.voicemail}”`) : null);
}

function buildReply(button, phone) {
  const tap = async () => {
    await attempt(() => call(path('phones', phone.number, 'messages'), { channel: 'whatsapp', payload: button.payload }));
    await app.refresh();
  };
  return el('button', { type: 'button', testid: 'phone-button', 'data-payload': button.payload, onclick: tap }, button.title);
}
