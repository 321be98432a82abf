-- What one person is told, once: a consent that lapses, a step that fails, a week's figures. A row names what it is about and
-- says nothing; the message is made of what is on record when it goes.

-- AlterTable
ALTER TABLE "customers" ADD COLUMN     "has_digest" BOOLEAN NOT NULL DEFAULT true,
ADD COLUMN     "time_zone" TEXT;

ALTER TABLE customers ADD CONSTRAINT customers_time_zone_check CHECK (length(time_zone) BETWEEN 1 AND 100);
ALTER TABLE customers ALTER COLUMN has_digest SET STATISTICS 0, ALTER COLUMN time_zone SET STATISTICS 0;

-- CreateTable
CREATE TABLE "notice_choices" (
    "customer_id" UUID NOT NULL,
    "member_id" UUID NOT NULL,
    "place" VARCHAR(20) NOT NULL,
    "quiet_from" INTEGER,
    "quiet_to" INTEGER,
    "time_zone" TEXT NOT NULL,

    CONSTRAINT "notice_choices_pkey" PRIMARY KEY ("customer_id","member_id")
);

-- CreateTable
CREATE TABLE "notices" (
    "customer_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "member_id" UUID NOT NULL,
    "kind" VARCHAR(20) NOT NULL,
    "about" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "due_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),
    "held_at" TIMESTAMPTZ(3),
    "batch" UUID,
    "thread_ref" TEXT,
    "ref" TEXT,
    "sent_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),

    CONSTRAINT "notices_pkey" PRIMARY KEY ("customer_id","id")
);

-- CreateIndex
CREATE UNIQUE INDEX "notices_customer_id_member_id_key_key" ON "notices"("customer_id", "member_id", "key");

-- CreateIndex
CREATE INDEX "notices_customer_id_sent_at_due_at_idx" ON "notices"("customer_id", "sent_at", "due_at");

-- AddForeignKey
ALTER TABLE "notice_choices" ADD CONSTRAINT "notice_choices_customer_id_member_id_fkey" FOREIGN KEY ("customer_id", "member_id") REFERENCES "members"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "notices" ADD CONSTRAINT "notices_customer_id_member_id_fkey" FOREIGN KEY ("customer_id", "member_id") REFERENCES "members"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE notice_choices
  ADD CONSTRAINT notice_choices_place_check CHECK (place IN ('thread', 'direct', 'webhook')),
  ADD CONSTRAINT notice_choices_quiet_check CHECK ((quiet_from IS NULL) = (quiet_to IS NULL)
    AND quiet_from BETWEEN 0 AND 1439 AND quiet_to BETWEEN 0 AND 1439 AND quiet_from <> quiet_to),
  ADD CONSTRAINT notice_choices_time_zone_check CHECK (length(time_zone) BETWEEN 1 AND 100);
ALTER TABLE notices
  ADD CONSTRAINT notices_kind_check CHECK (kind IN ('result', 'waiting', 'lapsing', 'unsupported', 'failing', 'over', 'digest')),
  ADD CONSTRAINT notices_about_check CHECK (length(about) BETWEEN 1 AND 100 AND length(key) BETWEEN 1 AND 200);

DO $$
DECLARE
  t text;
  c record;
BEGIN
  FOREACH t IN ARRAY ARRAY['notice_choices', 'notices'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY own_rows ON %I USING (customer_id = (SELECT sec.customer())) WITH CHECK (customer_id = (SELECT sec.customer()))', t);
    -- No samples for the planner: estimates would tell of other customers.
    FOR c IN SELECT a.attname AS name FROM pg_attribute a WHERE a.attrelid = t::regclass AND a.attnum > 0 LOOP
      EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET STATISTICS 0', t, c.name);
    END LOOP;
  END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE (place, quiet_from, quiet_to, time_zone) ON notice_choices TO countersign_program;
GRANT SELECT, INSERT, UPDATE (due_at, held_at, batch, thread_ref, ref, sent_at) ON notices TO countersign_program;

-- Customers with something to tell now.
CREATE POLICY directory ON notices FOR SELECT TO CURRENT_USER USING (true);
CREATE FUNCTION directory.customers_to_notify() RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
  SELECT DISTINCT n.customer_id FROM public.notices n JOIN public.customers c USING (customer_id)
  WHERE n.sent_at IS NULL AND n.due_at <= app.now() AND c.erased_at IS NULL
$$;
REVOKE ALL ON FUNCTION directory.customers_to_notify() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION directory.customers_to_notify() TO countersign_program;

COMMENT ON TABLE notices IS 'retention: created_at';
