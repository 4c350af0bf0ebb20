-- Forty columns, English and German, as applications make them; every value is made up.
create schema crm;
create schema personal;

create table crm.customers (
  id int primary key, name text, "firstName" text, email text unique, email_verified_at timestamptz, phone_number text,
  ssn text, card_number text, card_type text, iban text, "shippingAddress" text, password_digest text, login text,
  credit_limit numeric, created_at timestamptz, ssn_last4 text generated always as (right(ssn, 4)) stored
);
create table crm.orders (id int primary key, customer_id int, contact text references crm.customers (email), note text, payload jsonb, amount numeric);
create table crm.customers_audit (id int, changed_at timestamptz, ssn text, login text, old_row jsonb);
create table crm.tickets (id int, body text, api_key text, last_ip inet, tags text[], reply_to text[]);

create table personal.mitarbeiter (
  nr int primary key, "Nachname" text, "Straße" text, geburtsdatum date, kontonummer text, "steuerIdNr" text,
  monatsgehalt numeric, sozialversicherungsnummer text, abteilung text, krankenkasse text, "Ort" text, kennzahl bigint
);

create view crm.plain as select id, email, ssn as nummer from crm.customers;
create view crm.computed as select id, upper(email) as email from crm.customers;
create materialized view crm.copied as select id, max(ssn) as highest from crm.customers group by id;

insert into crm.customers select n, 'N' || n, 'F' || n, 'person' || n || '@mail.example', now(), '+49 30 ' || 100000 + n, '219-09-' || 1000 + n,
  case when n % 20 = 0 then 'none' else '4111 1111 1111 1111' end, 'visa', 'DE89 3704 0044 0532 0130 00', 'Canary Street ' || n,
  '$2b$12$canarycanarycanarycanaryca', 'user' || n || '@mail.example', 10 * n, now()
  from generate_series(1, 300) n;
insert into crm.orders select n, n, 'person' || n || '@mail.example', case when n % 10 = 0 then 'ask canary' || n || '@mail.example first' else 'fine' end,
  jsonb_build_object('customer', jsonb_build_object('ssn', '219-09-' || 1000 + n), 'canary-key-' || n, 'x'), n * 3 from generate_series(1, 300) n;
insert into crm.customers_audit select n, now(), '219-09-' || 1000 + n, 'user' || n, '{"canaryKey": 1}' from generate_series(1, 5) n;
insert into crm.tickets select n, 'nothing here', 'key-' || n, '10.0.0.1', '{a,b}', array['canary' || n || '@mail.example', 'x'] from generate_series(1, 50) n;
insert into personal.mitarbeiter select n, 'N' || n, 'Kanarienweg ' || n, '1980-01-01', 'DE89370400440532013000', '12345678901', 4000, '65 170839 J 003', 'IT', 'AOK', 'Köln',
  10000000 + n from generate_series(1, 200) n;
refresh materialized view crm.copied;
analyze;
