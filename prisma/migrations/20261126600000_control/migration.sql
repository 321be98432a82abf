-- What holds work back. A person holds one operation, the operator a customer or everybody; and which operation another one
-- is tried again as.

ALTER TABLE "autonomous_operations" ADD COLUMN "hold" VARCHAR(20),
ADD COLUMN "held_by" UUID,
ADD COLUMN "retry_of" TEXT;
ALTER TABLE "customers" ADD COLUMN "paused_at" TIMESTAMPTZ(3),
ADD COLUMN "pause_reason" TEXT;

-- One operation is tried again once, however many click; the new one can be tried again itself.
CREATE UNIQUE INDEX "autonomous_operations_customer_id_retry_of_key" ON "autonomous_operations"("customer_id", "retry_of");

-- AddForeignKey
ALTER TABLE "autonomous_operations" ADD CONSTRAINT "autonomous_operations_customer_id_held_by_fkey" FOREIGN KEY ("customer_id", "held_by") REFERENCES "members"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "autonomous_operations" ADD CONSTRAINT "autonomous_operations_customer_id_retry_of_fkey" FOREIGN KEY ("customer_id", "retry_of") REFERENCES "autonomous_operations"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE autonomous_operations
  ADD CONSTRAINT autonomous_operations_hold_check CHECK (hold IN ('person', 'operator') AND (hold = 'person') = (held_by IS NOT NULL)
    OR hold IS NULL AND held_by IS NULL),
  ADD CONSTRAINT autonomous_operations_retry_check CHECK (retry_of <> id);
ALTER TABLE customers
  ADD CONSTRAINT customers_pause_check CHECK ((paused_at IS NULL) = (pause_reason IS NULL));
GRANT UPDATE (hold, held_by) ON autonomous_operations TO countersign_program;
ALTER TABLE autonomous_operations
  ALTER COLUMN hold SET STATISTICS 0, ALTER COLUMN held_by SET STATISTICS 0, ALTER COLUMN retry_of SET STATISTICS 0;
ALTER TABLE customers ALTER COLUMN paused_at SET STATISTICS 0, ALTER COLUMN pause_reason SET STATISTICS 0;

-- To hold a customer's work back only stops things; to let it go on is the program's own word.
CREATE FUNCTION app.keep_pause() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF row_security_active(TG_RELID) THEN PERFORM sec.take_word(format('pause|%s|end', NEW.customer_id)); END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_pause BEFORE UPDATE ON customers FOR EACH ROW
  WHEN (OLD.paused_at IS NOT NULL AND NEW.paused_at IS NULL) EXECUTE FUNCTION app.keep_pause();

-- Everybody's pause: one row, of nobody, that also holds customers who come later. Both ways it is the program's own word,
-- since it reaches every customer.
CREATE TABLE sec.standstill (
  id int PRIMARY KEY CHECK (id = 1),
  since timestamptz(3),
  reason text,
  CHECK ((since IS NULL) = (reason IS NULL))
);
INSERT INTO sec.standstill (id) VALUES (1);

CREATE FUNCTION app.standstill(OUT since timestamptz, OUT reason text) LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
  SELECT s.since, s.reason FROM sec.standstill s
$$;

-- Whoever begins something holds this until the commit: a pause waits for it, and then finds what was begun.
CREATE FUNCTION app.hold_standstill() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM FROM sec.standstill FOR SHARE;
END $$;

-- Begins it, or ends it without a reason. @returns whether that changed anything.
CREATE FUNCTION app.set_standstill(why text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM sec.take_word(format('pause|00000000-0000-0000-0000-000000000000|%s', coalesce('begin|' || why, 'end')));
  UPDATE sec.standstill s SET since = CASE WHEN why IS NOT NULL THEN coalesce(s.since, app.now()) END, reason = why
    WHERE s.reason IS DISTINCT FROM why;
  RETURN FOUND;
END $$;

-- Nothing begins while it is held back: also for whoever writes SQL by hand, and for a program of an earlier version.
CREATE FUNCTION app.refuse_while_paused() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM public.customers c, app.standstill() s
    WHERE c.customer_id = NEW.customer_id AND (c.paused_at IS NOT NULL OR s.since IS NOT NULL)) THEN
    RAISE EXCEPTION 'the operator holds all work back' USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER refuse_while_paused BEFORE INSERT OR UPDATE OF status ON autonomous_operations FOR EACH ROW
  WHEN (NEW.status = 'in_progress') EXECUTE FUNCTION app.refuse_while_paused();
REVOKE ALL ON FUNCTION app.refuse_while_paused(), app.keep_pause(), app.standstill(), app.hold_standstill(), app.set_standstill(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.refuse_while_paused(), app.keep_pause(), app.standstill(), app.hold_standstill(), app.set_standstill(text) TO countersign_program;
