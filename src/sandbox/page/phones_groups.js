// WhatsApp groups on the clients' phones: links that ask to join, and each group as a second conversation.
import { attempt, call, el, hourOf, keyed, path, showFile, wholeTime, withDays } from './dom.js';

const LINK = /https:\/\/chat\.whatsapp\.com\/\w+/g;
const STANDINGS = {
  asked: 'You asked to join; the firm has not answered yet.',
  left: 'You left this group.',
  removed: 'You were removed from this group.',
  over: 'This group was deleted.',
};
/** Which group each phone shows; none for the chat with the firm. */
const shown = new Map();

/** The group that this phone shows just now. */
export const groupOf = (phone) => (phone.groups || []).find((group) => group.id === shown.get(phone.number));

/** The links in a text as buttons to ask to join. */
export function joinButtons(text, phone, app) {
  const links = [...new Set(text.match(LINK) || [])];
  const join = (link) => async () => {
    const group = await attempt(() => call(path('phones', phone.number, 'groups', 'join'), { link }));
    if (group) shown.set(phone.number, group.id);
    await app.refresh();
  };
  const button = (link) => el('button', { type: 'button', testid: 'phone-join', 'data-link': link, onclick: join(link) }, 'Ask to join');
  return links.length ? el('div', { class: 'replies' }, ...links.map(button)) : null;
}

/** The choice of conversations, and what there is to know of the chosen group. */
export function showTalks(place, phone, app) {
  const groups = phone.groups || [];
  place.hidden = !groups.length;
  const chosen = groupOf(phone);
  const talks = [{ id: '', name: 'Firm' }, ...groups];
  const stamp = (talk) => JSON.stringify([talk.name, talk.description, talk.standing, talk.suspended, talk.members, talk.picture?.id, talk.id === (chosen?.id || '')]);
  const choose = (talk) => () => {
    shown.set(phone.number, talk.id);
    app.refresh();
  };
  const tab = (talk) => el('button', {
    type: 'button', testid: 'phone-talk', 'data-group': talk.id, 'aria-pressed': String(talk.id === (chosen?.id || '')), onclick: choose(talk),
  }, picture(talk), talk.name);
  const rows = chosen ? [...talks, { ...chosen, id: `about ${chosen.id}`, about: chosen }] : talks;
  keyed(place, rows, (row) => row.id, stamp, (row) => (row.about ? about(row.about, phone, app) : tab(row)));
}

/** The group's picture, where the firm gave one. */
function picture(group) {
  if (!group.picture) return null;
  return el('img', { class: 'group-picture', testid: 'phone-group-picture', src: path('phones', 'files', group.picture.id), alt: '' });
}

function about(group, phone, app) {
  const leave = async () => {
    await attempt(() => call(path('phones', phone.number, 'groups', group.id, 'leave'), {}));
    await app.refresh();
  };
  const people = [group.firm, ...group.members.map((member) => (member.number === phone.number ? 'You' : member.name))];
  const word = { in: 'Leave', asked: 'Take back' }[group.standing];
  return el('div', { class: 'about-group', testid: 'phone-group', 'data-standing': group.standing },
    el('p', {}, picture(group), el('strong', {}, group.name), word ? el('button', { type: 'button', testid: 'phone-leave', onclick: leave }, word) : null),
    group.description ? el('p', {}, group.description) : null,
    el('p', { testid: 'phone-members' }, people.join(', ')),
    group.suspended ? el('p', {}, 'WhatsApp has suspended this group.') : null,
    STANDINGS[group.standing] ? el('p', {}, STANDINGS[group.standing]) : null);
}

/** What a group shows in the place of the messages. */
export const groupRows = (group, most) => withDays(group.messages.slice(-most));

export function buildGroupBubble(message, phone, app) {
  const own = message.direction === 'out';
  return el('div', {
    class: `bubble ${own ? 'sent' : 'got'} whatsapp`, testid: 'phone-message', 'data-direction': message.direction, 'data-channel': 'whatsapp',
    'data-status': message.status, 'data-message': message.id, 'data-template': message.template,
  },
  own ? null : el('p', { class: 'said-by', testid: 'phone-said-by' }, message.from),
  message.file ? showFile(path('phones', 'files', message.file.id), message.file) : null,
  el('p', { class: 'bubble-text' }, message.text),
  el('footer', {}, el('time', { title: wholeTime(message.at), dateTime: new Date(message.at).toISOString() }, hourOf(message.at))),
  own ? null : joinButtons(message.text, phone, app));
}

/** Writes into the chosen group; `false` where the phone shows the chat with the firm. */
export async function writeInGroup(phone, group, words, app) {
  const text = words.value;
  if (!text.trim()) return;
  words.value = '';
  const sent = await attempt(() => call(path('phones', phone.number, 'messages'), { channel: 'whatsapp', group: group.id, text }));
  if (!sent && !words.value) words.value = text;
  await app.refresh();
}
