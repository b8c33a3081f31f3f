// Shows PresentationML safely: an inert parse, a list of allowed elements, and fresh nodes made one by one.
import { el } from './dom.js';
import { buildForm } from './forms.js';

const SHOWN = new Set(['b', 'i', 'u', 'p', 'br', 'div', 'span', 'ul', 'ol', 'li', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'table',
  'thead', 'tbody', 'tfoot', 'tr', 'td', 'th', 'code', 'pre', 'hr', 'sub', 'sup', 'em', 'strong']);
const DROPPED = new Set(['script', 'style', 'head', 'title', 'iframe', 'object', 'embed', 'svg', 'math', 'template', 'noscript', 'link',
  'meta', 'base', 'parsererror']);
const NAMED = { nbsp: 0xa0, ndash: 0x2013, mdash: 0x2014, hellip: 0x2026, bull: 0x2022, laquo: 0xab, raquo: 0xbb,
  lsquo: 0x2018, rsquo: 0x2019, ldquo: 0x201c, rdquo: 0x201d, euro: 0x20ac, copy: 0xa9, times: 0xd7, middot: 0xb7 };
/** Deeper markup is shown as its text; nothing that a bot writes comes near. */
const MAX_DEPTH = 60;

const policy = window.trustedTypes?.createPolicy('liaison-inert', { createHTML: (text) => text });

/** The nodes of a message; `forms` is what its forms need: `{people, submitted, submit}`. */
export function show(presentation, forms) {
  const shown = document.createDocumentFragment();
  for (const child of parse(presentation).childNodes) shown.append(...copy(child, forms, 0));
  return shown;
}

/** The document is never attached and has no browsing context: nothing in it loads or runs. */
function parse(presentation) {
  const inert = (text, kind) => new DOMParser().parseFromString(policy ? policy.createHTML(text) : text, kind);
  const entities = presentation.replace(/&(\w+);/g, (whole, name) => (name in NAMED ? `&#${NAMED[name]};` : whole));
  const strict = inert(`<all>${entities}</all>`, 'application/xml');
  if (!strict.querySelector('parsererror')) return strict.documentElement;
  return inert(presentation.replace(/<([a-z][\w-]*)([^<>]*)\/>/gi, '<$1$2></$1>'), 'text/html').body;
}

function copy(node, forms, depth) {
  if (node.nodeType === Node.TEXT_NODE || node.nodeType === Node.CDATA_SECTION_NODE) return [document.createTextNode(node.data)];
  if (node.nodeType !== Node.ELEMENT_NODE) return [];
  if (depth > MAX_DEPTH) return [document.createTextNode(node.textContent)];
  const tag = node.localName.toLowerCase();
  if (DROPPED.has(tag)) return [];
  const inside = () => [...node.childNodes].flatMap((child) => copy(child, forms, depth + 1));
  if (tag === 'form') return [buildForm(node, forms, (part) => copy(part, forms, depth + 1))];
  if (tag === 'a') return [link(node, inside())];
  if (tag === 'img') return [document.createTextNode(node.getAttribute('alt') || '')];
  if (!SHOWN.has(tag)) return inside();
  const shown = el(tag);
  if (tag === 'span' && node.classList.contains('entity')) shown.className = 'mention';
  if (tag === 'td' || tag === 'th') spans(node, shown);
  shown.append(...inside());
  return [shown];
}

function link(node, children) {
  const href = node.getAttribute('href') || '';
  if (!/^https?:\/\//i.test(href)) return el('span', {}, ...children);
  const words = children.length ? children : [document.createTextNode(href)];
  return el('a', { href, target: '_blank', rel: 'noopener noreferrer nofollow' }, ...words);
}

function spans(node, shown) {
  for (const name of ['colspan', 'rowspan']) {
    const wide = Number(node.getAttribute(name));
    if (Number.isInteger(wide) && wide > 1 && wide <= 50) shown.setAttribute(name, wide);
  }
}
