import type { CustomerId } from '../ids.ts';

/** Where signed checkpoints of the chain are kept, out of the reach of whoever owns the database. */
export interface CheckpointStore {
  /** The customer's notes, oldest first; what a crash tore off at the end is left out. */
  read(customerId: CustomerId): Promise<readonly string[]>;
  /** Adds a note behind the others; it lies on the disk when this resolves. One process at a time for a customer. */
  append(customerId: CustomerId, note: string): Promise<void>;
  /** The public keys that signed here, as texts, oldest first. */
  keys(): Promise<readonly string[]>;
  /** Adds a public key unless it is there. */
  addKey(key: string): Promise<void>;
}
