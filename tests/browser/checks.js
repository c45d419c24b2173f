/* What is looked at inside the page. Each check returns a list of findings, one line each; none is good. It runs as the
 * body of a function with the check's name and its arguments: see checks.py. */
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const words = e => [...e.childNodes].map(n => (n.nodeName === 'title' ? '' : n.textContent)).join('').trim();
const clip = text => text.trim().replace(/\s+/g, ' ').slice(0, 50);

/* How a finding names an element. */
const named = e => {
    const text = clip(e.getAttribute('aria-label') || words(e) || e.value || '');
    return `<${e.tagName.toLowerCase()}${e.id ? ' id=' + e.id : ''}>${text ? ` "${text}"` : ''}`;
};

const seen = e => e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });

/* For screen readers alone: an ancestor, or it itself, is cut to a pixel. */
const spoken = e => {
    for (; e; e = e.parentElement) {
        if (getComputedStyle(e).overflow === 'visible') continue;
        const box = e.getBoundingClientRect();
        if (box.width <= 1 || box.height <= 1) return true;
    }
    return false;
};

/* --- colours: contrast as WCAG 2.2 defines it (relative luminance, success criteria 1.4.3 and 1.4.11) --- */

const pixel = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
const colours = new Map();

/* Any colour of CSS as [red, green, blue, alpha], the last from 0 to 1: the browser itself reads it. */
const rgba = colour => {
    if (!colours.has(colour)) {
        pixel.clearRect(0, 0, 1, 1);
        pixel.fillStyle = '#000';
        pixel.fillStyle = colour;
        pixel.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = pixel.getImageData(0, 0, 1, 1).data;
        colours.set(colour, [r, g, b, a / 255]);
    }
    return colours.get(colour);
};

const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);

const luminance = colour => {
    const [r, g, b] = colour.map(c => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};

const contrast = (a, b) => {
    const [x, y] = [luminance(a), luminance(b)];
    return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
};

const ancestors = e => {
    const line = [];
    for (; e; e = e.parentElement) line.unshift(e);
    return line;
};

/* What an element stands on: the backgrounds of itself and its ancestors, blended. Paper is white. */
const background = e => {
    const print = matchMedia('print').matches;
    const dark = !print && matchMedia('(prefers-color-scheme: dark)').matches &&
        getComputedStyle(document.documentElement).colorScheme.includes('dark');
    let colour = dark ? [18, 18, 18, 1] : [255, 255, 255, 1];
    if (!print) for (const a of ancestors(e)) colour = over(rgba(getComputedStyle(a).backgroundColor), colour);
    return colour;
};

const opacity = e => ancestors(e).reduce((o, a) => o * Number(getComputedStyle(a).opacity), 1);
const faded = (colour, o) => [colour[0], colour[1], colour[2], colour[3] * o];

/* In a drawing: the shapes that were painted before it and cover its middle, too. */
const drawn_background = (text, box) => {
    let colour = background(text.ownerSVGElement.parentElement);
    const [x, y] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
    for (const shape of all('rect, path, circle, polygon, ellipse', text.ownerSVGElement)) {
        if (!(shape.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING) || !seen(shape)) continue;
        const style = getComputedStyle(shape);
        if (style.fill === 'none' || shape.closest('defs, clipPath, mask, symbol')) continue;
        const at = new DOMPoint(x, y).matrixTransform(shape.getScreenCTM().inverse());
        if (shape.isPointInFill(at)) colour = over(faded(rgba(style.fill), Number(style.fillOpacity)), colour);
    }
    return colour;
};

const judge_text = (what, style, front, back) => {
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = contrast(over(front, back), back);
    return ratio < (large ? 3 : 4.5) ? [`contrast ${ratio.toFixed(2)} of ${what}`] : [];
};

const judge_element = (e, box) => {
    const style = getComputedStyle(e), drawn = e instanceof SVGElement;
    const back = drawn ? drawn_background(e, box) : background(e);
    const images = drawn ? [] : ancestors(e).filter(a => getComputedStyle(a).backgroundImage !== 'none');
    if (images.length) return [`an image is behind ${named(e)}`];
    const fill = drawn ? faded(rgba(style.fill), Number(style.fillOpacity)) : rgba(style.color);
    return judge_text(named(e), style, faded(fill, opacity(e)), back);
};

const texts = () => {
    const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const e = walk.currentNode.parentElement;
        if (!walk.currentNode.data.trim() || e.closest('script, style, title, desc, noscript')) continue;
        if (!seen(e) || spoken(e)) continue;
        const range = document.createRange();
        range.selectNodeContents(walk.currentNode);
        const box = range.getBoundingClientRect();
        if (box.width && box.height) found.push([e, box]);
    }
    return found;
};

/* Of terminals, and those that turn the direction of text around. */
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const unique = list => [...new Set(list)];

const checks = {
    texts_contrast() {
        const found = texts().flatMap(([e, box]) => judge_element(e, box));
        for (const e of all('body *')) {
            if (!seen(e)) continue;
            for (const part of ['::before', '::after']) {
                const style = getComputedStyle(e, part);
                if (!/^"\s*\S/.test(style.content)) continue;
                const back = over(rgba(style.backgroundColor), background(e));
                found.push(...judge_text(`${part} of ${named(e)}`, style, faded(rgba(style.color), opacity(e)), back));
            }
        }
        for (const e of all('input')) {
            if (!seen(e)) continue;
            const style = getComputedStyle(e), back = background(e);
            if (e.placeholder) {
                const place = getComputedStyle(e, '::placeholder');
                const front = faded(rgba(place.color), Number(place.opacity));
                found.push(...judge_text(`the placeholder of ${named(e)}`, place, front, back));
            }
            if (!['search', 'text'].includes(e.type)) continue;
            found.push(...judge_text(`what is typed into ${named(e)}`, style, rgba(style.color), back));
            const edge = contrast(over(rgba(style.borderBottomColor), back), background(e.parentElement));
            if (edge < 3) found.push(`contrast ${edge.toFixed(2)} of the edge of ${named(e)}`);
        }
        return unique(found);
    },

    /* The colours of the data against what they are drawn on. */
    series_contrast() {
        const figure = document.querySelector('figure.chart');
        if (!figure) return ['no figure to draw series in'];
        const style = getComputedStyle(figure), back = background(figure), found = [];
        for (let i = 1; i <= 8; i++) {
            const colour = style.getPropertyValue(`--series-${i}`);
            const ratio = colour ? contrast(rgba(colour.trim()), back) : 0;
            if (ratio < 3) found.push(`contrast ${ratio.toFixed(2)} of series ${i}, ${colour || 'no colour'}`);
        }
        return found;
    },

    structure() {
        const found = [], ids = new Map();
        const say = (bad, line) => { if (bad) found.push(line); };
        say(!document.documentElement.lang, 'no language');
        say(!document.title.trim(), 'no title');
        say(!/width=device-width/.test(document.querySelector('meta[name=viewport]')?.content), 'no viewport');
        say(/user-scalable=no|maximum-scale/.test(document.querySelector('meta[name=viewport]')?.content), 'no zoom');
        say(all('main').length !== 1, `${all('main').length} main`);
        say(all('h1').length !== 1, `${all('h1').length} h1`);
        say(!document.querySelector('h1#answer')?.textContent.trim(), 'no answer');
        let level = 0;
        for (const h of all('h1, h2, h3, h4, h5, h6')) {
            const next = Number(h.tagName[1]);
            say(next > level + 1, `h${next} after h${level}: ${named(h)}`);
            level = next;
        }
        for (const e of all('[id]')) {
            say(ids.has(e.id), `two elements with the id ${e.id}`);
            ids.set(e.id, e);
        }
        for (const attribute of ['aria-labelledby', 'aria-describedby', 'aria-controls', 'for'])
            for (const e of all(`[${attribute}]`))
                for (const id of e.getAttribute(attribute).split(/\s+/))
                    say(!ids.has(id), `${attribute} of ${named(e)}: nothing has the id ${id}`);
        for (const e of all('[href^="#"]')) say(!ids.has(e.getAttribute('href').slice(1)), `${named(e)} leads nowhere`);
        for (const e of all('*'))
            for (const { name, value } of e.attributes)
                for (const [, id] of value.matchAll(/url\(["']?#([^"')]*)/g))
                    say(!ids.has(id), `${name} of ${named(e)}: nothing has the id ${id}`);
        for (const t of all('table')) {
            say(!t.caption?.textContent.trim() && !t.getAttribute('aria-label'), `no caption: ${named(t)}`);
            say(t.tHead === null, `no head: ${named(t)}`);
            const columns = row => [...row.cells].reduce((n, c) => n + c.colSpan, 0);
            for (const row of t.rows)
                say(columns(row) !== columns(t.rows[0]), `${columns(row)} cells instead of ${columns(t.rows[0])}: ${named(row)}`);
        }
        for (const e of all('th:not([scope])')) found.push(`no scope: ${named(e)}`);
        for (const e of all('input, select, textarea'))
            say(!e.labels.length && !e.getAttribute('aria-label'), `no label: ${named(e)}`);
        for (const e of all('button, summary, a'))
            say(!e.textContent.trim() && !e.getAttribute('aria-label'), `no name: ${named(e)}`);
        for (const e of all('img:not([alt])')) found.push(`no alt: ${named(e)}`);
        for (const e of all('svg')) say(!e.closest('[aria-hidden=true]') && e.getAttribute('role') !== 'img', `a drawing without a role: ${named(e)}`);
        const shown = document.getElementById('shown');
        say(shown?.getAttribute('role') !== 'status' && !shown?.getAttribute('aria-live'), '#shown is not told when it changes');
        return found;
    },

    sections(ids) {
        return ids.filter(id => !seen(document.getElementById(id) ?? document.createElement('i'))).map(id => `no section ${id}`);
    },

    /* Title and names of two axes; words, that is, beside the numbers at the ticks. */
    charts(least) {
        const figures = all('figure.chart'), found = [];
        if (figures.length < least) found.push(`${figures.length} charts instead of ${least}`);
        for (const figure of figures) {
            const svg = figure.querySelector('svg'), caption = clip(figure.querySelector('figcaption')?.textContent ?? '');
            if (!svg || !svg.getBoundingClientRect().height) { found.push(`no drawing in ${named(figure)}`); continue; }
            if (!caption) found.push(`no caption: ${named(figure)}`);
            if (svg.getAttribute('role') !== 'img') found.push(`no role: ${caption}`);
            if (!svg.querySelector(':scope > title')?.textContent.trim()) found.push(`no title: ${caption}`);
            const names = all('text', svg).map(words).filter(t => /\p{L}{2}/u.test(t) && !/^[@!]/.test(t));
            if (names.length < 2) found.push(`${names.length} names of axes: ${caption}`);
        }
        return found;
    },

    /* Nothing drawn is cut off by the edge of its drawing, and no two words lie on each other. */
    charts_legible(smallest) {
        const found = [];
        for (const svg of all('figure.chart svg')) {
            const frame = svg.getBoundingClientRect(), title = clip(svg.querySelector('title')?.textContent ?? '');
            const boxes = all('text', svg).filter(t => words(t) && seen(t)).map(t => [t, t.getBoundingClientRect()]);
            boxes.forEach(([t, a], i) => {
                const m = t.getScreenCTM(), size = parseFloat(getComputedStyle(t).fontSize) * Math.sqrt(Math.abs(m.a * m.d - m.b * m.c));
                if (size < smallest - 0.05) found.push(`${size.toFixed(1)} px: ${named(t)} in ${title}`);
                if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.top < frame.top - 1 || a.bottom > frame.bottom + 1)
                    found.push(`cut off: ${named(t)} in ${title}`);
                for (const [u, b] of boxes.slice(i + 1)) {
                    const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
                    const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
                    if (width > 2 && height > Math.min(a.height, b.height) / 3) found.push(`${named(t)} lies on ${named(u)} in ${title}`);
                }
            });
        }
        return found;
    },

    overflow() {
        const root = document.documentElement, found = [];
        if (root.scrollWidth > root.clientWidth) found.push(`the page is ${root.scrollWidth} wide in a window of ${root.clientWidth}`);
        const scrolls = e => ['auto', 'scroll'].includes(getComputedStyle(e).overflowX);
        for (const e of all('body *')) {
            if (!seen(e) || spoken(e) || (e instanceof SVGElement && e.ownerSVGElement)) continue;
            const inner = ancestors(e.parentElement).some(scrolls);
            if (!inner && e.getBoundingClientRect().right > root.clientWidth + 1) found.push(`beyond the edge: ${named(e)}`);
            if (!scrolls(e) || e.scrollWidth <= e.clientWidth + 1) continue;
            if (e.tabIndex !== 0 || e.getAttribute('role') !== 'region' || !e.getAttribute('aria-label')?.trim())
                found.push(`scrolls, but not by keyboard: ${named(e)}`);
        }
        return found;
    },

    /* --- the board --- */

    sorting() {
        const table = document.getElementById('board');
        if (!table) return ['no board'];
        const found = [], heads = [...table.tHead.rows[0].cells], rows = [...table.tBodies[0].rows];
        const missing = text => /^(–|—|-|n\/a|)$/i.test(text);
        const number = text => parseFloat(text.replace(/[−]/g, '-').replace(/[,\s]/g, ''));
        heads.forEach((head, column) => {
            const numeric = rows.filter(r => !isNaN(number(r.cells[column].textContent.trim()))).length * 2 > rows.length;
            const value = row => {
                const cell = row.cells[column], text = cell.textContent.trim(), v = cell.dataset.v;
                if (v === '' || missing(text)) return null;
                return v !== undefined ? Number(v) : numeric ? number(text) : text.toLowerCase();
            };
            for (const row of rows) { /* what is sorted by is what is shown */
                const text = row.cells[column].textContent.trim(), v = value(row);
                const shown = /^[-−]?[\d.]+(e[-+]?\d+)?(?![\d.])/.exec(text);
                if (row.cells[column].dataset.v === undefined || !shown || v === null) continue;
                const digits = /\.(\d+)/.exec(shown[0])?.[1].length ?? 0;
                if (!/e/.test(shown[0]) && Math.abs(number(shown[0]) - v) > 0.51 * 10 ** -digits)
                    found.push(`${head.innerText}: ${text} is sorted as ${v}`);
                if (isNaN(v)) found.push(`${head.innerText}: ${text} is sorted as no number`);
            }
            const button = head.querySelector('button');
            if (head.scope !== 'col' || head.getAttribute('aria-sort') === null || !button) {
                found.push(`not sortable: ${named(head)}`);
                return;
            }
            const ways = [];
            for (const click of [1, 2]) {
                button.click();
                const way = head.getAttribute('aria-sort'), sign = way === 'descending' ? -1 : 1;
                ways.push(way);
                const others = heads.filter(h => h !== head && h.getAttribute('aria-sort') !== 'none');
                if (others.length) found.push(`${named(others[0])} is said to be sorted, beside ${named(head)}`);
                const now = [...table.tBodies[0].rows].map(value);
                if (now.length !== rows.length) found.push(`${now.length} rows of ${rows.length} after sorting by ${named(head)}`);
                now.slice(1).forEach((v, i) => {
                    if (now[i] === null && v !== null) found.push(`${named(head)}, ${way}: what is missing is not last`);
                    if (now[i] === null || v === null) return;
                    if (sign * (now[i] < v ? -1 : now[i] > v ? 1 : 0) > 0) found.push(`${named(head)}, ${way}: ${now[i]} before ${v}`);
                });
            }
            if (ways.slice().sort().join() !== 'ascending,descending') found.push(`${named(head)} is sorted ${ways.join(', then ')}`);
        });
        return unique(found);
    },

    rows() {
        return all('#board tbody tr').filter(seen).map(row => row.cells[1].textContent.trim());
    },

    shown() { return document.getElementById('shown').textContent.trim(); },

    order(column) { return all('#board tbody tr').map(row => row.cells[column].textContent.trim()).join('|'); },

    sorted(column) { return document.getElementById('board').tHead.rows[0].cells[column].getAttribute('aria-sort'); },

    focus_on(selector, at = 0) {
        all(selector)[at].focus();
        return document.activeElement === all(selector)[at];
    },

    /* --- the keyboard: what can have the focus, and what had it, one Tab after the other --- */

    tab_start() {
        const can = all('a[href], button, input, summary, [tabindex]').filter(e => e.tabIndex >= 0 && !e.disabled && seen(e));
        window.tabbed = { can, had: new Set(), found: [] };
        document.activeElement.blur();
        getSelection().removeAllRanges();
        scrollTo(0, 0);
        document.addEventListener('focusin', ({ target }) => {
            const style = getComputedStyle(target), box = target.getBoundingClientRect();
            const ring = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
            const back = background(target.parentElement);
            if (!ring) tabbed.found.push(`the focus is not seen: ${named(target)}`);
            else if (style.outlineStyle !== 'auto' && contrast(over(rgba(style.outlineColor), back), back) < 3)
                tabbed.found.push(`the focus is hardly seen: ${named(target)}`);
            if (box.width <= 1 || box.height <= 1) tabbed.found.push(`the focus is on what is not seen: ${named(target)}`);
            tabbed.had.add(target);
        });
        return can.length;
    },

    tab_end(must) {
        const { can, had, found } = tabbed;
        found.push(...can.filter(e => !had.has(e)).map(e => `Tab does not reach ${named(e)}`));
        found.push(...all('[tabindex]').filter(e => e.tabIndex > 0).map(e => `out of order: ${named(e)}`));
        for (const selector of must) {
            if (!all(selector).length) found.push(`nothing is ${selector}`);
            found.push(...all(selector).filter(e => seen(e) && !had.has(e)).map(e => `Tab does not reach ${named(e)}`));
        }
        const order = [...had].filter(e => e !== document.body);
        order.slice(1).forEach((e, i) => {
            if (order[i].compareDocumentPosition(e) & Node.DOCUMENT_POSITION_PRECEDING) found.push(`out of order: ${named(e)}`);
        });
        return unique(found);
    },

    /* --- paper --- */

    print() {
        const found = [];
        dispatchEvent(new Event('beforeprint'));
        for (const row of all('#board tbody tr')) if (!seen(row)) found.push(`not printed: ${named(row)}`);
        for (const e of all('input')) if (seen(e)) found.push(`printed: ${named(e)}`);
        for (const e of all('details')) {
            const content = [...e.children].filter(c => c.tagName !== 'SUMMARY');
            const told = all('*', e.closest('section')).some(t => seen(t) && t.matches('.print, .print *'));
            if (!content.every(seen) && !told) found.push(`neither printed nor told: ${named(e.querySelector('summary'))}`);
        }
        for (const e of all('.scroll'))
            if (seen(e) && getComputedStyle(e).overflowX !== 'visible') found.push(`cut off: ${named(e)}`);
        const contrasts = checks.texts_contrast();
        dispatchEvent(new Event('afterprint'));
        return found.concat(contrasts);
    },

    open_details() { all('details').forEach(d => { d.open = true; }); return []; },

    /* --- texts of strangers --- */

    hostile(marks) {
        const found = [], text = document.body.textContent;
        if (all('script').length !== 1) found.push(`${all('script').length} scripts`);
        const strange = 'img, iframe, object, embed, form, base, audio, video, link:not([rel=icon]), foreignObject, use, animate, set, meta[http-equiv=refresh], marquee';
        for (const e of all(strange)) found.push(`a strange element: ${e.outerHTML.slice(0, 80)}`);
        for (const e of all('*'))
            for (const { name, value } of e.attributes) {
                if (/^on/i.test(name)) found.push(`a handler: ${e.outerHTML.slice(0, 80)}`);
                if (/^\s*(javascript|vbscript|data:text)/i.test(value) && /href|src|action/i.test(name)) found.push(`a link to a script: ${value.slice(0, 80)}`);
                if (CONTROLS.test(value)) found.push(`a control in ${name}: ${named(e)}`);
            }
        for (const control of new Set((text + document.title).match(new RegExp(CONTROLS, 'g'))))
            found.push(`the control U+${control.charCodeAt(0).toString(16).padStart(4, '0')} as it is`);
        if (window.owned || document.title === 'owned') found.push('a script of a stranger ran');
        for (const mark of marks) if (!text.includes(mark)) found.push(`not shown: ${mark}`);
        return found;
    },

    links() {
        return all('[href], [src]').map(e => e.getAttribute('href') ?? e.getAttribute('src')).filter(h => !h.startsWith('#'));
    },
};

const [check_name, check_arguments] = arguments;
return checks[check_name](...check_arguments);
