create type mood as enum ('sad', 'ok', 'happy');
create domain zip as text check (value ~ '^[0-9]{5}$');
create domain strict as int not null check (value > 0);
create schema other;
create table people (
  id int primary key, name varchar(20) not null, ssn char(11) unique, born date, salary numeric(10, 2), feels mood,
  zip zip, tags text[], profile jsonb, seen timestamptz, nick varchar(6), grade strict, secret_note name collate "C",
  last4 text generated always as (right(ssn, 4)) stored, city text
);
create table managers (bonus int) inherits (people);
create table events (id int, day date, person int, diagnosis text, primary key (id, day)) partition by range (day);
create table events_2025 partition of events for values from ('2025-01-01') to ('2026-01-01');
create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
create table orders (id int primary key, person int, note text, total int, paid boolean);
create table "Odd ""Table" (id int primary key, "Sec""ret" text, "select" int);
create table other.people (id int, name text, ssn text);
create view directory as select id, name, ssn, city from people;
create view rich as select id, name from people where salary > 500;
create view shouting as select id, upper(ssn) as loud, name, born from people;
create view over_views as select r.id, s.loud, d.ssn from rich r join shouting s using (id) left join directory d on d.id = r.id;
create view by_ssn as select last4, count(*) as many, min(name) as first from people group by last4;
create view unrelated as select id, note, total from orders where total > 10;
create materialized view copies as select id, name, ssn from people;
create table watched (id int, body text);
create function copy_ssn() returns trigger language plpgsql as
  $$ begin new.body := (select ssn from people where id = new.id); return new; end $$;
create trigger copies_ssn before insert or update on watched for each row execute function copy_ssn();
create table stamped (id int, body text default current_setting('x.y', true));
