import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CountersignError } from '../../core/errors.ts';

const KEY_BYTES = 32;

/**
 * The root key in this file, in base64; made on the first call. For demo and development: in production the key
 * comes from the environment, where a copy of the disk does not hold it.
 * @throws CountersignError `config_invalid` when the file holds anything else.
 */
export async function loadOrMakeRootKey(file: string): Promise<string> {
  return (await read(file)) ?? (await make(file));
}

async function read(file: string): Promise<string | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const key = text.replace(/\r?\n$/, '');
  const bytes = Buffer.from(key, 'base64');
  if (bytes.length !== KEY_BYTES || bytes.toString('base64') !== key) {
    throw new CountersignError(
      'config_invalid',
      `The root key file ${file} does not hold 32 bytes in base64: restore it from a backup, or move it away if nothing was sealed with it.`,
    );
  }
  return key;
}

/** Written beside and then linked: whoever reads sees no file or a whole one, and of two makers one wins. */
async function make(file: string): Promise<string> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}.${randomBytes(6).toString('hex')}`;
  try {
    const handle = await open(draft, 'wx', 0o600);
    try {
      await handle.writeFile(`${randomBytes(KEY_BYTES).toString('base64')}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await link(draft, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(draft, { force: true });
  }
  const key = await read(file);
  if (key === undefined)
    throw new CountersignError('config_invalid', `The root key file ${file} vanished while it was made.`);
  return key;
}
