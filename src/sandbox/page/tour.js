// What to try: the first conversation in steps; a step is ticked off when the page sees that it has happened.
import { attempt, call, el, keyed, path } from './dom.js';
import { prefill } from './chat.js';

const ADD_ANN = '/contact add Ann Lee phone=+4915112345678 email=ann@lee.de channel=whatsapp --room';
const ANN = '+4915112345678';

const inRoom = (state) => state.rooms.find((room) => room.name.startsWith('Ann Lee'));
const annsPhone = (state) => (state.phones.find((phone) => phone.number === ANN)?.messages || []).filter((message) => message.channel === 'whatsapp');
const ofAdvisor = (state) => state.messages.filter((message) => message.from.id === state.user?.id && state.room === inRoom(state)?.id);
const held = (state) => state.messages.filter((message) => message.data?.liaison?.code === 'held' && state.room === inRoom(state)?.id);
const passed = (state) => annsPhone(state).some((message) => message.direction === 'out' && state.now - message.at > 24 * 3_600_000);
const ownTemplate = (message) => message.template && !message.template.startsWith('liaison_');

const STEPS = [
  { title: 'Add a client', words: 'In the chat with Liaison, add Ann Lee.', use: ['Type it', (app) => type(app, null, ADD_ANN)], done: (state) => Boolean(inRoom(state)) },
  { title: 'Write to her', words: 'Ann has not agreed yet: it is held.', use: ['Type it', (app) => type(app, inRoom(app.state), 'Good morning Ann.')], done: (state) => ofAdvisor(state).length > 0 },
  { title: 'Ann agrees', words: 'Tap the yes on her phone. What was held arrives.', done: (state) => annsPhone(state).some((message) => message.direction === 'out') },
  { title: 'A day goes by', words: 'After 24 silent hours WhatsApp closes the window.', use: ['+25 h', wait], done: passed },
  { title: 'Write again', words: 'It is held, and the room says why.', use: ['Type it', (app) => type(app, inRoom(app.state), 'Are you free on Friday?')], done: (state) => passed(state) && held(state).some((message) => state.now - message.at < 24 * 3_600_000) },
  { title: 'Send a template', words: 'A template may knock at a closed window.', use: ['Type it', (app) => type(app, inRoom(app.state), '/template list')], done: (state) => annsPhone(state).some(ownTemplate) },
  { title: 'Ann answers', words: 'Any word of hers opens it. The rest arrives.', done: answered },
];

const ticked = new Set();
let app;

export function startTour(theApp) {
  app = theApp;
}

export function showTour(state) {
  if (!state.now) return;
  let open = STEPS.findIndex((_, index) => !ticked.has(index));
  while (open >= 0 && open < STEPS.length && STEPS[open].done(state)) ticked.add(open++);
  const steps = STEPS.map((step, index) => ({ ...step, index, state: ticked.has(index) ? 'done' : index === open ? 'open' : 'later' }));
  keyed(document.getElementById('tour'), steps, (step) => step.index, (step) => step.state, buildStep);
}

function buildStep(step) {
  const [label, act] = step.use || [];
  return el('li', { class: `step ${step.state}`, 'aria-current': step.state === 'open' ? 'step' : undefined },
    el('span', { class: 'number', 'aria-hidden': 'true' }, step.state === 'done' ? '✓' : String(step.index + 1)),
    el('div', {},
      el('strong', {}, step.title, step.state === 'done' ? el('span', { class: 'sr' }, ' (done)') : null),
      el('p', {}, step.words),
      step.state === 'open' && act ? el('button', { type: 'button', class: 'button link', onclick: () => attempt(() => act(app)) }, label) : null));
}

async function type(theApp, room, words) {
  if (room) await theApp.open(room.id);
  else await theApp.openIm('bot');
  prefill(words);
}

async function wait(theApp) {
  await call(path('clock'), { advance: '25h' });
  await theApp.refresh();
}

function answered(state) {
  const messages = annsPhone(state);
  const template = messages.findLastIndex(ownTemplate);
  return template >= 0 && messages.slice(template).some((message) => message.direction === 'out');
}
