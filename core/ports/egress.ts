import type { Origin } from './http.ts';

/** The forward proxy that every page and every outbound call leaves through. */
export interface Egress {
  /** Opens a loopback proxy port that lets exactly these origins pass, until it is closed. */
  open(origins: readonly Origin[]): Promise<EgressDoor>;
  /** Resolves a target once and says whether it may be reached; nothing is connected. */
  check(origin: Origin): Promise<EgressVerdict>;
}

export interface EgressDoor {
  /** `http://127.0.0.1:PORT`, or where browsers on other machines reach it. */
  readonly proxyUrl: string;
  /** Of a door that is not a loopback port of its own: nothing passes without them. */
  readonly credentials?: { readonly username: string; readonly password: string };
  /** What was refused since it was opened, oldest first, at most the last 200. */
  refusals(): readonly EgressRefusal[];
  /** Destroys live tunnels, too. */
  close(): Promise<void>;
}

export interface EgressRefusal {
  readonly at: Date;
  /** Host and port only: never a path, which may hold what a page tried to carry out. */
  readonly authority: string;
  readonly reason: EgressReason;
}

export type EgressReason = 'not_listed' | 'private_address' | 'unresolvable' | 'malformed';
export type EgressVerdict = { readonly isAllowed: true } | { readonly isAllowed: false; readonly reason: EgressReason };
