// WooCommerce > Settings: ask before an edited form is left, except by its own buttons.
(() => {
  const form = document.getElementById('mainform');
  let isChanged = false;
  const ask = (event) => {
    event.preventDefault();
    return 'The changes you made will be lost if you navigate away from this page.';
  };
  const noteChange = () => {
    if (isChanged) return;
    isChanged = true;
    window.onbeforeunload = ask;
  };
  form?.addEventListener('input', noteChange);
  form?.addEventListener('change', noteChange);
  form?.addEventListener('click', (event) => {
    if (event.target.closest('.submit input, .submit button, #search-submit, .bulkactions input')) {
      window.onbeforeunload = null;
    }
  });

  for (const hint of document.querySelectorAll('.conditional[data-depends-on]')) {
    const source = document.querySelector(hint.dataset.dependsOn);
    const show = () => {
      hint.hidden = source.value !== hint.dataset.showIfEquals;
    };
    source.addEventListener('change', show);
    show();
  }
})();
