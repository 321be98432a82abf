import { CountersignError } from '../errors.ts';
import { Secret } from '../secret.ts';

/** A stored value is a set of named fields: `consumer_key` and `consumer_secret`, or `value` alone. */
export type SecretFields = Readonly<Record<string, Secret>>;

/** The same, opened: views of one buffer that is filled with zeros when its callback has ended. */
export type OpenedFields = Readonly<Record<string, Buffer>>;

/**
 * Name, value, name, value …, each after its length in four bytes: no text format, because a parser would leave strings
 * that nobody can wipe. The buffer is its own (no slice of the shared pool), so that filling it ends it.
 */
export function encodeFields(fields: SecretFields): Buffer {
  const texts = Object.entries(fields).flatMap(([name, secret]) => [name, secret.reveal()]);
  const buffer = Buffer.alloc(texts.reduce((sum, text) => sum + 4 + Buffer.byteLength(text), 0));
  let at = 0;
  for (const text of texts) {
    at = buffer.writeUInt32BE(Buffer.byteLength(text), at);
    at += buffer.write(text, at, 'utf8');
  }
  return buffer;
}

/** @throws CountersignError `vault_format_unknown` for anything that encodeFields did not make. */
export function decodeFields(buffer: Buffer): OpenedFields {
  const parts: Buffer[] = [];
  for (let at = 0; at < buffer.length; ) {
    const start = at + 4;
    const end = start <= buffer.length ? start + buffer.readUInt32BE(at) : Number.POSITIVE_INFINITY;
    if (end > buffer.length) throw unknown();
    parts.push(buffer.subarray(start, end));
    at = end;
  }
  if (parts.length % 2 !== 0) throw unknown();
  const pairs = Array.from({ length: parts.length / 2 }, (_, index) => {
    const [name, value] = parts.slice(2 * index, 2 * index + 2);
    return [name?.toString('utf8') ?? '', value ?? Buffer.alloc(0)] as const;
  });
  return Object.fromEntries(pairs);
}

/** For those who need text: a page's field, a vendor's request. A string can't be wiped, only let go of. */
export function asSecrets(fields: OpenedFields): SecretFields {
  return Object.fromEntries(Object.entries(fields).map(([name, bytes]) => [name, new Secret(bytes.toString('utf8'))]));
}

function unknown(): CountersignError {
  return new CountersignError('vault_format_unknown', 'What lies in this sealed value is no set of fields.');
}
