-- What an admin of the customer says of what was found anew: discarded, it is tried by no run any more; marked, it is pointed out to
-- the operator, who takes such things into a workflow. Who said it stands beside it and in the trail.

-- AlterTable
ALTER TABLE "workflow_proposals" ADD COLUMN     "discarded_at" TIMESTAMPTZ(3),
ADD COLUMN     "discarded_by" UUID,
ADD COLUMN     "marked_at" TIMESTAMPTZ(3),
ADD COLUMN     "marked_by" UUID;

-- AddForeignKey
ALTER TABLE "workflow_proposals" ADD CONSTRAINT "workflow_proposals_customer_id_discarded_by_fkey" FOREIGN KEY ("customer_id", "discarded_by") REFERENCES "members"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "workflow_proposals" ADD CONSTRAINT "workflow_proposals_customer_id_marked_by_fkey" FOREIGN KEY ("customer_id", "marked_by") REFERENCES "members"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE workflow_proposals ADD CONSTRAINT workflow_proposals_decision_check CHECK (
  (discarded_at IS NULL) = (discarded_by IS NULL) AND (marked_at IS NULL) = (marked_by IS NULL)
  AND (discarded_at IS NULL OR marked_at IS NULL));

GRANT UPDATE (discarded_at, discarded_by, marked_at, marked_by) ON workflow_proposals TO countersign_program;

-- As of the table's other columns.
ALTER TABLE workflow_proposals ALTER COLUMN discarded_at SET STATISTICS 0, ALTER COLUMN discarded_by SET STATISTICS 0,
  ALTER COLUMN marked_at SET STATISTICS 0, ALTER COLUMN marked_by SET STATISTICS 0;
