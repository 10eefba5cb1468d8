// The little that the page does by itself: counts beside the pointer or the focus, arrow keys in
// the placement table, the order of its rows, and folded parts opened for print. Without it the
// page still shows everything; the choice of steps is CSS alone. Text is only ever cloned or set
// as text, never read as markup.

export const SCRIPT = `'use strict';
(() => {
  const table = document.querySelector('table.placement');
  const find = (id) => document.getElementById(id);
  if (table) {
    const tip = document.createElement('div');
    tip.className = 'tip';
    tip.hidden = true;
    tip.setAttribute('aria-hidden', 'true');
    document.body.append(tip);
    const heads = table.tHead.rows[0].cells;
    const line = (name, text) => {
      const p = document.createElement('p');
      p.className = name;
      p.textContent = text;
      return p;
    };
    const hide = () => { tip.hidden = true; };
    const show = (cell) => {
      const row = cell.parentElement;
      const of = row.querySelector('.tag');
      const step = row.querySelector('.no').textContent;
      tip.replaceChildren(line('who', heads[cell.cellIndex].textContent + ', step ' + step));
      if (of) tip.append(line('what', of.textContent));
      const nums = cell.querySelector('.nums');
      if (nums) tip.append(nums.cloneNode(true));
      else if (of) tip.append(line('what', 'no pages'));
      const ret = cell.querySelector('.ret');
      if (ret) tip.append(line('what', 'returned ' + ret.textContent));
      tip.hidden = false;
      const box = cell.getBoundingClientRect();
      const left = Math.min(box.left, document.documentElement.clientWidth - tip.offsetWidth - 8);
      const under = box.bottom + 4 + tip.offsetHeight < innerHeight;
      tip.style.left = Math.max(8, left) + 'px';
      tip.style.top = (under ? box.bottom + 4 : box.top - tip.offsetHeight - 4) + 'px';
    };
    const cellOf = (event) => event.target.closest && event.target.closest('td.cell');
    table.addEventListener('pointerover', (event) => {
      const cell = cellOf(event);
      if (cell) show(cell); else hide();
    });
    table.addEventListener('pointerleave', hide);
    table.addEventListener('focusout', hide);
    addEventListener('scroll', () => {
      const cell = document.activeElement && document.activeElement.closest('td.cell');
      if (cell && !tip.hidden) show(cell); else hide();
    }, { passive: true });

    let current = null;
    const visible = () => [...table.querySelectorAll('td.cell')].filter((c) => c.offsetParent);
    const enter = (cell) => {
      if (current) current.tabIndex = -1;
      current = cell;
      if (cell) cell.tabIndex = 0;
    };
    table.addEventListener('focusin', (event) => {
      const cell = cellOf(event);
      if (!cell) return;
      enter(cell);
      show(cell);
    });
    table.addEventListener('keydown', (event) => {
      const cell = cellOf(event);
      if (!cell) return;
      if (event.key === 'Escape') { hide(); return; }
      const cells = visible();
      const width = heads.length - 1;
      const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -width, ArrowDown: width }[event.key];
      const next = by && cells[cells.indexOf(cell) + by];
      if (!next) return;
      event.preventDefault();
      next.focus();
      next.scrollIntoView({ block: 'nearest' });
      show(next);
    });
    const reset = () => {
      hide();
      const cells = visible();
      if (!cells.includes(current)) enter(cells[0] || null);
    };
    for (const input of document.querySelectorAll('.controls input')) input.addEventListener('change', reset);
    reset();

    const byStep = find('by-step');
    find('by-step-label').hidden = false;
    const bodies = [...table.tBodies];
    const rowsOf = bodies.map((body) => [...body.querySelectorAll('tr.step')]);
    const inOrder = document.createElement('tbody');
    inOrder.className = 'in-order differs';
    const arrange = () => {
      if (byStep.checked) {
        const rows = rowsOf.flat();
        rows.sort((a, b) => a.dataset.step - b.dataset.step);
        inOrder.replaceChildren(...rows);
        for (const body of bodies) body.remove();
        table.append(inOrder);
      } else {
        inOrder.remove();
        bodies.forEach((body, i) => { body.append(...rowsOf[i]); table.append(body); });
      }
    };
    byStep.addEventListener('change', () => { arrange(); reset(); });
  }
  addEventListener('beforeprint', () => {
    for (const part of document.querySelectorAll('details:not([open])')) {
      part.open = true;
      part.dataset.folded = '';
    }
  });
  addEventListener('afterprint', () => {
    for (const part of document.querySelectorAll('details[data-folded]')) {
      part.open = false;
      delete part.dataset.folded;
    }
  });
})();
`;
