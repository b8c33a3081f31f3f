// The advisor's chat client: who I am, my rooms, one conversation, and the line to write in.
import { attempt, byTestId, call, el, filePicker, hourOf, initials, keepAtEnd, keyed, path, showFile, tint, wholeTime, withDays } from './dom.js';
import { settleForms } from './forms.js';
import { show } from './markup.js';

/** Messages of one conversation on the page; older ones are in the pod. */
const MAX_SHOWN = 400;
const MAX_MENTIONS = 6;

/** What the bot's codes mean to a reader, as a small label and a colour. */
const LABELS = {
  refusal: ['Refused', 'bad'], failed: ['Failed', 'bad'], unconfirmed: ['Unconfirmed', 'bad'], not_on_whatsapp: ['Not on WhatsApp', 'bad'],
  held: ['Held', 'wait'], released: ['Released', 'good'], expired: ['Expired', 'wait'], withdrawn: ['Withdrawn', 'wait'],
  form: ['Form', 'ask'], confirm: ['Please confirm', 'ask'], consent_review: ['Please look', 'ask'],
  consent_yes: ['Agreed', 'good'], consent_no: ['Opted out', 'bad'], client_message: ['Client', 'client'], notice: ['Notice', 'note'],
};

const input = byTestId('chat-input');
const seen = JSON.parse(sessionStorage.getItem('seen') || '{}');
let app;

export function startChat(theApp) {
  app = theApp;
  byTestId('user-switch').addEventListener('change', (event) => app.become(event.target.value));
  document.getElementById('new-chat').addEventListener('change', openChat);
  document.getElementById('composer').addEventListener('submit', (event) => { event.preventDefault(); send(); });
  byTestId('chat-send').before(filePicker('Send files', 'chat-file', sendFiles, true));
  input.addEventListener('input', () => { grow(); offerMentions(); });
  input.addEventListener('keydown', onKey);
  input.addEventListener('blur', closeMentions);
}

/** Puts words into the line, as if typed, for the person to send. */
export function prefill(text) {
  input.value = text;
  grow();
  input.focus();
}

export function showChat(state) {
  showPeople(state);
  showRooms(state);
  showHead(state);
  const box = document.getElementById('lines');
  const switched = box.dataset.room !== `${state.user?.id} ${state.room}`;
  if (switched) box.replaceChildren();
  box.dataset.room = `${state.user?.id} ${state.room}`;
  box.dataset.empty = emptyWords(state);
  const rows = withDays(state.messages.slice(-MAX_SHOWN));
  keepAtEnd(box, () => keyed(box, rows, (row) => row.id, (row) => (row.day ? '' : row.edited + row.presentation), (row) => buildLine(row, state)));
  for (const message of state.messages) {
    if (message.submitted.length) settleForms(box.querySelector(`[data-message="${CSS.escape(message.id)}"]`) || box, message.submitted);
  }
  if (switched) box.scrollTop = box.scrollHeight;
}

function emptyWords(state) {
  const room = state.rooms.find((one) => one.id === state.room);
  if (!room) return '';
  return withTheBot(room, state) ? 'Say /help, or follow “What to try” above.' : 'Nothing has been written here yet.';
}

// ---- people and rooms

const isPerson = (user) => !user.service;

function showPeople(state) {
  const people = state.users.filter(isPerson);
  const choose = byTestId('user-switch');
  keyed(choose, people, (user) => user.id, (user) => user.name, (user) => el('option', { value: user.email }, user.name));
  if (state.user && choose.value !== state.user.email) choose.value = state.user.email;
  const others = [{ id: '', name: '+ New 1:1 chat…', email: '' }, ...state.users.filter((user) => user.id !== state.user?.id)];
  keyed(document.getElementById('new-chat'), others, (user) => user.id, (user) => user.name, (user) => el('option', { value: user.email }, user.name));
}

async function openChat(event) {
  const other = event.target.value;
  event.target.value = '';
  if (other) await attempt(() => app.openIm(other));
}

/** A 1:1 chat bears the name of the other one. */
export function roomName(room, state) {
  if (room.kind !== 'IM') return room.name || 'Room';
  const other = room.members.find((member) => member.id !== state.user.id);
  return other?.name || room.name || 'Chat';
}

const withTheBot = (room, state) => room.kind === 'IM' && room.members.some((member) => member.id === state.bot);

function showRooms(state) {
  const order = [...state.rooms].sort((a, b) => withTheBot(b, state) - withTheBot(a, state) || recency(b) - recency(a));
  for (const room of order) if (room.id === state.room) markSeen(room, state);
  const stamp = (room) => [roomName(room, state), room.active, room.last_line, room.last_message, room.id === state.room, isUnread(room, state)].join('|');
  keyed(byTestId('chat-room-list'), order, (room) => room.id, stamp, (room) => buildRoom(room, state));
}

async function enter(room) {
  await attempt(() => app.open(room.id));
  if (room.active) input.focus();
}

const recency = (room) => Math.max(room.last_message, room.created);
const seenKey = (room, state) => `${state.user.id} ${room.id}`;
const isUnread = (room, state) => room.last_message > (seen[seenKey(room, state)] || 0) && room.last_from !== state.user.id;

function markSeen(room, state) {
  seen[seenKey(room, state)] = room.last_message;
  sessionStorage.setItem('seen', JSON.stringify(seen));
}

function buildRoom(room, state) {
  const name = roomName(room, state);
  const open = room.id === state.room;
  const unread = isUnread(room, state);
  const button = el('button', {
    type: 'button', class: 'room', testid: 'chat-room', 'data-room': room.id, 'data-name': name, 'data-unread': String(unread), 'data-bot': String(withTheBot(room, state)),
    'aria-current': open ? 'true' : undefined, onclick: () => enter(room),
  },
  el('span', { class: `avatar ${withTheBot(room, state) ? 'bot' : tint(name)}`, 'aria-hidden': 'true' }, withTheBot(room, state) ? 'L' : initials(name)),
  el('span', { class: 'room-words' },
    el('span', { class: 'room-name' }, name, room.active ? null : el('span', { class: 'tag' }, 'closed')),
    el('span', { class: 'room-last' }, room.last_line || ' ')),
  unread ? el('span', { class: 'dot' }, el('span', { class: 'sr' }, 'unread')) : null);
  return el('li', {}, button);
}

function showHead(state) {
  const room = state.rooms.find((one) => one.id === state.room);
  const head = document.getElementById('room-head');
  const heads = room ? [room] : [];
  const stamp = (one) => JSON.stringify([roomName(one, state), one.members, one.active]);
  keyed(head, heads, (one) => one.id, stamp, (one) => el('div', { class: 'room-title' },
    el('h2', {}, roomName(one, state)),
    el('p', { class: 'hint' }, headline(one, state))));
  input.disabled = !room || !room.active;
  byTestId('chat-send').disabled = input.disabled;
  input.placeholder = placeholder(room, state);
}

function headline(room, state) {
  if (!room.active) return 'This room is closed.';
  if (withTheBot(room, state)) return 'Your 1:1 with the bot. Type /help to see what you may do.';
  return room.members.map((member) => member.name).join(', ');
}

function placeholder(room, state) {
  if (!room) return 'Choose a chat';
  if (!room.active) return 'This room is closed';
  return withTheBot(room, state) ? 'Write a command, like /help' : 'Write to the client, or / for a command';
}

// ---- lines

function buildLine(row, state) {
  if (row.day) return el('p', { class: 'day' }, el('span', {}, row.day));
  const mark = row.data?.liaison || {};
  const isBot = row.from.id === state.bot;
  const [label, kind] = (isBot && LABELS[mark.code]) || [null, isBot ? 'bot' : 'person'];
  const mine = row.from.id === state.user.id;
  const forms = {
    people: state.users.filter(isPerson), submitted: row.submitted,
    submit: (form, values) => app.submitForm(row.id, form, values),
  };
  const body = el('div', { class: 'words' }, show(row.presentation, forms));
  return el('article', {
    class: `line ${isBot ? 'from-bot' : 'from-person'} ${kind} ${mine ? 'mine' : ''}`, testid: 'chat-message',
    'data-message': row.id, 'data-code': mark.code, 'data-reason': mark.reason, 'data-from': row.from.email,
  },
  el('span', { class: `avatar ${isBot ? 'bot' : tint(row.from.name)}`, 'aria-hidden': 'true' }, isBot ? 'L' : initials(row.from.name)),
  el('div', { class: 'line-body' },
    el('header', {}, el('strong', {}, row.from.name), isBot && kind !== 'client' ? el('span', { class: 'tag' }, 'bot') : null,
      label ? el('span', { class: `tag ${kind}` }, label) : null,
      el('time', { title: wholeTime(row.at), dateTime: new Date(row.at).toISOString() }, hourOf(row.at)),
      row.edited ? el('span', { class: 'hint' }, 'edited') : null),
    body, ...(row.files || []).map((file) => showFile(path('rooms', 'files', row.id, file.id), file))));
}

// ---- writing

async function send() {
  const text = input.value;
  if (!text.trim() || input.disabled) return;
  input.value = '';
  grow();
  closeMentions();
  const sent = await attempt(() => call(path('users', app.state.user.email, 'messages'), { room: app.state.room, text }));
  if (!sent && !input.value) prefill(text);
  await app.refresh();
  const box = document.getElementById('lines');
  box.scrollTop = box.scrollHeight;
}

async function sendFiles(files) {
  const text = input.value;
  const sent = !input.disabled
    && (await attempt(() => call(path('users', app.state.user.email, 'messages'), { room: app.state.room, text, files })));
  if (sent) prefill('');
  await app.refresh();
}

function grow() {
  input.style.height = 'auto';
  input.style.height = `${Math.min(input.scrollHeight + 2, 160)}px`;
}

function onKey(event) {
  if (event.isComposing) return;
  const list = document.getElementById('mentions');
  if (!list.hidden && onMentionKey(event, list)) {
    event.preventDefault();
    return;
  }
  if (event.key === 'Enter' && !event.shiftKey) {
    event.preventDefault();
    send();
  }
}

/** Moves in the list of people; true if the key was meant for it. */
function onMentionKey(event, list) {
  const options = [...list.children];
  const at = options.findIndex((option) => option.getAttribute('aria-selected') === 'true');
  if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
    select(options, (at + (event.key === 'ArrowDown' ? 1 : options.length - 1)) % options.length);
    return true;
  }
  if (event.key === 'Enter' || event.key === 'Tab') {
    mention(options[at].dataset.email);
    return true;
  }
  if (event.key === 'Escape') closeMentions();
  return event.key === 'Escape';
}

/** The word that begins with @ just before the cursor. */
const mentioned = () => input.value.slice(0, input.selectionStart).match(/(^|[\s,=])@([\p{L}\p{N}._-]*)$/u);

function offerMentions() {
  const word = mentioned();
  const wanted = word ? word[2].toLowerCase() : '';
  const fits = (user) => user.id !== app.state.user?.id && `${user.name} ${user.email}`.toLowerCase().includes(wanted);
  const people = word ? app.state.users.filter(fits).slice(0, MAX_MENTIONS) : [];
  if (!people.length) {
    closeMentions();
    return;
  }
  const list = document.getElementById('mentions');
  list.replaceChildren(...people.map((user, index) => el('li', {
    role: 'option', id: `mention-${index}`, 'data-email': user.email, testid: 'mention',
    onmousedown: (event) => { event.preventDefault(); mention(user.email); },
  }, el('strong', {}, user.name), el('span', { class: 'hint' }, user.email))));
  list.hidden = false;
  select([...list.children], 0);
}

function select(options, index) {
  options.forEach((option, at) => option.setAttribute('aria-selected', String(at === index)));
  input.setAttribute('aria-activedescendant', options[index].id);
}

function mention(email) {
  const word = mentioned();
  closeMentions();
  if (!word) return;
  const end = input.selectionStart;
  const start = end - word[2].length;
  input.setRangeText(`${email} `, start, end, 'end');
}

function closeMentions() {
  document.getElementById('mentions').hidden = true;
  input.removeAttribute('aria-activedescendant');
}
