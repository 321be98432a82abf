/** @file The connection that brings what changed; after a break it asks for everything since the last number it has. */

import { me, setStatus } from './dom.js';

const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5_000;

const thread = document.querySelector('#thread');
let socket;
let last = Number(thread.dataset.last);
let failures = 0;
let timer;

export function isLive() {
  return 'live' in thread.dataset;
}

/** Keeps a connection up; `onMessage` gets each message in the order of its number. */
export function keepConnected(onMessage) {
  connect(onMessage);
  for (const event of ['online', 'pageshow']) window.addEventListener(event, () => retry(onMessage, 0));
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) return;
    tellSeen();
    retry(onMessage, 0);
  });
}

function connect(onMessage) {
  const asked = 'waiting' in thread.dataset ? '' : thread.dataset.thread;
  const query = new URLSearchParams({ as: me, thread: asked, after: last });
  const mine = new WebSocket(`ws://${location.host}/live?${query}`);
  socket = mine;
  mine.addEventListener('message', ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === 'ready') ready();
    onMessage(message);
    if (message.n > last) last = message.n;
    if (message.type === 'message') tellSeen();
  });
  mine.addEventListener('close', () => {
    if (socket !== mine) return;
    delete thread.dataset.live;
    failures++;
    if (failures > 1) setStatus('Reconnecting…');
    if (failures % 4 === 0) void leaveIfGone();
    const delayMs = Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), LONGEST_RETRY_MS);
    retry(onMessage, delayMs * (0.75 + Math.random() / 2));
  });
}

function retry(onMessage, delayMs) {
  if (socket.readyState === WebSocket.OPEN || socket.readyState === WebSocket.CONNECTING) return;
  clearTimeout(timer);
  timer = setTimeout(() => connect(onMessage), delayMs);
}

function ready() {
  if (failures > 0) setStatus('');
  failures = 0;
  thread.dataset.live = '';
  tellSeen();
}

/** Somebody looks at this page: nothing on it waits for them any longer. */
function tellSeen() {
  if (!document.hidden && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ seen: last }));
}

/** The chat answers but does not know this thread any more: it was started anew. */
async function leaveIfGone() {
  const response = await fetch(location.pathname, { method: 'HEAD' }).catch(() => undefined);
  if (response?.status === 404) location.assign('/');
}
