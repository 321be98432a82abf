// `npm run check`: types, lint, unused exports and licences at once, one line each. The boundaries between rooms are a test:
// `npm test` has them.
import { spawn } from 'node:child_process';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');

const BIN = (name: string) => join(ROOT, 'node_modules', '.bin', name);

const CHECKS = [
  { name: 'types', command: BIN('tsc'), args: ['--noEmit', '--pretty', 'false'] },
  { name: 'lint and format', command: BIN('biome'), args: ['ci', '--colors=off', '.'] },
  { name: 'unused exports', command: process.execPath, args: [join(import.meta.dirname, 'unused-exports.ts')] },
  { name: 'licences', command: process.execPath, args: [join(import.meta.dirname, 'licences.ts')] },
] as const;

interface Outcome {
  readonly name: string;
  readonly isPassed: boolean;
  readonly seconds: number;
  readonly output: string;
}

async function run({ name, command, args }: (typeof CHECKS)[number]): Promise<Outcome> {
  const started = performance.now();
  const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  const parts: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => parts.push(part));
  child.stderr.on('data', (part: Buffer) => parts.push(part));
  const problem = await new Promise<string | undefined>((done) => {
    child.on('error', (error) => done(`${command} could not be started: ${error.message}`));
    child.on('close', (code, signal) => done(code === 0 ? undefined : `${command} ended with ${signal ?? code}`));
  });
  const output = [Buffer.concat(parts).toString('utf8').trimEnd(), problem].filter(Boolean).join('\n');
  return { name, isPassed: problem === undefined, seconds: (performance.now() - started) / 1000, output };
}

const outcomes = await Promise.all(CHECKS.map(run));
for (const { name, isPassed, seconds, output } of outcomes) {
  if (!isPassed) console.log(`${output}\n`);
  console.log(`${name.padEnd(16)} ${isPassed ? 'passed' : 'FAILED'}  ${seconds.toFixed(1)} s`);
}
process.exitCode = outcomes.every(({ isPassed }) => isPassed) ? 0 : 1;
