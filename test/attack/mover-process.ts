/**
 * A program that does nothing but effects with their entries, many lanes at once, until it is killed: moves of an operation,
 * and intents. A lane that is cut off from the database begins anew. Reads `{ url, lanes: [{ customerId, operationId }] }`
 * from its first argument; says `ready` once every lane has committed something, and ends with whoever started it.
 */
import { createAudit } from '../../core/audit/audit.ts';
import { createCustomers } from '../../core/customers/customers.ts';
import { createDatabase } from '../../core/database.ts';
import { createDirectory } from '../../core/directory.ts';
import { customerId as asCustomerId, newUuid, parseOperationId } from '../../core/ids.ts';
import { writeIntent } from '../../core/operations/effect.ts';
import { createMover } from '../../core/operations/move.ts';
import { createOperations } from '../../core/operations/operations.ts';
import { createQueue } from '../../core/queue/queue.ts';
import { getService } from '../../core/services/index.ts';
import { createSealer } from '../../core/vault/sealer.ts';
import { createVault } from '../../core/vault/vault.ts';
import { createWorkflowRegistry } from '../../core/workflow/registry.ts';
import { testRootKeys } from '../support/root-keys.ts';
import { silentLog } from '../support/silent-log.ts';

// Written by the test beside it.
const { url, lanes } = JSON.parse(process.argv[2] ?? '') as {
  url: string;
  lanes: { customerId: string; operationId: string }[];
};
const database = createDatabase({ url, rootKeys: testRootKeys, poolSize: lanes.length });
const directory = createDirectory(database);
const sealer = createSealer(testRootKeys);
const audit = createAudit({ database, sealer });
const mover = createMover({ audit, vault: createVault({ database, directory, sealer, audit }) });
const customers = createCustomers({ database, directory });
const queue = createQueue({ url, log: silentLog }); // never started
const workflows = createWorkflowRegistry();
const operations = createOperations({ database, audit, customers, queue, workflows, getService });

process.stdin.resume().once('end', () => process.exit());
const begun = new Set<string>();
await Promise.all(
  lanes.map(async (lane) => {
    const customerId = asCustomerId(lane.customerId);
    const operationId = parseOperationId(lane.operationId);
    if (!operationId) throw new Error('no operation');
    const move = () =>
      database.withCustomer(customerId, async (tx) => {
        const entry = { kind: 'operation.taken_over', payload: { why: 'once more' } } as const;
        await mover.move(tx, customerId, { operationId, from: ['in_progress'], to: 'in_progress', entry });
      });
    const intend = () =>
      database.withCustomer(customerId, async (tx) => {
        const operation = await operations.get(tx, customerId, operationId);
        if (operation) await writeIntent(tx, audit, operation, 1, `label ${newUuid()}`, operation.fence);
      });
    for (;;) {
      try {
        await move();
        await intend();
        if (begun.add(operationId).size === lanes.length) process.stdout.write('ready\n');
      } catch {
        // cut off: that is what this is for
      }
    }
  }),
);
