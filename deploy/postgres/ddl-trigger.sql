-- Optional. Tells Shapecast of DDL at once: shapes whose table was altered then end within a second, also if nothing is written
-- to the table. Without it they end with the next write to the table, or after ELECTRIC_TWEAKS_SCHEMA_RECONCILER_PERIOD (10 s).
--
-- Install as a superuser (or the role your provider has for event triggers) in the database that is synced, any time:
--
--     psql -f ddl-trigger.sql "$DATABASE_URL"
--
-- Remove:
--
--     drop event trigger shapecast_ddl; drop function shapecast_ddl_notify();
--
-- It does nothing but NOTIFY, once per transaction, without a payload. It cannot make a statement fail: errors are swallowed; it
-- keeps silent while the notification queue fills up, because a full one would fail the COMMIT; and also on servers with prepared
-- transactions, because a transaction that has notified cannot be prepared. If none of yours does DDL, take that condition out.

begin;

create or replace function shapecast_ddl_notify() returns event_trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if pg_notification_queue_usage() < 0.5 and current_setting('max_prepared_transactions') = '0' then
    notify shapecast_ddl;
  end if;
exception
  when others then null;
end;
$$;

drop event trigger if exists shapecast_ddl;

-- What leaves every row and every description as it is has no place here: indexes, comments, grants, functions.
create event trigger shapecast_ddl on ddl_command_end
  when tag in (
    'ALTER TABLE', 'DROP TABLE', 'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER SCHEMA', 'DROP SCHEMA',
    'ALTER TYPE', 'DROP TYPE', 'ALTER DOMAIN', 'DROP DOMAIN', 'DROP OWNED', 'ALTER EXTENSION', 'DROP EXTENSION'
  )
  execute function shapecast_ddl_notify();

commit;
