/**
 * The sentences that say by name who did something: before the name, and after it. They stay in rows and in sealed entries, where
 * a person's erasure looks for them, so one that is worded anew is added, and the old one stays.
 */
export const ATTRIBUTIONS = {
  stopped: ['Stopped by ', '.'],
  stopped_with_all: ['Stopped by ', ', with everything else.'],
  paused: ['It was paused by ', ', and did not go on in time'],
  approver_left: ['', ', who approved this, may not approve any more. Ask again, and somebody else can approve it.'],
} as const satisfies Readonly<Record<string, readonly [before: string, after: string]>>;

/** `Stopped by Mona.` Nothing in core says otherwise who did something, so that an erasure finds it. */
export function attributed(kind: keyof typeof ATTRIBUTIONS, name: string): string {
  const [before, after] = ATTRIBUTIONS[kind];
  return `${before}${name}${after}`;
}
