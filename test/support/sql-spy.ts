import pg from 'pg';

/** What went over the wire to PostgreSQL from this process while `work` ran: statements as text, and values beside them. */
export interface Sent<T> {
  readonly result: T;
  readonly statements: readonly string[];
  readonly values: readonly string[];
  /** The name of each statement of the program's own that was run, in order: those of its queue and its notices have none. */
  readonly runs: readonly string[];
}

/** The driver's own connection, as far as it is listened to. */
interface Wire {
  query(text: string): void;
  parse(query: { text: string }, more?: boolean): void;
  bind(config: { values?: readonly unknown[]; statement?: string }, more?: boolean): void;
}

/** Listens to the driver, and changes nothing of what it does. */
export async function spyOnSql<T>(work: () => Promise<T>): Promise<Sent<T>> {
  // Every client of this process sends by these three, whoever made it; the types leave them out.
  const wire = pg.Connection.prototype as unknown as Wire;
  const { query, parse, bind } = wire;
  const statements: string[] = [];
  const values: string[] = [];
  const runs: string[] = [];
  wire.query = function (text) {
    statements.push(text);
    return query.call(this, text);
  };
  wire.parse = function (config, more) {
    statements.push(config.text);
    return parse.call(this, config, more);
  };
  wire.bind = function (config, more) {
    values.push(...(config.values ?? []).map(words));
    if (config.statement) runs.push(config.statement);
    return bind.call(this, config, more);
  };
  try {
    return { result: await work(), statements, values, runs };
  } finally {
    Object.assign(wire, { query, parse, bind });
  }
}

function words(value: unknown): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1');
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}
