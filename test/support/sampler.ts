/** Chance from a seed, so that a failure comes again: mulberry32. */
export function sampler(seed: number) {
  let state = seed >>> 0;
  const random = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    pick<T>(items: readonly [T, ...T[]]): T {
      return items[Math.floor(random() * items.length)] ?? items[0];
    },
    shuffled: <T>(items: readonly T[]): readonly T[] =>
      items
        .map((item) => ({ item, at: random() }))
        .sort((one, other) => one.at - other.at)
        .map(({ item }) => item),
  };
}
