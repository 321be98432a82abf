import { type Case, type Fault, MOMENT_MS } from './fault.ts';
import { ask, enterSignIn, press, request, type World } from './world.ts';

export const killBot: Fault = {
  name: 'bot killed at a click',
  words: 'SIGKILL between a click (or words, or a form) and its acknowledgement, before and after the commit',
  isAlone: true, // there is one bot: another case's kill would come while this one is judged
  cases: () => [
    killAtWords,
    killAtApproval('before'),
    killAtApproval('after'),
    killAtSignIn('before'),
    killAtSignIn('after'),
    killAtEnd,
  ],
};

const killAtWords: Case = {
  name: 'after operation.requested',
  async run({ world, lane }) {
    const killed = world.watch
      .next(({ point, who }) => point === 'operation.requested' && who === 'bot', MOMENT_MS)
      .then(() => world.bot.killAndStart());
    const asked = await request(world, lane);
    await killed;
    const overAt = performance.now();
    await press(world, asked, 'approve', 'approver');
    await enterSignIn(world, asked);
    return [{ asked, overAt }];
  },
};

function killAtApproval(when: 'before' | 'after'): Case {
  return {
    name: `${when} consent.granted`,
    async run({ world, lane }) {
      const asked = await request(world, lane);
      const killed = await killAt(world, asked.id, 'consent.granted', when);
      await press(world, asked, 'approve', 'approver');
      const overAt = await killed();
      await enterSignIn(world, asked);
      return [{ asked, overAt }];
    },
  };
}

function killAtSignIn(when: 'before' | 'after'): Case {
  return {
    name: `${when} credentials.entered`,
    async run({ world, lane }) {
      let overAt = Promise.resolve(0);
      const asked = await ask(world, lane, async ({ id }) => {
        const killed = await killAt(world, id, 'credentials.entered', when);
        overAt = killed();
      });
      return [{ asked, overAt: await overAt }];
    },
  };
}

const killAtEnd: Case = {
  name: 'while the result is shown',
  async run({ world, lane }) {
    let overAt = Promise.resolve(0);
    const asked = await ask(world, lane, async ({ id }) => {
      overAt = world.watch
        .next(({ operation, point }) => operation === id && point === 'operation.completed', MOMENT_MS)
        .then(() => world.bot.killAndStart())
        .then(() => performance.now());
    });
    return [{ asked, overAt: await overAt }];
  },
};

/** Arms; what it gives waits for the moment, and for the bot to be back. @returns when it was killed. */
async function killAt(
  { watch, bot }: World,
  operation: string,
  point: string,
  when: 'before' | 'after',
): Promise<() => Promise<number>> {
  if (when === 'before') {
    const hold = await watch.hold(operation, point);
    return async () => {
      const who = await hold.reached(MOMENT_MS);
      const back = bot.killAndStart();
      await hold.release();
      if (who !== 'bot') throw new Error(`${operation} never came to ${point}`);
      await back;
      return performance.now();
    };
  }
  const moment = watch.next((one) => one.operation === operation && one.point === point, MOMENT_MS);
  return async () => {
    if (!(await moment)) throw new Error(`${operation} never came to ${point}`);
    await bot.killAndStart();
    return performance.now();
  };
}
