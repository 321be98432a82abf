/** A creation on its way: the request is at the back end and counts for nothing yet, or it has made something and its answer is still to come. */
export type Moment = 'before' | 'after';

/** One creation that stands still at that moment until it is let go; everything else goes on. */
export interface Hold {
  /** It stands there. */
  readonly reached: Promise<void>;
  letGo(): void;
}

/** What a practice back end passes at both moments of every creation. */
export interface Creations {
  hold(moment: Moment): Hold;
  pass(moment: Moment): Promise<void>;
}

export function createCreations(): Creations {
  let next: { readonly moment: Moment; reach(): void; readonly gone: Promise<void> } | undefined;
  return {
    hold(moment) {
      const reached = Promise.withResolvers<void>();
      const gone = Promise.withResolvers<void>();
      next = { moment, reach: reached.resolve, gone: gone.promise };
      return { reached: reached.promise, letGo: gone.resolve };
    },
    async pass(moment) {
      if (next?.moment !== moment) return;
      const { reach, gone } = next;
      next = undefined;
      reach();
      await gone;
    },
  };
}
