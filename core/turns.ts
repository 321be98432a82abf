/** Runs `work` when fewer than `most` under the same key are running; those who wait go in the order in which they came. */
export type Turns = <T>(key: string, work: () => Promise<T>) => Promise<T>;

export function createTurns(most: number): Turns {
  const places = new Map<string, { running: number; readonly waiting: (() => void)[] }>();
  return async (key, work) => {
    const place = places.get(key) ?? { running: 0, waiting: [] };
    places.set(key, place);
    if (place.running >= most) await new Promise<void>((resolve) => place.waiting.push(resolve));
    else place.running++;
    try {
      return await work();
    } finally {
      const next = place.waiting.shift();
      if (next)
        next(); // the place is handed on
      else if (--place.running === 0) places.delete(key);
    }
  };
}
