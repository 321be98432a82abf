/** A place where a secret could have been left: its bytes, and what to call it. */
export interface Sink {
  readonly name: string;
  readonly bytes: Buffer;
}

/** What of a secret was found where. */
export interface Leak {
  readonly sink: string;
  readonly form: string;
}

interface Form {
  readonly name: string;
  readonly bytes: Buffer;
}

/** The ways in which a secret may be written down, and still be read by whoever finds it. */
function formsOf(secret: string | Buffer): readonly Form[] {
  const raw = Buffer.from(secret);
  const text = typeof secret === 'string' ? secret : raw.toString('base64');
  const forms: Record<string, string | Buffer> = {
    raw,
    text,
    reversed: [...text].reverse().join(''),
    'UTF-16': Buffer.from(text, 'utf16le'),
    hex: raw.toString('hex'),
    HEX: raw.toString('hex').toUpperCase(),
    'URL-encoded': encodeURIComponent(text),
    'form-encoded': new URLSearchParams({ '': text }).toString().slice(1),
    JSON: JSON.stringify(text).slice(1, -1),
    HTML: text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`),
    'HTML by name': text
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;'),
  };
  for (const offset of [0, 1, 2]) {
    const inside = base64Inside(raw, offset);
    forms[`base64 at ${offset}`] = inside;
    forms[`base64url at ${offset}`] = inside.replaceAll('+', '-').replaceAll('/', '_');
  }
  return Object.entries(forms).map(([name, form]) => ({ name, bytes: Buffer.from(form) }));
}

/** The letters of base64 that depend on the secret alone when `offset` other bytes come before it and others after it. */
function base64Inside(raw: Buffer, offset: number): string {
  const shifted = Buffer.concat([Buffer.alloc(offset), raw]);
  const first = Math.ceil((offset * 8) / 6);
  return shifted.toString('base64').slice(first, Math.floor((shifted.length * 8) / 6));
}

/** Looks for every form of every secret in every sink. */
export function sweep(sinks: readonly Sink[], secrets: Readonly<Record<string, string | Buffer>>): readonly Leak[] {
  const wanted = Object.entries(secrets).flatMap(([name, secret]) =>
    formsOf(secret).map(({ name: form, bytes }) => ({ form: `${name}, ${form}`, bytes })),
  );
  return sinks.flatMap((sink) =>
    wanted.filter(({ bytes }) => sink.bytes.includes(bytes)).map(({ form }) => ({ sink: sink.name, form })),
  );
}
