import type { Log } from '../../core/ports/log.ts';

/** Hears everything and says nothing. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
