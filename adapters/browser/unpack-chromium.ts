/** A program of its own, `node unpack-chromium.ts ENTRY`: has the installed build unpack itself, and prints where it lies. */
const entry = process.argv[2] ?? '';
const build = (await import(entry)) as { default: { executablePath(): Promise<string> } }; // the pinned version's own declarations
process.stdout.write(await build.default.executablePath());
