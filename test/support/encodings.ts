/** The ways in which a secret may turn up and still be read by whoever finds it. */
export const ENCODINGS: Readonly<Record<string, (secret: string) => string>> = {
  'as it is': (secret) => secret,
  'in base64': (secret) => Buffer.from(secret).toString('base64'),
  'in base64 behind other bytes': (secret) => Buffer.from(`u:${secret};`).toString('base64'),
  'in base64url': (secret) => Buffer.from(`~${secret}`).toString('base64url'),
  'in hex': (secret) => Buffer.from(secret).toString('hex'),
  'in HEX': (secret) => Buffer.from(secret).toString('hex').toUpperCase(),
  'in UTF-16 as hex': (secret) => Buffer.from(secret, 'utf16le').toString('hex'),
  'URL-encoded': encodeURIComponent,
  'URL-encoded twice': (secret) => encodeURIComponent(encodeURIComponent(secret)),
  'form-encoded': (secret) => new URLSearchParams([['', secret]]).toString().slice(1),
  'in JSON': (secret) => JSON.stringify(secret).slice(1, -1),
  'in JSON inside JSON': (secret) => JSON.stringify(JSON.stringify(secret)).slice(3, -3),
  'in decimal entities': (secret) => [...secret].map((sign) => `&#${sign.codePointAt(0)};`).join(''),
  'in hexadecimal entities': (secret) => [...secret].map((sign) => `&#x${sign.codePointAt(0)?.toString(16)};`).join(''),
  'in HTML': (secret) => secret.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;'),
  'broken over lines': (secret) => secret.replaceAll(/(.{6})/g, '$1\n    '),
  'with characters of no width': (secret) => [...secret].join('\u200b'),
  'with soft hyphens': (secret) => secret.replaceAll(/(.{4})/g, '$1\u00ad'),
  backwards: (secret) => [...secret].reverse().join(''),
  'in capitals': (secret) => secret.toUpperCase(),
  'in small letters': (secret) => secret.toLowerCase(),
  'its first 8 characters': (secret) => secret.slice(0, 8),
};

/** What is compared: no white space, nothing invisible, one case. */
function foldedForSearch(text: string): string {
  return text.replaceAll(/\\[nrt]|[\s\u00ad\u200b-\u200f\u2060\ufeff]/g, '').toLowerCase();
}

/**
 * What is still to be found of a text in what came out: as much of it in a row as stands for eight of its secret's
 * `length` characters, which is enough to give a secret away.
 */
export function leftOver(written: string, came: string, length: number): string | undefined {
  const [needle, hay] = [foldedForSearch(written), foldedForSearch(came)];
  const size = Math.max(8, Math.floor((8 * needle.length) / length));
  for (let at = 0; at + size <= needle.length; at++) {
    const window = needle.slice(at, at + size);
    if (hay.includes(window)) return window;
  }
  return undefined;
}
