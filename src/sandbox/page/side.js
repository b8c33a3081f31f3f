// The clock, the journal and trouble: what stands beside the conversation.
import { attempt, byTestId, call, dayOf, el, hourOf, keyed, path, say, wholeTime } from './dom.js';

/** Journal entries on the page; the journal itself keeps all. */
const MAX_SHOWN = 500;

let app;
let offset = 0;

export function startSide(theApp) {
  app = theApp;
  for (const button of document.querySelectorAll('[data-testid="clock-advance"]')) {
    button.addEventListener('click', () => pass(button.dataset.hours));
  }
  document.getElementById('filter').addEventListener('input', () => showJournal(app.state));
  const trouble = document.getElementById('trouble');
  trouble.addEventListener('submit', makeTrouble);
  trouble.addEventListener('input', () => tellTrouble(trouble));
  tellTrouble(trouble);
  setInterval(showClock, 1000);
}

export function showSide(state) {
  if (state.now) offset = state.now - Date.now();
  showClock();
  showJournal(state);
}

async function pass(hours) {
  await attempt(() => call(path('clock'), { advance: `${hours}h` }));
  await app.refresh();
}

function showClock() {
  const ms = Date.now() + offset;
  const now = byTestId('clock-now');
  now.dateTime = new Date(ms).toISOString();
  now.title = wholeTime(ms);
  const shown = `${dayOf(ms)}, ${hourOf(ms)}`;
  if (now.textContent !== shown) now.textContent = shown;
}

/** Entries write times as ISO text or as milliseconds; both are moments. */
const momentOf = (entry) => (typeof entry.at === 'number' ? entry.at : Date.parse(entry.at));
const kindOf = (entry) => String(entry.kind ?? '').replaceAll('_', ' ');

function showJournal(state) {
  const wanted = document.getElementById('filter').value.trim().toLowerCase();
  const newest = [...state.journal].reverse();
  const fits = (entry) => !wanted || JSON.stringify(entry).toLowerCase().includes(wanted);
  const timeline = byTestId('timeline');
  const shown = newest.filter(fits).slice(0, MAX_SHOWN);
  const placed = placesInCommits(state.journal);
  keyed(timeline, shown, (entry) => placed.get(entry), (entry) => `${entry.kind} ${entry.message ?? ''}`, buildEntry);
  timeline.dataset.empty = wanted ? 'Nothing fits the filter.' : 'What happens is written here.';
}

/** Entries of one commit bear one sequence; which of them it is tells them apart. */
function placesInCommits(journal) {
  const counts = new Map();
  return new Map(journal.map((entry) => {
    const nth = counts.get(entry.sequence) ?? 0;
    counts.set(entry.sequence, nth + 1);
    return [entry, `${entry.sequence}.${nth}`];
  }));
}

function buildEntry(entry) {
  const at = momentOf(entry);
  const chips = ['contact', 'room', 'message', 'event'].filter((name) => entry[name]);
  return el('li', { testid: 'timeline-entry', 'data-kind': entry.kind, 'data-sequence': String(entry.sequence) },
    el('time', { title: Number.isNaN(at) ? '' : wholeTime(at) }, Number.isNaN(at) ? '' : hourOf(at)),
    el('div', {},
      el('span', { class: 'what' }, kindOf(entry)),
      entry.actor ? el('span', { class: 'actor' }, String(entry.actor)) : null,
      chips.length ? el('span', { class: 'chips' }, ...chips.map((name) => buildChip(name, String(entry[name])))) : null));
}

function buildChip(name, value) {
  const narrow = () => {
    document.getElementById('filter').value = value;
    showJournal(app.state);
  };
  return el('button', { type: 'button', class: `chip chip-${name}`, title: `${name} ${value}: show only its entries`, onclick: narrow }, value);
}

/** What the code means at this provider, in plain words; nothing where nobody wrote it down. */
function meaningOf(provider, code) {
  const known = [...document.getElementById(`codes-${provider}`).options];
  return known.find((option) => option.value === code)?.textContent ?? '';
}

function tellTrouble(form) {
  const { provider, code } = form.elements;
  code.setAttribute('list', `codes-${provider.value}`);
  document.getElementById('trouble-means').textContent = meaningOf(provider.value, code.value.trim());
}

async function makeTrouble(event) {
  event.preventDefault();
  const { provider, code, times } = event.target.elements;
  const order = { provider: provider.value, code: code.value.trim(), times: Number(times.value) };
  const made = await attempt(() => call(path('trouble'), order));
  if (made && order.code.startsWith('keywords-')) say(`From now on: ${meaningOf(order.provider, order.code)}.`);
  else if (made) say(`The next ${order.times === 1 ? 'call' : `${order.times} calls`} to ${provider.selectedOptions[0].label} will fail with ${order.code}.`);
}
