import { createHash, randomBytes } from 'node:crypto';
import { createAudit } from '../../core/audit/audit.ts';
import { createCheckpoints } from '../../core/audit/checkpoints.ts';
import { createRetention } from '../../core/audit/retention.ts';
import { createCustomers } from '../../core/customers/customers.ts';
import { createInstallations } from '../../core/customers/installations.ts';
import type { Database } from '../../core/database.ts';
import { createInbox } from '../../core/inbox.ts';
import { createMover } from '../../core/operations/move.ts';
import { createErasures, type ErasureDeps, type Erasures } from '../../core/rights/erasure.ts';
import type { ExportFolder } from '../../core/rights/export.ts';
import { createKeyRotation } from '../../core/vault/rotation.ts';
import { createVault } from '../../core/vault/vault.ts';
import type { Keeper } from './audit.ts';
import type { Core } from './core.ts';
import { testRootKeys } from './root-keys.ts';
import { silentLog } from './silent-log.ts';

/** Erasures of a core, on its database or on one that stands before it; Slack forgets every token. */
export function erasuresOf(
  core: Core,
  keeper: Keeper,
  changes: Partial<ErasureDeps> = {},
  database: Database = core.database,
): Erasures {
  const { directory, sealer, operations } = core;
  const audit = createAudit({ database, sealer });
  const vault = createVault({ database, directory, sealer, audit });
  const customers = createCustomers({ database, directory });
  const mover = createMover({ audit, vault });
  const checkpoints = createCheckpoints({
    ...{ database, directory, audit, rootKeys: testRootKeys },
    ...{ store: keeper.store, log: silentLog },
  });
  return createErasures({
    ...{ database, audit, customers, mover, operations, checkpoints, rootKeys: testRootKeys },
    retention: createRetention({ database, directory, audit, checkpoints, log: silentLog }),
    keyRotation: createKeyRotation({ database, directory, rootKeys: testRootKeys, audit }),
    installations: createInstallations({ database, directory, sealer, customers, audit, mover, operations }),
    inbox: createInbox({ database, sealer }),
    revokeSlackToken: async () => {},
    ...changes,
  });
}

/** Words that stand nowhere else. */
export const newMark = () => `mark${randomBytes(8).toString('hex')}`;

/** An export's files in memory. */
export function folderInMemory(): ExportFolder & { readonly files: ReadonlyMap<string, Buffer> } {
  const files = new Map<string, Buffer>();
  return {
    files,
    async write(file, pieces) {
      const parts: Buffer[] = [];
      for await (const piece of pieces)
        parts.push(typeof piece === 'string' ? Buffer.from(piece) : Buffer.copyBytesFrom(piece));
      const bytes = Buffer.concat(parts);
      if (files.has(file)) throw new Error(`${file} was written twice`);
      files.set(file, bytes);
      return { sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length };
    },
  };
}

/** A database that dies at its n-th transaction: before it, or after its commit, when nobody hears of it any more. */
export function mortal(
  database: Database,
  dies: { readonly at: number; readonly isAfter: boolean },
): Database & { count(): number } {
  let calls = 0;
  const call = async <T>(work: () => Promise<T>): Promise<T> => {
    calls++;
    if (calls > dies.at || (calls === dies.at && !dies.isAfter)) throw new Error('killed');
    const value = await work();
    if (calls === dies.at) throw new Error('killed');
    return value;
  };
  return {
    ...database,
    count: () => calls,
    withCustomer: (customerId, work) => call(() => database.withCustomer(customerId, work)),
    shared: (sql) => call(() => database.shared(sql)),
  };
}
