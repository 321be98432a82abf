import { pino } from 'pino';
import type { Log, LogFields } from '../core/ports/log.ts';
import { Secret } from '../core/secret.ts';

export interface LogConfig {
  /** Also what `debug` says. */
  readonly isVerbose: boolean;
  /** Takes every secret out of a text; a line that it fails on is dropped. */
  readonly redact: Redact;
  /** Default: stderr. */
  readonly sink?: LogSink;
}

export interface LogSink {
  write(line: string): unknown;
  /** A person is watching: one readable line instead of JSON. */
  readonly isTTY?: boolean;
}

/** Words that end the name of a field whose text is a secret, whatever it looks like. */
const SECRET_FIELD = /(?:password|passphrase|secret|token|authorization|cookie|api_?key|private_?key)$/i;
/** Names that the line itself uses. */
const RESERVED = new Set(['level', 'time', 'msg']);
const DEEPEST = 6;
const MOST_ITEMS = 50;
const LONGEST_TEXT = 10_000;

/**
 * JSON lines, every word of which went through the redactor: messages, field names, values at any depth, errors with
 * their causes. A line that the redactor fails on is dropped.
 */
export function createLog(config: LogConfig): Log {
  const sink = config.sink ?? process.stderr;
  const destination = sink.isTTY
    ? { write: (line: string) => sink.write(readable(line)) }
    : { write: (line: string) => sink.write(line) };
  const logger = pino(
    {
      level: config.isVerbose ? 'debug' : 'info',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    destination,
  );
  const write = (level: 'debug' | 'info' | 'warn' | 'error') => (fields: LogFields, message: string) => {
    if (!logger.isLevelEnabled(level)) return;
    const line = attempt(() => [cleanFields(fields, config.redact), config.redact(message)] as const);
    if (line) logger[level](...line);
    else logger.error({ code: 'log_line_dropped' }, 'A log line was dropped because it could not be redacted.');
  };
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    // What failed may hold the very secret, so not even the error is told.
    return undefined;
  }
}

type Redact = (text: string) => string;
type Clean = string | number | boolean | null | undefined | readonly Clean[] | { readonly [name: string]: Clean };

function cleanFields(fields: LogFields, redact: Redact): Record<string, Clean> {
  const seen = new WeakSet<object>();
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      RESERVED.has(name) ? `${name}_` : redact(name),
      clean(value, name, { redact, seen, depth: 0 }),
    ]),
  );
}

interface Place {
  readonly redact: Redact;
  /** The objects that hold this one, against circles. */
  readonly seen: WeakSet<object>;
  readonly depth: number;
}

function clean(value: unknown, name: string, place: Place): Clean {
  switch (typeof value) {
    case 'string':
      return SECRET_FIELD.test(name) ? '[secret]' : place.redact(value.slice(0, LONGEST_TEXT));
    case 'number':
    case 'bigint': {
      const text = String(value);
      if (place.redact(text) !== text) return '[secret]';
      return typeof value === 'number' ? value : text;
    }
    case 'boolean':
    case 'undefined':
      return value;
    case 'object':
      return value === null ? null : cleanObject(value, name, place);
    default:
      return `[${typeof value}]`;
  }
}

function cleanObject(value: object, name: string, place: Place): Clean {
  if (value instanceof Secret) return '[secret]';
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (place.depth >= DEEPEST) return '[deep]';
  if (place.seen.has(value)) return '[circular]';
  place.seen.add(value);
  const inside = { ...place, depth: place.depth + 1 };
  try {
    return cleanInside(value, name, inside);
  } finally {
    place.seen.delete(value);
  }
}

function cleanInside(value: object, name: string, place: Place): Clean {
  if (value instanceof Error) return cleanError(value, place);
  if (value instanceof Map || value instanceof Set) return clean([...value], name, place);
  if (Array.isArray(value)) return value.slice(0, MOST_ITEMS).map((item) => clean(item, name, place));
  if ('toJSON' in value && typeof value.toJSON === 'function') return clean(value.toJSON(), name, place);
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, MOST_ITEMS)
      .map(([key, inner]) => [place.redact(key), clean(inner, key, place)]),
  );
}

/** Own properties of errors are left out, but for the code: SDKs hang whole requests on theirs. */
function cleanError(error: Error, place: Place): Clean {
  const code = 'code' in error ? clean(error.code, 'code', place) : undefined;
  const cause = error.cause === undefined ? undefined : clean(error.cause, 'cause', place);
  return {
    name: error.name,
    code,
    message: place.redact(error.message),
    stack: place.redact(error.stack ?? ''),
    cause,
  };
}

/** `07:04:11 warn  what happened  operationId=op-… code=…` on one line. */
function readable(line: string): string {
  // pino wrote this line: an object with time, level and msg.
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown> & {
    time: string;
    level: string;
    msg: string;
  };
  const pairs = Object.entries(fields).map(([name, value]) => `${printable(name)}=${shown(value)}`);
  return `${[time.slice(11, 19), level.padEnd(5), printable(msg), ...pairs].join(' ')}\n`;
}

function shown(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'stack' in value && 'message' in value) {
    const code = 'code' in value ? ` ${String(value.code)}` : '';
    return printable(
      JSON.stringify(`${'name' in value ? String(value.name) : 'Error'}${code}: ${String(value.message)}`),
    );
  }
  return printable(typeof value === 'string' && /^[\w.:/@+-]+$/.test(value) ? value : JSON.stringify(value));
}

/** Control characters and line breaks could forge lines or move a terminal's cursor. */
function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
