/**
 * Checks an exported trail in this browser, by WebCrypto alone: every hash is computed anew from the entry before it, every
 * word against its salted hash, and the chain against checkpoints signed with Ed25519 (C2SP signed-note).
 */
const encoder = new TextEncoder();
const DOMAIN = encoder.encode('audit-v1\0');

/** @returns `{ isIntact, words, seq, signed }`; `signed`: the newest checkpoint that it agrees with. */
export async function checkTrail(text) {
  const [first, ...lines] = text.split('\n').filter((line) => line !== '');
  const head = JSON.parse(first ?? '');
  let last = { seq: BigInt(head.after.seq), hash: bytesOf(head.after.hash) };
  const points = new Map([[String(last.seq), head.after.hash]]);
  for (const line of lines) {
    const entry = JSON.parse(line);
    const seq = BigInt(entry.seq);
    if (seq !== last.seq + 1n) return broken(seq, `Entry #${last.seq + 1n} is missing, or stands in another place.`);
    const hash = await entryHash(last.hash, seq, new Date(entry.at), entry.header);
    if (hexOf(hash) !== entry.hash || hexOf(last.hash) !== entry.prev)
      return broken(seq, `Entry #${seq} is not what was put on record.`);
    const header = JSON.parse(entry.header);
    if (entry.payload === 'damaged')
      return broken(seq, `The words of entry #${seq} are damaged: nobody can open them.`);
    if (entry.payload !== null && typeof entry.payload === 'object') {
      const words = await wordsHash(entry.salt, entry.payload);
      if (words !== header.payloadHash) return broken(seq, `The words of entry #${seq} are not those on record.`);
    }
    last = { seq, hash };
    points.set(entry.seq, entry.hash);
  }
  if (String(last.seq) !== head.upTo)
    return broken(last.seq, `The trail ends at entry #${last.seq}, before it should.`);
  return { isIntact: true, seq: last.seq, entries: lines.length, ...(await signatures(head, points)) };
}

function broken(seq, words) {
  return { isIntact: false, seq, words };
}

async function entryHash(prev, seq, at, header) {
  const text = encoder.encode(header);
  const bytes = new Uint8Array(DOMAIN.length + 32 + 16 + text.length);
  bytes.set(DOMAIN, 0);
  bytes.set(prev, DOMAIN.length);
  const numbers = new DataView(bytes.buffer, DOMAIN.length + 32, 16);
  numbers.setBigInt64(0, seq);
  numbers.setBigInt64(8, BigInt(at.getTime()));
  bytes.set(text, DOMAIN.length + 48);
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
}

/** SHA-256 of the salt and the payload's RFC 8785 text. */
async function wordsHash(salt, payload) {
  const text = encoder.encode(canonical(payload));
  const bytes = new Uint8Array(32 + text.length);
  bytes.set(bytesOf(salt), 0);
  bytes.set(text, 32);
  return hexOf(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
}

function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const fields = Object.keys(value)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
  return `{${fields.join(',')}}`;
}

/** Which checkpoint holds. One that says something else of an entry that is here is a fault, whatever signed it. */
async function signatures(head, points) {
  const keys = await keysOf(head.keys).catch(() => undefined);
  if (!keys) return { words: 'This browser can’t check signatures of Ed25519, so the chain alone was checked.' };
  let signed;
  for (const note of head.checkpoints) {
    const checkpoint = read(note, head.customerId);
    const here = checkpoint && points.get(checkpoint.seq);
    if (here === undefined) continue;
    const key = keys.get(checkpoint.keyId);
    if (!key || !(await crypto.subtle.verify('Ed25519', key, checkpoint.signature, encoder.encode(checkpoint.text))))
      return { isIntact: false, words: `The checkpoint at #${checkpoint.seq} bears no good signature.` };
    if (here !== checkpoint.hash)
      return { isIntact: false, words: `Entry #${checkpoint.seq} is another one than was signed.` };
    signed = checkpoint;
  }
  return signed ? { signed: { seq: signed.seq, at: new Date(signed.time), keyId: signed.keyId } } : {};
}

const NOTE =
  /^(countersign\/audit\/([0-9a-f-]{36})\n(\d{1,19})\n([A-Za-z0-9+/]{43}=)\ntime (\S+)\nprevious \S+\n)\n— (\S+) ([A-Za-z0-9+/]+=*)\n$/;

function read(note, customerId) {
  const [, text, whose, seq, hash, time, , signed] = NOTE.exec(note) ?? [];
  if (!text || whose !== customerId) return undefined;
  const bytes = fromBase64(signed);
  return { text, seq, hash: hexOf(fromBase64(hash)), time, keyId: hexOf(bytes.slice(0, 4)), signature: bytes.slice(4) };
}

/** `<name>+<id>+<base64 of 0x01 || key>`; the id is made of the others, so that none passes for another. */
async function keysOf(texts) {
  const keys = new Map();
  for (const text of texts) {
    const [name = '', , encoded = ''] = /^([^\s+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text)?.slice(1) ?? [];
    const bytes = fromBase64(encoded);
    const named = new Uint8Array([...encoder.encode(`${name}\n`), ...bytes]);
    const id = hexOf(new Uint8Array(await crypto.subtle.digest('SHA-256', named)).slice(0, 4));
    keys.set(id, await crypto.subtle.importKey('raw', bytes.slice(1), 'Ed25519', false, ['verify']));
  }
  return keys;
}

function bytesOf(hex) {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function hexOf(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
