-- Buckets that belong to no customer: what a chat platform takes from all processes together, and guesses at links from one
-- source. Named by a hash, so that no address of anybody lies here in clear. Owing (below zero) is a place in the line.
CREATE TABLE app.shared_limits (
    "name" BYTEA NOT NULL,
    "remaining" DOUBLE PRECISION NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "shared_limits_pkey" PRIMARY KEY ("name"),
    CONSTRAINT "shared_limits_name_check" CHECK (octet_length(name) = 32)
);
CREATE INDEX "shared_limits_at_idx" ON app.shared_limits ("at");
GRANT SELECT, INSERT, UPDATE (remaining, at), DELETE ON app.shared_limits TO countersign_program;

-- Whatever is handed out again, by a failure or because its worker died, waits for whoever is asked for the first time: see
-- `priorityOf` in core/queue/queues.ts. pg-boss itself keeps a job's priority.
CREATE FUNCTION app.lower_retry() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.priority := least(NEW.priority, 1);
  RETURN NEW;
END $$;
GRANT EXECUTE ON FUNCTION app.lower_retry() TO countersign_program;
CREATE TRIGGER lower_retry BEFORE INSERT OR UPDATE OF state ON pgboss.job FOR EACH ROW
  WHEN (NEW.name = 'operations' AND NEW.state = 'retry') EXECUTE FUNCTION app.lower_retry();
