// The eye beside the password, and the cursor in the first field.
(() => {
  const field = document.getElementById('user_pass');
  const eye = document.querySelector('.wp-hide-pw');
  eye?.addEventListener('click', () => {
    const isShown = field.type === 'text';
    field.type = isShown ? 'password' : 'text';
    eye.setAttribute('aria-label', isShown ? 'Show password' : 'Hide password');
  });
  const first = document.getElementById('user_login');
  (first?.value ? field : first)?.focus();
})();
