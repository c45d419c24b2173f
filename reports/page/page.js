/* The table sorts by the heads of its columns and filters by name; everything else on the page is plain HTML. */
(() => {
    'use strict';
    const table = document.getElementById('board');
    if (!table) return;
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells], rows = [...body.rows];
    const filter = document.getElementById('filter'), clean = document.getElementById('filter-clean');
    const shown = document.getElementById('shown');

    /* A number where the cell has one, else its text; null where it is empty. */
    const value = (row, column) => {
        const cell = row.cells[column];
        if (cell.dataset.v === undefined) return cell.textContent.trim().toLowerCase();
        return cell.dataset.v === '' ? null : Number(cell.dataset.v);
    };

    /* What is missing comes last in both directions; equal rows keep the order in which they came. */
    const sort = (column, descending) => {
        const sign = descending ? -1 : 1;
        const keyed = rows.map(row => ({row, key: value(row, column)}));
        keyed.sort(({key: x}, {key: y}) => {
            if (x === null || y === null) return (x === null) - (y === null);
            return sign * (x < y ? -1 : x > y ? 1 : 0);
        });
        body.append(...keyed.map(k => k.row));
        heads.forEach((head, i) =>
            head.setAttribute('aria-sort', i === column ? (descending ? 'descending' : 'ascending') : 'none'));
    };

    const narrow = () => {
        const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
        let n = 0;
        for (const row of rows) {
            const text = row.textContent.toLowerCase();
            const fits = words.every(w => text.includes(w)) && (!clean.checked || row.dataset.clean === '1');
            row.hidden = !fits;
            n += fits;
        }
        shown.textContent = `${n} of ${rows.length}`;
    };

    heads.forEach((head, i) => head.querySelector('button').addEventListener('click', () =>
        sort(i, head.getAttribute('aria-sort') === 'ascending')));
    filter.addEventListener('input', narrow);
    clean.addEventListener('change', narrow);
    filter.closest('.controls').hidden = false;
    narrow();

    /* On paper nothing can be opened: what is short is. */
    let opened = [];
    addEventListener('beforeprint', () => {
        opened = [...document.querySelectorAll('#tokens details:not([open])')];
        opened.forEach(d => { d.open = true; });
    });
    addEventListener('afterprint', () => opened.forEach(d => { d.open = false; }));
})();
