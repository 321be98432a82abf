import pg from 'pg';
import { until } from './program.ts';

/** A moment of an operation as its transaction commits it: `operation.started`, `step.begun 3`, `step.finished 3`. */
export interface Moment {
  readonly operation: string;
  readonly point: string;
  /** The program that wrote it: `worker-1`. */
  readonly who: string;
  /** When it was heard, by `performance.now()`: some milliseconds after the commit. */
  readonly at: number;
}

/** A transaction that was stopped at its moment, before its commit. */
export interface Hold {
  /** Resolves with the program that is stopped there; `undefined` when none came in time. */
  reached(timeoutMs: number): Promise<string | undefined>;
  release(): Promise<void>;
}

/** Sees what every program commits as it commits it, by triggers in the run's own database: the product is left alone. */
export interface Watch {
  /** The first moment from now on that fits; `undefined` when none came in time. */
  next(fits: (moment: Moment) => boolean, timeoutMs: number): Promise<Moment | undefined>;
  /** All that were heard of an operation, in order. */
  of(operation: string): readonly Moment[];
  /** Stops whoever comes to this moment of the operation before the commit, until it is released. */
  hold(operation: string, point: string): Promise<Hold>;
  /** Listens anew, after the database was away. */
  reconnect(): Promise<void>;
  close(): Promise<void>;
}

const CHANNEL = 'faults';

const TRIGGERS = `
  CREATE SCHEMA faults;
  CREATE TABLE faults.holds (operation text, point text, PRIMARY KEY (operation, point));
  CREATE FUNCTION faults.seen() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      -- Both have it: a step's row and an entry.
      what text := NEW.operation_id;
      happened text := CASE TG_TABLE_NAME
        WHEN 'operation_steps' THEN 'step.begun ' || (to_jsonb(NEW) ->> 'number')
        ELSE (to_jsonb(NEW) ->> 'kind') || coalesce(' ' || (to_jsonb(NEW) ->> 'step_number'), '') END;
    BEGIN
      IF EXISTS (SELECT FROM faults.holds WHERE operation = what AND point = happened) THEN
        PERFORM pg_advisory_xact_lock_shared(hashtext(what));
      END IF;
      PERFORM pg_notify('${CHANNEL}', jsonb_build_object('operation', what, 'point', happened,
        'who', current_setting('application_name'))::text);
      RETURN NULL;
    END $$;
  CREATE TRIGGER faults_entry AFTER INSERT ON public.autonomous_operations_audit
    FOR EACH ROW WHEN (NEW.operation_id IS NOT NULL) EXECUTE FUNCTION faults.seen();
  CREATE TRIGGER faults_step AFTER UPDATE ON public.operation_steps
    FOR EACH ROW WHEN (NEW.state = 'running') EXECUTE FUNCTION faults.seen();
`;

export async function openWatch(adminUrl: string): Promise<Watch> {
  const moments: Moment[] = [];
  const waiting = new Set<(moment: Moment) => void>();
  let client = await connect(adminUrl);
  await client.query(TRIGGERS);

  async function listen(): Promise<void> {
    client.on('notification', ({ payload }) => {
      // The trigger above writes all but the time.
      const moment: Moment = { ...(JSON.parse(payload ?? '') as Omit<Moment, 'at'>), at: performance.now() };
      moments.push(moment);
      for (const tell of waiting) tell(moment);
    });
    await client.query(`LISTEN ${CHANNEL}`);
  }
  await listen();

  return {
    next(fits, timeoutMs) {
      const { promise, resolve } = Promise.withResolvers<Moment | undefined>();
      const tell = (moment: Moment) => {
        if (fits(moment)) finish(moment);
      };
      const timer = setTimeout(() => finish(undefined), timeoutMs);
      const finish = (moment: Moment | undefined) => {
        clearTimeout(timer);
        waiting.delete(tell);
        resolve(moment);
      };
      waiting.add(tell);
      return promise;
    },
    of: (operation) => moments.filter((moment) => moment.operation === operation),
    async hold(operation, point) {
      const holder = await connect(adminUrl);
      await holder.query('SELECT pg_advisory_lock(hashtext($1))', [operation]);
      await holder.query('INSERT INTO faults.holds VALUES ($1, $2)', [operation, point]);
      return {
        reached: (timeoutMs) => until(timeoutMs, () => waiterOf(holder, operation), 10),
        async release() {
          await holder.query('DELETE FROM faults.holds WHERE operation = $1', [operation]);
          await holder.end();
        },
      };
    },
    async reconnect() {
      await client.end().catch(() => {});
      client = await connect(adminUrl);
      await listen();
    },
    close: () => client.end(),
  };
}

async function waiterOf(holder: pg.Client, operation: string): Promise<string | undefined> {
  const { rows } = await holder.query<{ who: string }>(
    `SELECT a.application_name AS who FROM pg_locks l JOIN pg_stat_activity a USING (pid)
     WHERE l.locktype = 'advisory' AND NOT l.granted AND l.objsubid = 1
       AND (l.classid::bigint << 32 | l.objid::bigint) = (hashtext($1)::bigint)`,
    [operation],
  );
  return rows[0]?.who;
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {}); // the database is stopped on purpose
  await client.connect();
  return client;
}
