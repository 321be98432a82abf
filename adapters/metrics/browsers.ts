import { readdir, readFile } from 'node:fs/promises';

/** What local browsers take at this moment. */
export interface Browsers {
  /** Whole browsers, one a session. */
  readonly running: number;
  readonly processes: number;
  /** Anonymous memory of all their processes: what is shared between them is in no count twice, being in none. */
  readonly memoryBytes: number;
}

interface Process {
  readonly parent: number;
  readonly isBrowser: boolean;
  /** Of a browser, its renderers and helpers say what they are. */
  readonly isMain: boolean;
  readonly memoryBytes: number;
}

/** Looks at this process's own children, by `/proc` (Linux); `undefined` where there is none. */
export async function browsersOf(pid: number, proc = '/proc'): Promise<Browsers | undefined> {
  const names = await readdir(proc).catch(() => undefined);
  if (!names) return undefined;
  const processes = new Map<number, Process>();
  for (const name of names.filter((each) => /^\d+$/.test(each))) {
    const found = await read(`${proc}/${name}`);
    if (found) processes.set(Number(name), found);
  }
  const isOurs = (of: Process): boolean => {
    const seen = new Set<number>();
    for (let at = of.parent; at > 0 && !seen.has(at); at = processes.get(at)?.parent ?? 0) {
      if (at === pid) return true;
      seen.add(at);
    }
    return false;
  };
  const browsers = [...processes.values()].filter((each) => each.isBrowser && isOurs(each));
  return {
    running: browsers.filter(({ isMain }) => isMain).length,
    processes: browsers.length,
    memoryBytes: browsers.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0),
  };
}

/** `undefined`: it has just ended, or is not ours to look at. */
async function read(folder: string): Promise<Process | undefined> {
  try {
    const [status, command] = await Promise.all([
      readFile(`${folder}/status`, 'utf8'),
      readFile(`${folder}/cmdline`, 'utf8'),
    ]);
    const words = command.split('\0');
    return {
      parent: Number(/^PPid:\s+(\d+)/m.exec(status)?.[1] ?? 0),
      isBrowser: /chrom(?:e|ium)|headless[-_]shell/i.test(words[0] ?? ''),
      isMain: !words.some((word) => /^--type=/.test(word)),
      memoryBytes: Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024,
    };
  } catch {
    return undefined;
  }
}
