/** Why a worker lets go of an operation in the middle: not a failure, and not the worker's to judge. */
export class Stopped extends Error {
  readonly why: StopReason;

  constructor(why: StopReason, message: string) {
    super(why === 'consent' || why === 'not_vouched' ? `Consent required: ${message}` : message);
    this.name = 'Stopped';
    this.why = why;
  }
}

/**
 * `moved`: somebody else has the operation or ended it. `paused`: it was asked to pause, and is. `consent`: the
 * countersignature no longer covers it. `not_vouched`: whoever gave that may not approve any more. `drained`: the process
 * stops. `overtime`: its machine time is over.
 */
export type StopReason = 'moved' | 'paused' | 'consent' | 'not_vouched' | 'drained' | 'overtime';
