-- What an operation asks a person while it waits: a code, or help with a step. One open question an operation; what was
-- answered stays as it is.

-- CreateTable
CREATE TABLE "questions" (
    "customer_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "operation_id" TEXT NOT NULL,
    "step" INTEGER NOT NULL,
    "kind" TEXT NOT NULL,
    "words" TEXT NOT NULL,
    "screenshot_id" UUID,
    "asked_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "reminded_at" TIMESTAMPTZ(3),
    "closed" TEXT,
    "closed_at" TIMESTAMPTZ(3),
    "answered_by" UUID,

    CONSTRAINT "questions_pkey" PRIMARY KEY ("customer_id","id")
);

-- CreateIndex
CREATE INDEX "questions_customer_id_operation_id_asked_at_idx" ON "questions"("customer_id", "operation_id", "asked_at");

-- AddForeignKey
ALTER TABLE "questions" ADD CONSTRAINT "questions_customer_id_operation_id_fkey" FOREIGN KEY ("customer_id", "operation_id") REFERENCES "autonomous_operations"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "questions" ADD CONSTRAINT "questions_customer_id_answered_by_fkey" FOREIGN KEY ("customer_id", "answered_by") REFERENCES "members"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE questions
  ADD CONSTRAINT questions_kind_check CHECK (kind IN ('code', 'help')),
  ADD CONSTRAINT questions_closed_check CHECK (closed IN ('answered', 'lapsed', 'withdrawn') AND (closed IS NULL) = (closed_at IS NULL));
CREATE UNIQUE INDEX questions_open_key ON questions (customer_id, operation_id) WHERE closed IS NULL;

ALTER TABLE questions ENABLE ROW LEVEL SECURITY;
ALTER TABLE questions FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON questions USING (customer_id = (SELECT sec.customer())) WITH CHECK (customer_id = (SELECT sec.customer()));
GRANT SELECT, INSERT ON questions TO countersign_program;
GRANT UPDATE (reminded_at, closed, closed_at, answered_by) ON questions TO countersign_program;
ALTER TABLE questions
  ALTER COLUMN customer_id SET STATISTICS 0, ALTER COLUMN id SET STATISTICS 0, ALTER COLUMN operation_id SET STATISTICS 0,
  ALTER COLUMN step SET STATISTICS 0, ALTER COLUMN kind SET STATISTICS 0, ALTER COLUMN words SET STATISTICS 0,
  ALTER COLUMN screenshot_id SET STATISTICS 0, ALTER COLUMN asked_at SET STATISTICS 0, ALTER COLUMN expires_at SET STATISTICS 0,
  ALTER COLUMN reminded_at SET STATISTICS 0, ALTER COLUMN closed SET STATISTICS 0, ALTER COLUMN closed_at SET STATISTICS 0,
  ALTER COLUMN answered_by SET STATISTICS 0;

ALTER TABLE autonomous_credentials
  DROP CONSTRAINT autonomous_credentials_type_check,
  ADD CONSTRAINT autonomous_credentials_type_check CHECK (credential_type IN ('oauth_token', 'api_key', 'password', 'session',
    'admin_username', 'admin_password', 'admin_email', 'one_time_code'));
