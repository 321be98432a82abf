/** @file Pictures, enlarged: arrows go through those of the message, Escape closes. */

let dialog;
let pictures = [];
let place = 0;

/** Enlarges the picture of a link; its neighbours are the other pictures of its message. */
export function enlarge(link) {
  const links = [...(link.closest('.message') ?? document).querySelectorAll('[data-picture]')];
  pictures = links.map((each) => ({ url: each.getAttribute('href'), alt: each.querySelector('img').alt }));
  place = links.indexOf(link);
  dialog ??= build();
  draw();
  dialog.showModal();
}

function build() {
  const made = document.createElement('dialog');
  made.className = 'lightbox';
  made.setAttribute('aria-label', 'Picture');
  made.innerHTML = `<img alt=""><div class="lightbox-bar"><p aria-live="polite"></p><span class="count"></span>
    <button class="button plain" data-by="-1" type="button">Previous</button>
    <button class="button plain" data-by="1" type="button">Next</button>
    <button class="button plain" data-close type="button" autofocus>Close</button></div>`;
  made.addEventListener('click', ({ target }) => {
    if (target === made || target.closest('[data-close]')) made.close();
    const by = target.closest('[data-by]')?.dataset.by;
    if (by !== undefined) step(Number(by));
  });
  made.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowLeft') step(-1);
    if (event.key === 'ArrowRight') step(1);
  });
  document.body.append(made);
  return made;
}

function step(by) {
  place = Math.min(Math.max(place + by, 0), pictures.length - 1);
  draw();
}

function draw() {
  const { url, alt } = pictures[place];
  const image = dialog.querySelector('img');
  image.src = url;
  image.alt = alt;
  dialog.querySelector('p').textContent = alt;
  dialog.querySelector('.count').textContent = pictures.length > 1 ? `${place + 1} of ${pictures.length}` : '';
  for (const button of dialog.querySelectorAll('[data-by]')) {
    button.hidden = pictures.length < 2;
    const isEnd = place + Number(button.dataset.by) < 0 || place + Number(button.dataset.by) >= pictures.length;
    button.setAttribute('aria-disabled', String(isEnd));
  }
}
