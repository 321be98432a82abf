import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { splitNotes } from '../../core/audit/note.ts';
import type { CheckpointStore } from '../../core/ports/checkpoints.ts';

const KEYS_FILE = 'keys.txt';

/**
 * A folder with one file a customer, `<customer id>.checkpoints`, to which notes are only added, and `keys.txt` with the
 * public keys. It is meant to be copied: to another machine, or to a store whose objects can't be changed.
 */
export function createFileCheckpoints(config: { readonly dir: string }): CheckpointStore {
  const { dir } = config;
  const keysFile = join(dir, KEYS_FILE);
  const keys = async () => (await readText(keysFile)).split('\n').filter((line) => line.trim() !== '');
  return {
    read: async (customerId) => splitNotes(await readText(fileOf(dir, customerId))),
    append: (customerId, note) => addLines(dir, fileOf(dir, customerId), note),
    keys,
    async addKey(key) {
      if (!(await keys()).includes(key)) await addLines(dir, keysFile, `${key}\n`);
    },
  };
}

function fileOf(dir: string, customerId: string): string {
  return join(dir, `${customerId}.checkpoints`); // ids are UUIDs: they lead nowhere else
}

async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
}

/** One write, then fsync of the file, and of the folder for a new name. A piece that a crash tore is cut off before. */
async function addLines(dir: string, file: string, text: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const handle = await open(file, 'a+', 0o600);
  try {
    const before = await handle.readFile('utf8');
    const whole = file.endsWith(KEYS_FILE) ? linesOf(before) : splitNotes(before).join('');
    const isTorn = before.startsWith(whole) && before !== whole;
    if (isTorn) await handle.truncate(Buffer.byteLength(whole));
    await handle.write(isTorn || before === '' || before.endsWith('\n') ? text : `\n${text}`);
    await handle.sync();
    if (before === '') await syncFolder(dir);
  } finally {
    await handle.close();
  }
}

function linesOf(text: string): string {
  return text.slice(0, text.lastIndexOf('\n') + 1);
}

async function syncFolder(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
