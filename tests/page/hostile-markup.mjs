// What a message may not do to the page: node hostile-markup.mjs PAGE_URL. It starts nothing.
import { chromium } from 'playwright-core';

const [url] = process.argv.slice(2);
if (!url) {
  console.error('usage: node hostile-markup.mjs PAGE_URL');
  process.exit(2);
}

/** Markup, and what of it may be seen: the HTML of the nodes that the page makes. */
const CASES = [
  ['<div>plain <b>bold</b><br/>next</div>', '<div>plain <b>bold</b><br>next</div>'],
  ['<div>a&nbsp;b &amp; &lt;b&gt;</div>', '<div>a&nbsp;b &amp; &lt;b&gt;</div>'],
  ['<div onclick="x()" style="color:red" class="y" id="z">quiet</div>', '<div>quiet</div>'],
  ['<script>window.hurt=1</script>after', 'after'],
  ['<img src="/x" onerror="window.hurt=1" alt="a picture"/>', 'a picture'],
  ['<svg onload="window.hurt=1"><b>x</b></svg>y', 'y'],
  ['<iframe srcdoc="x"></iframe><style>*{display:none}</style><template><b>t</b></template>z', 'z'],
  ['<a href="javascript:window.hurt=1">link</a>', '<span>link</span>'],
  ['<a href="data:text/html,x">link</a>', '<span>link</span>'],
  ['<a href="https://acme.example/?a=1">link</a>', '<a href="https://acme.example/?a=1" target="_blank" rel="noopener noreferrer nofollow">link</a>'],
  ['<unknown x="1">kept <i>text</i></unknown>', 'kept <i>text</i>'],
  ['<b>unclosed & broken <i>markup', '<b>unclosed &amp; broken <i>markup</i></b>'],
  ['<!DOCTYPE d [<!ENTITY e "boom">]><div>&e;</div>', ']&gt;<div>&amp;e;</div>'],
  ['<table><tr><td colspan="2" onmouseover="x()">c</td></tr></table>', '<table><tr><td colspan="2">c</td></tr></table>'],
  ['<span class="entity" data-entity-id="0">@Bob</span>', '<span class="mention">@Bob</span>'],
];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
});
const page = await browser.newPage();
await page.goto(url, { waitUntil: 'domcontentloaded' });
const wrong = await page.evaluate(async (cases) => {
  const { show } = await import('/page/markup.js');
  const forms = { people: [], submitted: [], submit: async () => {} };
  const shownOf = (markup) => {
    const box = document.createElement('div');
    box.append(show(markup, forms));
    return box.innerHTML;
  };
  const wrong = cases.map(([markup, expected]) => ({ markup, expected, shown: shownOf(markup) })).filter((one) => one.shown !== one.expected);
  const deep = shownOf('<b>'.repeat(5000) + 'deep' + '</b>'.repeat(5000));
  if (!deep.includes('deep') || deep.length > 2000) wrong.push({ markup: '5000 nested elements', expected: 'a shallow text', shown: deep.slice(0, 200) });
  if (window.hurt) wrong.push({ markup: 'all', expected: 'no script runs', shown: 'one ran' });
  return wrong;
}, CASES);
await browser.close();
for (const { markup, expected, shown } of wrong) console.error(`FAILED: ${markup}\n  expected ${expected}\n  shown    ${shown}`);
console.log(wrong.length ? `${wrong.length} of ${CASES.length + 2} failed` : 'no markup did what it may not');
process.exit(wrong.length ? 1 : 0);
