create table customers (
  id int primary key, name text, email text unique, ssn text, salary int, profile jsonb, city text,
  masked_too text generated always as (right(ssn, 4)) stored
);
create table vips (perks text) inherits (customers);
create table patients (id int, diagnosis text, ward text);
create index patients_by_diagnosis on patients (diagnosis, id);
create table orders (id int primary key, customer_id int, status text, total int);
create index on orders (status);
create table notes (id int, body text);
create table accounts (id serial primary key, owner text not null, balance numeric(12, 2) default 0, opened timestamptz default now(), tags text[], data jsonb);
create type mood as enum ('sad', 'ok', 'happy');
create table moods (id int, mood mood, at date);
create schema staging;
create table staging.customers (id int, name text, email text, ssn text);
create table staging.orders (id int primary key, customer_id int, status text, total int);
create view contacts as select id, name, email from customers;
create view order_totals as select customer_id, sum(total) as total from orders group by customer_id;
create view rich as select id, name from customers where salary > 90000;
create materialized view customer_copy as select id, name, ssn from customers;

-- Code of the database's own that reads what is classified, reached in as many ways as there are.
create function peek(int) returns text language sql stable as 'select ssn from customers where id = $1';
create function peek_row(orders) returns text language sql stable as 'select ssn from customers where id = $1.customer_id';
create function wipe(orders) returns int language sql as 'delete from orders where id <> $1.id; select 1';
create function peek_op(int, int) returns text language sql stable as 'select ssn from customers where id = $1';
create operator ~@~ (function = peek_op, leftarg = int, rightarg = int);
create function peek_acc(text, int) returns text language sql stable as $$ select coalesce($1, '') || ssn from customers where id = $2 $$;
create aggregate peek_all(int) (sfunc = peek_acc, stype = text);
create function peek_set() returns setof text language sql stable as 'select ssn from customers';
create function peek_check(text) returns boolean language plpgsql as
  $$ begin raise notice '%', (select ssn from customers where id = 1); return true; end $$;
create domain nosy as text check (peek_check(value));
create type boxed as (value text);
create function peek_cast(int) returns boxed language sql stable as 'select row(ssn)::boxed from customers where id = $1';
create cast (int as boxed) with function peek_cast(int);
create table greetings (id int, body text default peek(1));
create table tickets (id int, customer_id int, body text);
create function fill() returns trigger language plpgsql as
  $$ begin new.body := (select ssn from customers where id = new.customer_id); return new; end $$;
create trigger filled before insert or update on tickets for each row execute function fill();
create view seen_through as select id, peek(id) as body from orders;
create view statistics as select tablename, attname, most_common_vals::text, histogram_bounds::text from pg_stats;
create function plain_add(int, int) returns int language sql immutable as 'select $1 + $2';
create sequence numbers;
