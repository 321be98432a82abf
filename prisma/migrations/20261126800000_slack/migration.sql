-- What was said on a platform that does not keep it for us, from its acknowledgement until it was answered: sealed, since
-- people write passwords where they do not belong. Whoever finds it overdue answers it; what was answered keeps no words.

-- AlterTable
ALTER TABLE "chat_events" ADD COLUMN     "due_at" TIMESTAMPTZ(3),
ADD COLUMN     "sealed" BYTEA;

ALTER TABLE chat_events ADD CONSTRAINT chat_events_waiting_check CHECK ((sealed IS NULL) = (due_at IS NULL));
CREATE INDEX chat_events_due_idx ON chat_events (customer_id, due_at) WHERE sealed IS NOT NULL;
GRANT UPDATE (due_at, sealed) ON chat_events TO countersign_program;
ALTER TABLE chat_events ALTER COLUMN due_at SET STATISTICS 0, ALTER COLUMN sealed SET STATISTICS 0;
