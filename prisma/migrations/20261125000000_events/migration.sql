-- Incoming chat events that had their effect: inserted in the transaction of that effect, so that the same event, delivered
-- twice or to two processes at once, has one. What is old is no concern of the program's: it may not delete.

-- CreateTable
CREATE TABLE "chat_events" (
    "customer_id" UUID NOT NULL,
    "platform" TEXT NOT NULL,
    "event_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),

    CONSTRAINT "chat_events_pkey" PRIMARY KEY ("customer_id","platform","event_id")
);

-- AddForeignKey
ALTER TABLE "chat_events" ADD CONSTRAINT "chat_events_customer_id_fkey" FOREIGN KEY ("customer_id") REFERENCES "customers"("customer_id") ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE chat_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE chat_events FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON chat_events USING (customer_id = (SELECT sec.customer())) WITH CHECK (customer_id = (SELECT sec.customer()));
GRANT SELECT, INSERT ON chat_events TO countersign_program;
