-- What a recorded element had become on one customer's target when a step last went well with it: tried there, after what
-- was recorded, as long as the workflow's version is the same. What was recorded stays; nothing here is ever deleted.

-- CreateTable
CREATE TABLE "workflow_proposals" (
    "customer_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "workflow_id" VARCHAR(100) NOT NULL,
    "workflow_version" INTEGER NOT NULL,
    "target" TEXT NOT NULL,
    "step" INTEGER NOT NULL,
    "field" VARCHAR(100) NOT NULL DEFAULT '',
    "digest" VARCHAR(64) NOT NULL,
    "element" JSONB NOT NULL,
    "operation_id" TEXT NOT NULL,
    "score" DOUBLE PRECISION NOT NULL,
    "margin" DOUBLE PRECISION NOT NULL,
    "held" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),
    "last_held_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),

    CONSTRAINT "workflow_proposals_pkey" PRIMARY KEY ("customer_id","id")
);

-- CreateIndex
CREATE UNIQUE INDEX "workflow_proposals_place_digest_key" ON "workflow_proposals"("customer_id", "workflow_id", "workflow_version", "target", "step", "field", "digest");

-- AddForeignKey
ALTER TABLE "workflow_proposals" ADD CONSTRAINT "workflow_proposals_customer_id_operation_id_fkey" FOREIGN KEY ("customer_id", "operation_id") REFERENCES "autonomous_operations"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE workflow_proposals ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflow_proposals FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON workflow_proposals USING (customer_id = (SELECT sec.customer())) WITH CHECK (customer_id = (SELECT sec.customer()));
GRANT SELECT, INSERT, UPDATE (held, last_held_at, element) ON workflow_proposals TO countersign_program;

-- No samples are kept of what stands in a table: the planner's estimates would tell of them.
DO $$
DECLARE
  name text;
BEGIN
  FOR name IN SELECT attname FROM pg_attribute WHERE attrelid = 'workflow_proposals'::regclass AND attnum > 0 LOOP
    EXECUTE format('ALTER TABLE workflow_proposals ALTER COLUMN %I SET STATISTICS 0', name);
  END LOOP;
END $$;

-- How a step found its element: the ladder's rungs, or none where it had none to find.
ALTER TABLE operation_steps ADD CONSTRAINT operation_steps_rung_check
  CHECK (rung IN ('replayed', 'relocated', 'model', 'human', 'none'));
