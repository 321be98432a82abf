-- A plan that is made anew may name another way, and with it another workflow. What an operation says of its workflow follows
-- from its plan, so the program itself still can't change it.

CREATE FUNCTION app.follow_plan() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.workflow_id := NEW.plan::jsonb ->> 'workflowId';
  NEW.workflow_version := (NEW.plan::jsonb ->> 'workflowVersion')::int;
  NEW.total_steps := jsonb_array_length(NEW.plan::jsonb -> 'steps');
  RETURN NEW;
END $$;
GRANT EXECUTE ON FUNCTION app.follow_plan() TO countersign_program;
CREATE TRIGGER follow_plan BEFORE UPDATE OF plan ON autonomous_operations FOR EACH ROW EXECUTE FUNCTION app.follow_plan();
