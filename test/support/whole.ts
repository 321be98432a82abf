/**
 * What takes minutes of machine time, and of which `npm test` has another one of its sort, is gone through by
 * `npm run test:whole` alone.
 */
export const IS_WHOLE = process.env.COUNTERSIGN_TESTS === 'whole';
