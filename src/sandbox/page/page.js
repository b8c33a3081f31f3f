// Starts the page and keeps it true: one state, read anew when the sandbox says that something has changed.
import { attempt, call, path, say } from './dom.js';
import { showChat, startChat } from './chat.js';
import { showPhones, startPhones } from './phones.js';
import { showSide, startSide } from './side.js';
import { showTour, startTour } from './tour.js';

/** Journal entries asked for at a time, and kept. */
const JOURNAL_PAGE = 500;
const JOURNAL_KEPT = 2000;

const state = { now: 0, users: [], bot: 0, user: null, rooms: [], room: '', messages: [], phones: [], journal: [] };
/** The room that each person had open. */
const opened = new Map();
let reading = null;
let again = false;

const app = {
  state,
  refresh,
  async become(email) {
    state.user = state.users.find((user) => user.email === email) || state.user;
    state.room = opened.get(state.user.id) || '';
    Object.assign(state, { rooms: [], messages: [] });
    sessionStorage.setItem('user', state.user.email);
    await refresh();
    if (!state.room) await attempt(() => app.openIm('bot'));
  },
  async open(room) {
    state.room = room;
    opened.set(state.user.id, room);
    state.messages = [];
    await refresh();
  },
  async openIm(other) {
    const { id } = await call(path('users', state.user.email, 'ims'), { with: other });
    await app.open(id);
  },
  async submitForm(message, form, values) {
    await call(path('users', state.user.email, 'forms'), { room: state.room, message, form, values });
    await refresh();
  },
};

/** Reads everything that is shown. A call during a reading starts one more after it, and waits for that. */
function refresh() {
  if (reading) {
    again = true;
    return reading;
  }
  reading = readUntilCurrent();
  return reading;
}

async function readUntilCurrent() {
  try {
    do {
      again = false;
      await read();
    } while (again);
  } finally {
    reading = null;
  }
  show();
}

async function read() {
  const [clock, people, phones, journal] = await Promise.all([call(path('clock')), call(path('users')), readPhones(), readJournal()]);
  Object.assign(state, { now: clock.ms, users: people.users, bot: people.bot, phones });
  state.journal.push(...journal);
  state.journal.splice(0, state.journal.length - JOURNAL_KEPT);
  if (state.user) await readChat(state.user.email, state.room);
}

async function readPhones() {
  const phones = await call(path('phones'));
  const more = (phone, what) => call(path('phones', phone.number, what));
  return Promise.all(phones.map(async (phone) => ({ ...phone, messages: await more(phone, 'messages'), groups: await more(phone, 'groups') })));
}

async function readJournal() {
  const found = [];
  let after = state.journal.at(-1)?.sequence ?? 0;
  for (;;) {
    const page = await call(`/api/journal?after=${after}&limit=${JOURNAL_PAGE}`);
    found.push(...page);
    if (page.length < JOURNAL_PAGE) return found;
    after = page.at(-1).sequence;
  }
}

/** What was asked for may be stale when it arrives: the person may have turned to another chat meanwhile. */
async function readChat(email, room) {
  const asked = `user=${encodeURIComponent(email)}`;
  const rooms = await call(`/api/rooms?${asked}`);
  const known = rooms.some((one) => one.id === room);
  const messages = known ? await call(`${path('rooms', room, 'messages')}?${asked}`) : [];
  if (state.user.email === email) state.rooms = rooms;
  if (state.user.email === email && state.room === room) state.messages = messages;
}

function show() {
  showTour(state);
  showChat(state);
  showPhones(state);
  showSide(state);
}

function listen() {
  const events = new EventSource('/api/events');
  let lost = false;
  events.addEventListener('change', () => refresh().catch((error) => say(error.message)));
  events.addEventListener('open', () => {
    if (lost) say('Connected again.');
    lost = false;
  });
  events.addEventListener('error', () => {
    if (!lost) say('The sandbox does not answer. Is it still running?');
    lost = true;
  });
}

async function start() {
  for (const begin of [startChat, startPhones, startSide, startTour]) begin(app);
  const people = await call(path('users'));
  state.users = people.users;
  state.bot = people.bot;
  const advisors = people.users.filter((user) => !user.service);
  const before = sessionStorage.getItem('user');
  const me = advisors.find((user) => user.email === before) || advisors[0];
  if (me) await app.become(me.email);
  else await refresh();
  listen();
}

attempt(start);
