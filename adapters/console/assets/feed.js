const EVERY_MS = 2_000;
const MOST_MS = 30_000;

/**
 * Says when to look again: every two seconds while the page is seen, less often while the server does not answer. Whatever
 * pushes events can take its place: `wait` resolves when something may have changed.
 */
export function createFeed() {
  let delay = EVERY_MS;
  return {
    async wait() {
      await new Promise((resolve) => setTimeout(resolve, delay));
      if (document.hidden)
        await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
    },
    answered(isGood) {
      delay = isGood ? EVERY_MS : Math.min(MOST_MS, delay * 2);
    },
  };
}
