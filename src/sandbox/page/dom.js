// Small words for building the page from nodes and for calling the sandbox; markup is never made from strings.

/** Properties that only an attribute can set. */
const BY_ATTRIBUTE = new Set(['list', 'form']);

/** An element with properties, `data-*` and `aria-*` attributes, listeners (`onclick`) and children. */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'class') node.className = value;
    else if (name === 'testid') node.dataset.testid = value;
    else if (name in node && !BY_ATTRIBUTE.has(name) && !name.startsWith('aria')) node[name] = value;
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const SVG = 'http://www.w3.org/2000/svg';

/** A paper clip, drawn: not every machine has a font with one. */
function clip() {
  const drawing = document.createElementNS(SVG, 'svg');
  const line = document.createElementNS(SVG, 'path');
  const look = { viewBox: '0 0 24 24', class: 'clip', 'aria-hidden': 'true' };
  for (const [name, value] of Object.entries(look)) drawing.setAttribute(name, value);
  line.setAttribute('d', 'M20.5 11.5 12 20a5.5 5.5 0 0 1-7.8-7.8l8.9-8.9a3.7 3.7 0 0 1 5.2 5.2l-8.9 8.9a1.8 1.8 0 0 1-2.6-2.6l8.2-8.2');
  drawing.append(line);
  return drawing;
}

export const byTestId = (name) => document.querySelector(`[data-testid="${name}"]`);

/**
 * Makes the children of `parent` those of `items`, in order. A child whose key and stamp are unchanged is left alone,
 * so that focus, selection and half-filled forms survive a refresh.
 */
export function keyed(parent, items, key, stamp, build) {
  const before = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    const mark = String(stamp(item));
    let node = before.get(name);
    before.delete(name);
    if (!node || node.dataset.stamp !== mark) {
      const fresh = build(item);
      const refocus = node && focusWithin(node);
      fresh.dataset.key = name;
      fresh.dataset.stamp = mark;
      if (node) {
        if (node === place) place = node.nextElementSibling;
        node.replaceWith(fresh);
      }
      node = fresh;
      refocus?.(fresh);
    }
    if (node === place) place = place.nextElementSibling;
    else if (!node.parentNode || node.nextElementSibling !== place) parent.insertBefore(node, place);
  }
  for (const node of before.values()) node.remove();
}

/** Where the focus is inside a node that is about to be replaced, as a way to put it into the new one. */
function focusWithin(node) {
  const focused = document.activeElement;
  if (!node.contains(focused)) return null;
  const selector = `[data-testid="${focused.dataset.testid}"]`;
  const at = [...node.querySelectorAll(selector)].indexOf(focused);
  return (fresh) => fresh.querySelectorAll(selector)[at]?.focus();
}

/** Scrolls to the end after `change`, unless the reader has scrolled up to read. */
export function keepAtEnd(box, change) {
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
  const length = box.childElementCount;
  change();
  if (atEnd && box.childElementCount !== length) box.scrollTop = box.scrollHeight;
}

/** Calls the sandbox; an answer other than 2xx becomes an Error with the sentence that the sandbox gave. */
export async function call(path, body) {
  const options = body === undefined
    ? {}
    : { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
  const response = await fetch(path, options);
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const complaint = new Error(answer.error || `The sandbox answered ${response.status}.`);
  complaint.mend = answer.mend || '';
  throw complaint;
}

export const path = (...parts) => '/api/' + parts.map(encodeURIComponent).join('/');

/** A picture in place, anything else by its name and for saving. */
export function showFile(address, file) {
  const name = file.name || file.mime;
  if (/^image\/(jpeg|png|webp)/.test(file.mime)) {
    return el('a', { class: 'file', testid: 'file', href: address, target: '_blank', rel: 'noopener', 'data-name': name },
      el('img', { src: address, alt: name, loading: 'lazy' }));
  }
  return el('a', { class: 'file named', testid: 'file', href: address, download: file.name || 'file', 'data-name': name }, clip(), ` ${name}`);
}

/** The kind under which WhatsApp takes a file of this type. */
export const kindOf = (mime) => (['image', 'audio', 'video'].includes(mime.split('/')[0]) ? mime.split('/')[0] : 'document');

/** A chosen file as control calls take it. */
export async function given(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let binary = '';
  for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return { filename: file.name, mime_type: file.type || 'application/octet-stream', base64: btoa(binary) };
}

/** A button that lets a person choose files and hands them on. */
export function filePicker(label, testid, chosen, multiple = false) {
  const input = el('input', { type: 'file', hidden: true, testid, multiple, 'aria-label': label });
  input.addEventListener('change', async () => {
    const files = await Promise.all([...input.files].map(given));
    input.value = '';
    if (files.length) await chosen(files);
  });
  const button = el('button', { type: 'button', class: 'attach', title: label, 'aria-label': label, onclick: () => input.click() }, clip());
  return el('span', { class: 'picker' }, button, input);
}

let quiet;
/** Shows a sentence at the foot of the page and reads it to screen readers. */
export function say(sentence) {
  const place = document.getElementById('say');
  place.textContent = sentence;
  place.hidden = false;
  clearTimeout(quiet);
  quiet = setTimeout(() => { place.hidden = true; place.textContent = ''; }, 7000);
}

/** Runs what a person asked for; when it fails, says why instead of doing nothing. */
export async function attempt(act) {
  try {
    return await act();
  } catch (error) {
    say([error.message, error.mend].filter(Boolean).join(' '));
    return undefined;
  }
}

const clockFormat = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const dayFormat = new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric', month: 'short' });
const fullFormat = new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeStyle: 'medium' });
export const hourOf = (ms) => clockFormat.format(ms);
export const dayOf = (ms) => dayFormat.format(ms);
export const wholeTime = (ms) => fullFormat.format(ms);

/** Messages with a line for each new day before the first message of it. */
export function withDays(messages) {
  const rows = [];
  let day = '';
  for (const message of messages) {
    const own = dayOf(message.at);
    if (own !== day) rows.push({ day: own, id: `day ${own} ${message.id}` });
    day = own;
    rows.push(message);
  }
  return rows;
}

export const initials = (name) =>
  (name.match(/\p{L}+/gu) || ['#']).map((word) => word[0]).slice(0, 2).join('').toUpperCase();

/** One of six quiet colours, the same for the same name. */
export function tint(name) {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 6;
  return `tint-${sum}`;
}
