-- What each question to the model may cost at most, written before it is asked, and what it did cost, written after. In
-- millionths of a dollar: sums stay exact.

-- CreateTable
CREATE TABLE "model_calls" (
    "customer_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "operation_id" TEXT NOT NULL,
    "step" INTEGER NOT NULL,
    "reserved_micros" BIGINT NOT NULL,
    "spent_micros" BIGINT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),

    CONSTRAINT "model_calls_pkey" PRIMARY KEY ("customer_id","id")
);

-- CreateIndex
CREATE INDEX "model_calls_customer_id_created_at_idx" ON "model_calls"("customer_id", "created_at");

-- CreateIndex
CREATE INDEX "model_calls_customer_id_operation_id_idx" ON "model_calls"("customer_id", "operation_id");

-- AddForeignKey
ALTER TABLE "model_calls" ADD CONSTRAINT "model_calls_customer_id_operation_id_fkey" FOREIGN KEY ("customer_id", "operation_id") REFERENCES "autonomous_operations"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE model_calls ADD CONSTRAINT model_calls_amounts_check CHECK (reserved_micros >= 0 AND spent_micros >= 0);
ALTER TABLE model_calls ENABLE ROW LEVEL SECURITY;
ALTER TABLE model_calls FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON model_calls USING (customer_id = (SELECT sec.customer())) WITH CHECK (customer_id = (SELECT sec.customer()));
GRANT SELECT, INSERT ON model_calls TO countersign_program;
GRANT UPDATE (spent_micros) ON model_calls TO countersign_program;
ALTER TABLE model_calls
  ALTER COLUMN customer_id SET STATISTICS 0, ALTER COLUMN id SET STATISTICS 0, ALTER COLUMN operation_id SET STATISTICS 0,
  ALTER COLUMN step SET STATISTICS 0, ALTER COLUMN reserved_micros SET STATISTICS 0, ALTER COLUMN spent_micros SET STATISTICS 0,
  ALTER COLUMN created_at SET STATISTICS 0;
