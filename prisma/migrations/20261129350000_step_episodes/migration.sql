-- A time in which a step of a workflow fails more often than it used to: from when that was seen until it was over.

-- CreateTable
CREATE TABLE "step_episodes" (
    "customer_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "workflow_id" VARCHAR(100) NOT NULL,
    "workflow_version" INTEGER NOT NULL,
    "step" INTEGER NOT NULL,
    "before_done" INTEGER NOT NULL,
    "before_all" INTEGER NOT NULL,
    "recent_done" INTEGER NOT NULL,
    "recent_all" INTEGER NOT NULL,
    "old_picture" UUID,
    "new_picture" UUID,
    "opened_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),
    "closed_at" TIMESTAMPTZ(3),

    CONSTRAINT "step_episodes_pkey" PRIMARY KEY ("customer_id","id")
);

-- AddForeignKey
ALTER TABLE "step_episodes" ADD CONSTRAINT "step_episodes_customer_id_fkey" FOREIGN KEY ("customer_id") REFERENCES "customers"("customer_id") ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE step_episodes ADD CONSTRAINT step_episodes_counts_check
  CHECK (before_done BETWEEN 0 AND before_all AND recent_done BETWEEN 0 AND recent_all);
-- One at a time, whoever looks.
CREATE UNIQUE INDEX step_episodes_open ON step_episodes (customer_id, workflow_id, workflow_version, step) WHERE closed_at IS NULL;

DO $$
DECLARE
  c record;
BEGIN
  ALTER TABLE step_episodes ENABLE ROW LEVEL SECURITY;
  ALTER TABLE step_episodes FORCE ROW LEVEL SECURITY;
  CREATE POLICY own_rows ON step_episodes USING (customer_id = (SELECT sec.customer())) WITH CHECK (customer_id = (SELECT sec.customer()));
  -- No samples for the planner: estimates would tell of other customers.
  FOR c IN SELECT a.attname AS name FROM pg_attribute a WHERE a.attrelid = 'step_episodes'::regclass AND a.attnum > 0 LOOP
    EXECUTE format('ALTER TABLE step_episodes ALTER COLUMN %I SET STATISTICS 0', c.name);
  END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE (closed_at) ON step_episodes TO countersign_program;

COMMENT ON TABLE step_episodes IS 'retention: opened_at';
