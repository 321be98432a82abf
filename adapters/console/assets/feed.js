const STREAM = '/api/autonomous/stream';
/** The stream says something every 20 s at least: a connection that is silent for longer leads nowhere. */
const SILENT_MS = 45_000;
const ANSWER_MS = 10_000;
/** So far apart are two looks at least; and at most, for what goes on no record, such as a worker that comes or leaves. */
const APART_MS = 1_000;
const EVERY_MS = 15_000;
/** While nothing is told; and after a change, for that the next step was begun goes on no record. */
const SOON_MS = 2_000;
const MOST_MS = 30_000;
const AGAIN_MS = 500;
/** The codes of docs/live.md: the session is over; what followed the cursor is not there. */
const OVER = 4401;
const NO_CURSOR = [4400, 4410];

/**
 * Says when to look again: as soon as the live stream tells that something happened. It is taken up where it ended, ever less
 * often while it can't be, and the page looks by itself meanwhile. `told` hears whether it is there.
 */
export function createFeed(told) {
  let cursor;
  let tries = 0;
  let failures = 0;
  let isLive = true;
  let isNews = false;
  let isStirring = false;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let wake = () => {};
  let isOver = false;
  let socket;

  function news() {
    isNews = true;
    wake();
  }

  function tell(now) {
    if (now === isLive) return;
    isLive = now;
    told(now);
  }

  function connect() {
    const address = new URL(STREAM, location.href.replace(/^http/, 'ws'));
    if (cursor !== undefined) address.searchParams.set('cursor', cursor);
    const opened = new WebSocket(address, 'countersign.v1');
    const close = () => opened.close();
    socket = opened;
    let watch = setTimeout(close, ANSWER_MS);
    opened.addEventListener('message', ({ data }) => {
      clearTimeout(watch);
      watch = setTimeout(close, SILENT_MS);
      const said = JSON.parse(data);
      const isFirst = said.event === 'hello';
      if (isFirst) {
        tries = 0;
        tell(true);
      }
      if (isFirst || said.cursor !== cursor) news();
      cursor = said.cursor;
    });
    opened.addEventListener('close', ({ code }) => {
      clearTimeout(watch);
      if (isOver) return;
      if (NO_CURSOR.includes(code)) cursor = undefined;
      if (tries > 0 && code !== OVER) tell(false); // a process that gives way to another one is no loss
      news();
      setTimeout(() => isOver || connect(), code === OVER ? MOST_MS : Math.min(MOST_MS, AGAIN_MS * 2 ** tries));
      tries += 1;
    });
  }

  connect();
  return {
    async wait() {
      const usual = isLive && !isStirring ? EVERY_MS : SOON_MS;
      const delay = failures > 0 ? Math.min(MOST_MS, SOON_MS * 2 ** failures) : usual;
      if (!isNews || failures > 0)
        await new Promise((resolve) => {
          wake = resolve;
          setTimeout(resolve, delay);
        });
      const early = lookedAt + APART_MS - performance.now();
      if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
      if (document.hidden)
        await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
      isNews = false;
      lookedAt = performance.now();
    },
    answered(isGood, isNew) {
      failures = isGood ? 0 : failures + 1;
      isStirring = isNew;
    },
    stop() {
      isOver = true;
      socket.close();
    },
  };
}
