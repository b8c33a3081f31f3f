// Symphony Elements as real HTML forms: what the bot asks can be filled in, submitted once, and is then shown disabled.
import { el } from './dom.js';

let fieldCount = 0;

/** `copy` shows what stands between the fields; `forms` is `{people, submitted, submit(form, values)}`. */
export function buildForm(source, forms, copy) {
  const id = source.getAttribute('id') || '';
  const note = el('p', { class: 'form-note', role: 'status' });
  const fields = el('fieldset', {}, ...children(source, forms, copy));
  const form = el('form', { class: 'elements', testid: 'chat-form', 'data-form': id, autocomplete: 'off' }, fields, note);
  if (forms.submitted.includes(id)) settle(fields, note);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const values = valuesOf(fields, event.submitter);
    fields.disabled = true;
    note.textContent = 'Sending…';
    try {
      await forms.submit(id, values);
      settle(fields, note);
    } catch (error) {
      fields.disabled = false;
      note.textContent = error.message;
    }
  });
  return form;
}

function settle(fields, note) {
  fields.disabled = true;
  note.textContent = 'Sent';
}

/** Disables a form that was submitted elsewhere, with what was filled in left to read. */
export function settleForms(message, submitted) {
  for (const form of message.querySelectorAll('form.elements')) {
    const [fields, note] = form.children;
    if (submitted.includes(form.getAttribute('data-form')) && !fields.disabled) settle(fields, note);
  }
}

const children = (node, forms, copy) => [...node.childNodes].flatMap((child) => part(child, forms, copy));

function part(node, forms, copy) {
  if (node.nodeType !== Node.ELEMENT_NODE) return copy(node);
  const build = FIELDS[node.localName.toLowerCase()];
  if (build) return [build(node, forms)];
  if (!node.querySelector(Object.keys(FIELDS).join(','))) return copy(node);
  return [el('div', { class: 'form-group' }, ...children(node, forms, copy))];
}

const FIELDS = {
  'text-field': (node) => labelled(node, el('input', {
    ...common(node), type: node.getAttribute('masked') === 'true' ? 'password' : 'text', defaultValue: words(node),
    placeholder: node.getAttribute('placeholder') || '', ...given(node, 'minlength', 'maxlength', 'pattern'),
  })),
  textarea: (node) => labelled(node, el('textarea', {
    ...common(node), rows: 3, defaultValue: words(node), placeholder: node.getAttribute('placeholder') || '', ...given(node, 'minlength', 'maxlength'),
  })),
  select: (node) => labelled(node, choice(node, [...node.getElementsByTagName('option')].map((option) => ({
    value: option.getAttribute('value') ?? words(option), label: words(option), chosen: option.getAttribute('selected') === 'true',
  })))),
  'person-selector': (node, forms) => {
    const chosen = (node.getAttribute('value') || '').match(/\d+/g) || [];
    const people = forms.people.map((person) => ({
      value: String(person.id), label: person.name, chosen: chosen.includes(String(person.id)),
    }));
    const select = choice(node, people);
    select.dataset.kind = 'people';
    return labelled(node, select);
  },
  radio: (node) => ticked(node, 'radio'),
  checkbox: (node) => ticked(node, 'checkbox'),
  'date-picker': (node) => labelled(node, el('input', {
    ...common(node), type: 'date', defaultValue: node.getAttribute('value') || '', ...given(node, 'min', 'max'),
  })),
  'time-picker': (node) => labelled(node, el('input', {
    ...common(node), type: 'time', step: 1, defaultValue: node.getAttribute('value') || '', ...given(node, 'min', 'max'),
  })),
  button: (node) => {
    const name = node.getAttribute('name') || '';
    const resets = node.getAttribute('type') === 'reset';
    return el('button', {
      type: resets ? 'reset' : 'submit', name, class: `button ${look(node)}`, 'data-action': name,
      // Who cancels need not fill in first.
      formNoValidate: node.getAttribute('formnovalidate') === 'true' || name === 'cancel',
    }, words(node) || name);
  },
};

function look(node) {
  const known = ['primary', 'secondary', 'tertiary', 'destructive', 'primary-link', 'destructive-link'];
  return known.find((name) => node.getAttribute('class') === name) || 'primary';
}

const words = (node) => node.textContent.trim();

const common = (node) => ({
  name: node.getAttribute('name') || '',
  required: node.getAttribute('required') === 'true',
  title: node.getAttribute('title') || '',
});

function given(node, ...names) {
  return Object.fromEntries(names.filter((name) => node.hasAttribute(name)).map((name) => [name.replace('length', 'Length'), node.getAttribute(name)]));
}

function labelled(node, field) {
  const text = node.getAttribute('label');
  if (!text) {
    field.setAttribute('aria-label', node.getAttribute('placeholder') || node.getAttribute('data-placeholder') || node.getAttribute('name') || '');
    return field;
  }
  field.id = `field-${++fieldCount}`;
  return el('div', { class: 'field' }, el('label', { htmlFor: field.id }, text + (field.required ? ' *' : '')), field);
}

function choice(node, options) {
  const multiple = node.getAttribute('multiple') === 'true';
  const nothing = node.getAttribute('data-placeholder') || node.getAttribute('placeholder') || '—';
  const select = el('select', { ...common(node), multiple, ...(multiple ? { size: Math.min(5, options.length) } : {}) });
  if (!multiple) select.append(el('option', { value: '' }, nothing));
  for (const { value, label, chosen } of options) {
    select.append(el('option', { value, selected: chosen, defaultSelected: chosen }, label));
  }
  return select;
}

function ticked(node, type) {
  const checked = node.getAttribute('checked') === 'true';
  const field = el('input', {
    type, name: node.getAttribute('name') || '', value: node.getAttribute('value') || 'on', checked, defaultChecked: checked,
  });
  return el('label', { class: 'tick' }, field, el('span', {}, words(node) || node.getAttribute('label') || node.getAttribute('name') || ''));
}

/** What Symphony would hand to the bot: the button as `action`, people as ids, repeated names as lists, unticked boxes absent. */
function valuesOf(fields, submitter) {
  const values = { action: submitter?.name || '' };
  for (const field of fields.querySelectorAll('input, textarea, select')) {
    if (!field.name || ((field.type === 'checkbox' || field.type === 'radio') && !field.checked)) continue;
    const value = valueOf(field);
    const repeated = field.type === 'checkbox' && field.name in values;
    values[field.name] = repeated ? [].concat(values[field.name], value) : value;
  }
  return values;
}

function valueOf(field) {
  if (field.dataset.kind === 'people') return [...field.selectedOptions].map((option) => Number(option.value)).filter(Boolean);
  if (field.multiple) return [...field.selectedOptions].map((option) => option.value);
  if (field.type === 'time' && field.value.length === 5) return `${field.value}:00`;
  return field.value;
}
