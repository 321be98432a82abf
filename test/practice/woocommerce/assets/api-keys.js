// The form for a key: posts it, and on success puts the new key where the form stood, without changing the address.
(() => {
  const panel = document.getElementById('key-fields');
  const settings = window.woocommerce_admin_api_keys;
  const value = (id) => panel.querySelector(id)?.value ?? '';

  function showMessage(kind, text) {
    document.querySelector('.wc-api-message')?.remove();
    const message = document.createElement('div');
    message.className = `wc-api-message ${kind}`;
    const line = document.createElement('p');
    line.textContent = text;
    message.append(line);
    document.querySelector('.subsubsub').before(message);
  }

  function showKeys(data) {
    panel.querySelector('#api-keys-options').remove();
    const submit = panel.querySelector('p.submit');
    submit.innerHTML = data.revoke_url;
    submit.before(document.getElementById('tmpl-api-keys-template').content.cloneNode(true));
    // As attributes, like WooCommerce's template: the secret stands in the page's markup too.
    panel.querySelector('#key_consumer_key').setAttribute('value', data.consumer_key);
    panel.querySelector('#key_consumer_secret').setAttribute('value', data.consumer_secret);
    window.drawKeyPattern(panel.querySelector('#keys-qrcode'), `${data.consumer_key}|${data.consumer_secret}`);
    for (const button of panel.querySelectorAll('.copy-key, .copy-secret')) {
      button.addEventListener('click', () => copy(button));
    }
  }

  async function copy(button) {
    const input = button.previousElementSibling;
    const problem = document.getElementById('copy-error');
    problem.textContent = '';
    try {
      await navigator.clipboard.writeText(input.value);
    } catch {
      input.select();
      problem.textContent = settings.clipboard_failed;
    }
  }

  async function save() {
    const overlay = document.createElement('div');
    overlay.className = 'blockUI blockOverlay';
    panel.append(overlay);
    const body = new URLSearchParams({
      action: 'woocommerce_update_api_key',
      security: settings.update_api_nonce,
      key_id: value('#key_id'),
      description: value('#key_description'),
      user: value('#key_user'),
      permissions: value('#key_permissions'),
    });
    const answer = await fetch(settings.ajax_url, { method: 'POST', body }).catch(() => undefined);
    // WooCommerce has no branch for a failed request: the form stays grey and says nothing.
    if (!answer?.ok) return;
    const { success, data } = await answer.json();
    showMessage(success ? 'updated' : 'error', data.message);
    if (success && data.consumer_key !== '') showKeys(data);
    overlay.remove();
  }

  /** A button that the shop holds is greyed for as long as the shop says. */
  async function obeyHold(button) {
    for (;;) {
      const body = new URLSearchParams({ action: 'practice_hold', hold: button.dataset.hold });
      const answer = await fetch(settings.ajax_url, { method: 'POST', body });
      button.disabled = (await answer.json()).isHeld;
      await new Promise((done) => setTimeout(done, 50));
    }
  }

  const button = panel.querySelector('#update_api_key[data-hold]');
  if (button) void obeyHold(button);

  panel.addEventListener('click', (event) => {
    if (event.target.id !== 'update_api_key') return;
    event.preventDefault();
    void save();
  });
})();
