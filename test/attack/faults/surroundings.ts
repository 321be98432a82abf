// What stands around the programs fails: the database, the browser, the chat, the model, the store of pictures, the clock.
import { setTimeout as wait } from 'node:timers/promises';
import { shuffled } from '../../support/chance.ts';
import { shiftClock } from '../../support/database.ts';
import type { ChatFault } from './chat-server.ts';
import { type Case, EFFECT_STEP, type Fault, type Hit, MOMENT_MS } from './fault.ts';
import { askedUpTo } from './kill-worker.ts';
import type { BrokenModel } from './model-server.ts';
import { descendants, killProcess, until } from './program.ts';
import { ask, press } from './world.ts';

const AWAY_MS = 30_000;

export const databaseAway: Fault = {
  name: 'database stopped',
  words: 'PostgreSQL stopped for 30 s in the middle of a run, and started again',
  isAlone: true,
  cases: ({ isSlice }) =>
    isSlice
      ? []
      : ['step.begun 5', 'intent.written', 'credential.stored'].map((point) => ({
          name: `at ${point}`,
          async run(stage) {
            const { world } = stage;
            const { asked } = await askedUpTo(stage, point);
            await world.postgres.restart(() => wait(AWAY_MS));
            const overAt = performance.now();
            await world.watch.reconnect();
            return [{ asked, overAt }];
          },
        })),
};

const CHROMIUM = /chrom/i;

const OPENINGS = 5;
const OPENING_MS = 1_000; // Chromium is up, its context and first page are not there yet

export const browserKilled: Fault = {
  name: 'browser killed',
  words: 'SIGKILL of Chromium, or of its page alone, while it opens and at each step',
  on: 'pages',
  cases: ({ random }) => [
    ...Array.from({ length: OPENINGS }, () =>
      browserKilledAt('operation.started', 'browser', Math.round(random() * OPENING_MS)),
    ),
    ...Array.from({ length: EFFECT_STEP }, (_, index) => `step.begun ${index + 1}`).flatMap((point) => [
      browserKilledAt(point, 'browser'),
      browserKilledAt(point, 'page'),
    ]),
  ],
};

/** @param afterMs how long it has been there then. */
function browserKilledAt(point: string, what: 'browser' | 'page', afterMs = 0): Case {
  return {
    name: `its ${what} ${afterMs > 0 ? `${afterMs} ms after it came up, ` : ''}at ${point}`,
    async run(stage) {
      const { asked, who } = await askedUpTo(stage, point);
      const pid = stage.world.programNamed(who ?? '')?.pid ?? 0;
      const look = () => descendants(pid, what === 'page' ? /--type=renderer/ : CHROMIUM);
      await until(MOMENT_MS, () => look().length > 0, 5);
      await wait(afterMs);
      for (const one of look()) killProcess(one);
      return [{ asked, overAt: performance.now() }];
    },
  };
}

const CHAT_FAULTS: readonly ChatFault[] = ['down', 'limited', 'broken', 'broken_after', 'hanging'];
const OUTAGE_MS = 300_000;
const SHORT_OUTAGE_MS = 8_000;
const LANE_OPERATIONS = 2;

export const chatAway: Fault = {
  name: 'chat away',
  words: 'for 5 minutes the chat is down, answers 429, 500, 500 after doing it, and hangs',
  isAlone: true,
  cases: ({ isSlice, random }) => [
    {
      name: 'in an order by the seed',
      async run({ world, lane }) {
        const hits: Hit[] = [];
        const faults = shuffled(CHAT_FAULTS, random);
        const outageMs = isSlice ? SHORT_OUTAGE_MS : OUTAGE_MS;
        const all = await Promise.all(
          (isSlice ? [lane] : world.lanes.flatMap((one) => Array<typeof one>(LANE_OPERATIONS).fill(one))).map((one) =>
            ask(world, one),
          ),
        );
        for (const fault of faults) {
          world.chat.fault = fault;
          await wait(outageMs / faults.length);
        }
        world.chat.fault = 'none';
        for (const asked of all) hits.push({ asked, overAt: performance.now() });
        return hits;
      },
    },
  ],
};

const MODEL_FAULTS: readonly BrokenModel['fault'][] = ['down', 'overloaded', 'hanging'];
const SETTLED_MS = 300_000;

export const modelAway: Fault = {
  name: 'model away',
  words:
    'an element is gone, the ladder asks the model, and it is down, overloaded, or hangs; then a person puts it right',
  on: 'pages',
  isAlone: true,
  cases: ({ isSlice }) =>
    isSlice
      ? []
      : MODEL_FAULTS.map((fault) => ({
          name: fault,
          async run({ world, lane }) {
            const before = world.model.asked;
            world.model.fault = fault;
            lane.shop.showPermissions(false);
            const asked = await ask(world, lane);
            const state = await until(SETTLED_MS, async () => {
              const { state: now } = await world.look(asked);
              return now !== 'queued' && now !== 'in_progress' && now;
            });
            lane.shop.showPermissions(true);
            if (world.model.asked === before) throw new Error(`the model was never asked, and ${asked.id} is ${state}`);
            if (state === 'waiting_for_human') await press(world, asked, 'go_on', 'merchant');
            await until(MOMENT_MS, async () => (await world.look(asked)).state !== 'waiting_for_human');
            return [{ asked, overAt: performance.now() }];
          },
        })),
};

/** SQLSTATE and words as PostgreSQL says them itself. */
const FULL = ['53100', 'could not extend file: No space left on device'] as const;
const READ_ONLY = ['25006', 'cannot execute INSERT in a read-only transaction'] as const;

export const picturesRefused: Fault = {
  name: 'pictures not stored',
  words: 'the store of pictures is full, or read-only, from some step on',
  isAlone: true,
  cases: () =>
    [FULL, READ_ONLY].flatMap(([code, words]) =>
      [1, EFFECT_STEP].map((step) => ({
        name: `${code} from step ${step}`,
        async run(stage) {
          const { world } = stage;
          const { asked } = await askedUpTo(stage, `step.begun ${step}`);
          await world.admin.query(`
            CREATE OR REPLACE FUNCTION faults.refuse() RETURNS trigger LANGUAGE plpgsql AS
              $$ BEGIN RAISE EXCEPTION USING ERRCODE = '${code}', MESSAGE = '${words}'; END $$;
            CREATE TRIGGER faults_refuse BEFORE INSERT ON public.screenshots EXECUTE FUNCTION faults.refuse()`);
          await until(SETTLED_MS / 5, async () => (await world.look(asked)).completedAt !== null);
          await world.admin.query('DROP TRIGGER faults_refuse ON public.screenshots');
          return [{ asked, overAt: performance.now() }];
        },
      })),
    ),
};

const JUMPS: readonly (readonly [there: string, back: string])[] = [
  ['20 seconds', '-20 seconds'],
  ['70 seconds', '-70 seconds'],
  ['61 minutes', '-61 minutes'],
  ['-10 minutes', '10 minutes'],
];

export const clockJumps: Fault = {
  name: 'clock jumps',
  words:
    "the database's clock goes on by 20 s, 70 s, 61 min or back by 10 min in the middle of a run, and comes right again",
  isAlone: true,
  cases: ({ isSlice }) =>
    JUMPS.slice(0, isSlice ? 1 : JUMPS.length).flatMap(([there, back]) =>
      ['step.begun 5', 'intent.written'].map((point) => ({
        name: `${there} at ${point}`,
        async run(stage) {
          const { world } = stage;
          const { asked } = await askedUpTo(stage, point);
          await shiftClock(world.urls.owner, there);
          const hit = { asked, overAt: performance.now() };
          await until(SETTLED_MS, async () => (await world.look(asked)).completedAt !== null);
          await shiftClock(world.urls.owner, back);
          return [hit];
        },
      })),
    ),
};
