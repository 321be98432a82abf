/** Something that was started, and what ends it: once only, whoever comes first. */
export interface Opened<T> {
  readonly it: T;
  close(): Promise<void>;
}

/** What was started, in a list that an interrupted run can work off, too. */
export interface Endings {
  /** @throws what `start` throws, and an Error when the run is ending already: nothing new is started then. */
  open<T>(start: () => T | Promise<T>, end: (it: T) => Promise<unknown>): Promise<Opened<T>>;
  /** Ends all that is left, the last one first; what is just starting is waited for. @returns what went wrong, in words. */
  endAll(): Promise<readonly string[]>;
}

export function createEndings(): Endings {
  const left: (() => Promise<void>)[] = [];
  let ending: Promise<readonly string[]> | undefined;

  async function endLeft(): Promise<readonly string[]> {
    const problems: string[] = [];
    for (let close = left.pop(); close; close = left.pop())
      await close().catch((error: unknown) => problems.push(error instanceof Error ? error.message : String(error)));
    return problems;
  }

  return {
    async open(start, end) {
      if (ending) throw new Error('the run was interrupted');
      const starting = (async () => start())();
      let closing: Promise<void> | undefined;
      const close = () => {
        closing ??= starting.then(end, () => {}).then(() => {}); // what did not start needs no end
        return closing;
      };
      left.push(close);
      return { it: await starting, close };
    },
    endAll: () => {
      ending ??= endLeft();
      return ending;
    },
  };
}
