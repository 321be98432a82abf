// Copies what a button names; where the browser has no clipboard for pages, there are no such buttons.
const copied = document.getElementById('copied');

for (const button of document.querySelectorAll('button[data-copies]')) {
  button.hidden = !navigator.clipboard;
  button.addEventListener('click', async () => {
    const secret = document.getElementById(button.dataset.copies);
    const { label } = button.dataset;
    try {
      await navigator.clipboard.writeText(secret.textContent);
      copied.textContent = `${label} is copied.`;
    } catch {
      copied.textContent = `${label} could not be copied: press Show, and copy it by hand.`;
    }
  });
}
