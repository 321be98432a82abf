# The four roles and the database of docs/deploy.md: compose.yaml has PostgreSQL run this once, when its volume is new.
psql --no-psqlrc --set=ON_ERROR_STOP=1 --set=owner="$OWNER_PASSWORD" --set=program="$PROGRAM_PASSWORD" <<'SQL'
CREATE ROLE countersign_owner LOGIN PASSWORD :'owner';
CREATE ROLE countersign_program NOLOGIN;
CREATE ROLE countersign LOGIN PASSWORD :'program' IN ROLE countersign_program;
CREATE ROLE countersign_retention NOLOGIN ROLE countersign_owner;
CREATE DATABASE countersign OWNER countersign_owner;
SQL
