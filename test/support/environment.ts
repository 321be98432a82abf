const INHERITED = ['PATH', 'HOME', 'CHROMIUM_PATH', 'NODE_COMPILE_CACHE'];

/** What a program that a test starts has of the run's own environment: with it the browser that the run was told to use, and what Node has compiled. */
export function inheritedEnvironment(): Record<string, string> {
  return Object.fromEntries(
    INHERITED.flatMap((name) => {
      const value = process.env[name];
      return value ? [[name, value]] : [];
    }),
  );
}
