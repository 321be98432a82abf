import { setTimeout as wait } from 'node:timers/promises';
import type { Fault, Hit, Stage } from './fault.ts';
import { ask } from './world.ts';

const OPERATIONS = 200;
const OPERATIONS_A_CASE = 10; // where no more than so many cases are wanted
const SLICE_OPERATIONS = 6;
const AT_ONCE = 10;
const LONGEST_PAUSE_MS = 2_000;
const LONGEST_CUT_MS = 3_000;

/** The database is there all the time; the programs' ways to it are not. */
export const connectionsCut: Fault = {
  name: 'connections cut',
  words: `the programs' connections to PostgreSQL reset, or silent for up to 3 s, at random through ${OPERATIONS} operations`,
  on: 'simulated',
  isAlone: true,
  cases: ({ isSlice, most }) => [
    {
      name: 'at random',
      async run(stage) {
        const asking = askMany(stage, isSlice ? SLICE_OPERATIONS : Math.min(OPERATIONS, most * OPERATIONS_A_CASE));
        let isOver = false;
        const over = () => {
          isOver = true;
        };
        asking.then(over, over);
        while (!isOver) await cutOne(stage);
        const hits = await asking;
        for (const relay of stage.world.relays.values()) relay.mend();
        const overAt = performance.now();
        return hits.map(({ asked }) => ({ asked, overAt }));
      },
    },
  ],
};

async function askMany({ world, meanwhile }: Stage, count: number): Promise<readonly Hit[]> {
  const hits: Hit[] = [];
  const broken: unknown[] = [];
  let left = count;
  const work = async (lane: (typeof world.lanes)[number]) => {
    while (left-- > 0)
      await ask(world, lane).then(
        (asked) => hits.push({ asked, overAt: performance.now() }),
        (error: unknown) => broken.push(error),
      );
  };
  await Promise.all(
    Array.from({ length: AT_ONCE }, (_, index) =>
      work(world.lanes[index % world.lanes.length] as (typeof world.lanes)[number]),
    ),
  );
  // One that came to nothing keeps no other from being looked at.
  meanwhile(broken.length === 0 ? Promise.resolve() : Promise.reject(new AggregateError(broken, broken.join('; '))));
  return hits;
}

/**
 * Half of the time they are told at once, half of the time they hang first, as with a cable that is pulled; and by a goodbye,
 * as of a server that ends them, as often as by a bare reset.
 */
async function cutOne({ world, random }: Stage): Promise<void> {
  const relays = [...world.relays.values()];
  const relay = relays[Math.floor(random() * relays.length)];
  if (random() < 0.5) {
    relay?.cut();
    await wait(random() * LONGEST_CUT_MS);
  }
  relay?.mend(random() < 0.5 ? 'reset' : 'end');
  await wait(random() * LONGEST_PAUSE_MS);
}
