// The admin frame: folding the menu, ticking all rows, keeping the welcome panel closed.
(() => {
  const collapse = document.getElementById('collapse-button');
  collapse?.addEventListener('click', () => {
    const isFolded = document.body.classList.toggle('folded');
    collapse.setAttribute('aria-expanded', String(!isFolded));
    collapse.setAttribute('aria-label', isFolded ? 'Expand Main menu' : 'Collapse Main menu');
  });

  for (const all of document.querySelectorAll('.check-column input[id^="cb-select-all"]')) {
    all.addEventListener('change', () => {
      const boxes = document.querySelectorAll('.check-column input[type="checkbox"]');
      for (const box of boxes) box.checked = all.checked;
    });
  }

  const panel = document.getElementById('welcome-panel');
  panel?.querySelector('.welcome-panel-close')?.addEventListener('click', (event) => {
    event.preventDefault();
    panel.remove();
    void fetch('/wp-admin/?welcome=0');
  });
})();
