import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { CountersignError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import { PROJECT } from './workflow-files.ts';
import type { ReplaySite } from './workflow-site.ts';

/** Started by its path: nothing that ships imports a practice service. */
const PROGRAM = join(PROJECT, 'test', 'practice', 'serve.ts');

const servedSchema = z.union([
  z.strictObject({
    base: z.string(),
    origins: z.array(z.string()).exactOptional(),
    secrets: z.record(z.string(), z.string()),
    /** One replay for each set of values. */
    runs: z.array(z.record(z.string(), z.string())).min(1),
  }),
  z.strictObject({ missing: z.string() }),
]);

export interface Practice {
  /** The same service, once for each set of values; none where it can't be brought up. */
  readonly sites: readonly ReplaySite[];
  /** Why it can't be brought up on this computer. */
  readonly missing?: string;
  close(): Promise<void>;
}

/** Starts the practice service of a name. @throws CountersignError `config_invalid` where there is none. */
export async function startPractice(service: string): Promise<Practice> {
  if (!existsSync(PROGRAM))
    throw new CountersignError(
      'config_invalid',
      'The practice services are not part of this installation: check workflows in a clone of the project.',
    );
  const child = spawn(process.execPath, [PROGRAM, service], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<void>((done) => child.once('close', () => done()));
  const close = async () => {
    child.stdin.end(); // it lives as long as its standard input
    await ended;
  };
  const first = await new Promise<string>((done) => {
    const lines = createInterface({ input: child.stdout });
    lines.once('line', done);
    lines.once('close', () => done(''));
  });
  if (first === '') {
    await close();
    throw new CountersignError(
      'config_invalid',
      `There is no practice service for ${service}: its workflows can't be checked.`,
    );
  }
  const served = servedSchema.parse(JSON.parse(first));
  if ('missing' in served) return { sites: [], missing: served.missing, close };
  const { secrets, runs, ...place } = served;
  const opened = Object.fromEntries(Object.entries(secrets).map(([slot, value]) => [slot, new Secret(value)]));
  return { sites: runs.map((inputs) => ({ ...place, inputs, secrets: opened, isPrivateAllowed: true })), close };
}
