import { checkTrail } from './chain.js';
import { follow } from './live.js';
import { localize } from './times.js';

const live = document.getElementById('live');
const first = live?.innerHTML ?? '';
localize(document);

const words = document.getElementById('live-words'); // on each page of whoever has signed in
if (words) {
  const check = createCheck();
  void check();
  void follow(live, first, words, () => {
    localize(live);
    void check();
  });
}

// What was unfolded to write a reason, or to be sure, folds again.
document.addEventListener('keydown', ({ key, target }) => {
  const summary = key === 'Escape' && target.closest?.('details[open]')?.querySelector('summary.button');
  if (!summary) return;
  summary.parentElement.open = false;
  summary.focus();
});

/** Checks the record as often as it has grown; what was found stands there meanwhile. */
function createCheck() {
  let known;
  let running;
  const show = () => {
    const place = document.getElementById('chain');
    if (!place || !known) return;
    place.className = known.tone;
    place.textContent = known.short;
    const words = document.getElementById('chain-words');
    if (words) words.textContent = known.words;
  };
  return async () => {
    show();
    const place = document.getElementById('chain');
    const upTo = place?.dataset.upto;
    if (!place || running || upTo === known?.upTo) return;
    running = true;
    try {
      if (!known) {
        place.className = 'checking';
        place.textContent = 'checking…';
      }
      const response = await fetch(place.dataset.chain);
      if (!response.ok) throw new Error(String(response.status));
      known = { ...told(await checkTrail(await response.text())), upTo };
    } catch {
      known = {
        short: 'not checked',
        words: 'The record could not be read from the server, so it was not checked.',
        tone: 'bad',
        upTo,
      };
    } finally {
      running = false;
    }
    show();
  };
}

function told({ isIntact, seq, entries, signed, words }) {
  if (!isIntact) return { short: `broken · #${seq ?? '?'}`, words, tone: 'bad' };
  const checked = `This browser recomputed the hashes of ${entries} entries, up to #${seq}`;
  if (!signed)
    return {
      short: `intact · #${seq}`,
      words: `${checked}. ${words ?? 'No checkpoint is signed over them yet.'}`,
      tone: 'good',
    };
  const at = signed.at.toLocaleString('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
  return {
    short: `intact · #${seq}`,
    words: `${checked}, and they agree with the checkpoint at #${signed.seq}, signed ${at} with key ${signed.keyId}.`,
    tone: 'good',
  };
}
