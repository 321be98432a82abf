import { setTimeout as wait } from 'node:timers/promises';
import { type Case, EFFECT_STEP, type Fault, type Hit, LAST_STEP, MOMENT_MS, type Stage } from './fault.ts';
import { keysOf } from './oracle.ts';
import { until } from './program.ts';
import { type Asked, ask } from './world.ts';

const STEPS = Array.from({ length: LAST_STEP }, (_, index) => index + 1);

/** Every boundary between two transactions of a run. */
const POINTS = [
  'operation.started',
  ...STEPS.flatMap((step) => [`step.begun ${step}`, `step.finished ${step}`]),
  ...['intent.written', 'credential.stored', 'operation.completed'],
];
const RANDOM_KILLS = 50;

export const killWorkerAtBoundaries: Fault = {
  name: 'worker killed at a boundary',
  words: 'SIGKILL just before and just after each commit of a run, and between the key and its storing',
  cases: () => [...POINTS.flatMap((point) => [killBefore(point), killAfter(point)]), killAtTheKey],
};

export const killWorkerAtRandom: Fault = {
  name: 'worker killed at random',
  words: `SIGKILL at ${RANDOM_KILLS} instants of a run`,
  cases: ({ random }) => Array.from({ length: RANDOM_KILLS }, () => killWithin(random())),
};

function killBefore(point: string): Case {
  return {
    name: `before ${point}`,
    async run(stage) {
      const { world, lane } = stage;
      let held: ReturnType<typeof world.watch.hold> | undefined;
      const asked = await ask(world, lane, async ({ id }) => {
        held = world.watch.hold(id, point);
        await held;
      });
      const hold = await held;
      const who = await hold?.reached(MOMENT_MS);
      const hit = strike(stage, asked, who);
      await hold?.release();
      return [hit];
    },
  };
}

function killAfter(point: string): Case {
  return {
    name: `after ${point}`,
    async run(stage) {
      const { asked, who } = await askedUpTo(stage, point);
      return [strike(stage, asked, who)];
    },
  };
}

const killAtTheKey: Case = {
  name: 'between the key and its storing',
  async run(stage) {
    const { asked, who } = await askedUpTo(stage, 'intent.written');
    await until(MOMENT_MS, () => keysOf(asked).length > 0, 1);
    return [strike(stage, asked, who)];
  },
};

/** How long a run takes here, by the first one; in ms. */
let runMs: Promise<number> | undefined;

async function measuredRun(stage: Stage): Promise<number> {
  const { asked } = await askedUpTo(stage, 'operation.started');
  const startedAt = performance.now();
  await endOf(stage, asked, MOMENT_MS);
  return performance.now() - startedAt;
}

function endOf({ world }: Stage, { id }: Asked, timeoutMs: number) {
  return world.watch.next(({ operation, point }) => operation === id && point === 'operation.completed', timeoutMs);
}

/** @param share of a run's time. */
function killWithin(share: number): Case {
  return {
    name: `after ${(100 * share).toFixed(0)} % of a run`,
    async run(stage) {
      runMs ??= measuredRun(stage);
      const lengthMs = await runMs;
      const { asked } = await askedUpTo(stage, 'operation.started');
      await endOf(stage, asked, share * lengthMs); // it may be quicker this time: then it is hit just after
      return [strike(stage, asked, stage.world.watch.of(asked.id).findLast(({ who }) => who !== 'bot')?.who)];
    },
  };
}

/** Asks for an operation, and comes back at that moment of it. */
export async function askedUpTo(
  { world, lane }: Stage,
  point: string,
): Promise<{ readonly asked: Asked; readonly who: string | undefined }> {
  let moment: ReturnType<typeof world.watch.next> | undefined;
  const asked = await ask(world, lane, async ({ id }) => {
    moment = world.watch.next((one) => one.operation === id && one.point === point, MOMENT_MS);
  });
  return { asked, who: (await moment)?.who };
}

/** Kills whoever is at work on it; a supervisor starts it again. */
function strike({ world, meanwhile }: Stage, asked: Asked, who: string | undefined): Hit {
  const program = world.programNamed(who ?? '');
  if (!program) throw new Error(`${asked.id} never came to the moment at which it was to be hit`);
  meanwhile(program.killAndStart());
  return { asked, overAt: performance.now() };
}

const FREEZE_MS = 30_000;

export const freezeWorker: Fault = {
  name: 'worker frozen',
  words: 'SIGSTOP for 30 s, then SIGCONT: another worker has taken over by then',
  cases: ({ isSlice }) =>
    isSlice
      ? []
      : [`step.begun ${EFFECT_STEP - 5}`, `step.begun ${EFFECT_STEP - 1}`, 'intent.written', 'credential.stored'].map(
          freezeAt,
        ),
};

function freezeAt(point: string): Case {
  return {
    name: `at ${point}`,
    async run(stage) {
      const { world, lane } = stage;
      const { asked, who } = await askedUpTo(stage, point);
      const program = world.programNamed(who ?? '');
      if (!program) throw new Error(`${asked.id} never came to ${point}`);
      program.signal('SIGSTOP');
      await wait(FREEZE_MS);
      const before = lane.shop.requests.length;
      const isOver = (await world.look(asked)).completedAt !== null;
      program.signal('SIGCONT');
      const overAt = performance.now();
      if (!isOver) return [{ asked, overAt }];
      await wait(FREEZE_MS / 3); // as long as a zombie would need to go on
      // The other worker had ended it: whatever is sent now, the zombie sends.
      const sent = lane.shop.requests.slice(before).filter(({ method }) => method === 'POST');
      return [{ asked, overAt, doubled: sent.map(({ path }) => `${asked.id}: the zombie sent POST ${path}`) }];
    },
  };
}
