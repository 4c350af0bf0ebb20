/**
 * The demonstration's shop, as SQL for an empty database: customers with e-mail, SSN and card number, orders (120,000),
 * payments, employees with salaries. Deterministic, so that a tour can say what it expects. The people do not exist: names are
 * combined from lists, SSNs begin with 9 (never issued), card numbers are Luhn-valid in ranges used for testing.
 */
export const shopSql = `
create function pg_temp.pick(words text[], n bigint) returns text language sql immutable as
  $$ select words[1 + (n % array_length(words, 1))::int] $$;

create function pg_temp.luhn(digits text) returns text language sql immutable as $$
  select digits || ((10 - sum(case when (length(digits) - i) % 2 = 0
                                   then (d * 2) / 10 + (d * 2) % 10 else d end) % 10) % 10)::text
  from generate_series(1, length(digits)) i, lateral (select substr(digits, i, 1)::int as d) x $$;

create table customers (
  id          int primary key,
  name        text not null,
  email       text not null unique,
  phone       text,
  ssn         char(11),
  card        text,
  birth_date  date,
  city        text,
  country     char(2) not null,
  notes       text,
  created_at  timestamptz not null
);

insert into customers
select n,
       first || ' ' || last,
       lower(first) || '.' || lower(last) || n || '@' || pg_temp.pick(array['example.com','example.org','example.net'], n),
       '+1-555-' || lpad((n * 7 % 1000)::text, 3, '0') || '-' || lpad((n * 13 % 10000)::text, 4, '0'),
       '9' || lpad((n * 31 % 100)::text, 2, '0') || '-' || lpad((1 + n * 17 % 99)::text, 2, '0') || '-' || lpad((1 + n * 101 % 9999)::text, 4, '0'),
       pg_temp.luhn(pg_temp.pick(array['4111','4242','5555','5105'], n) || lpad((n * 7919 % 100000000000)::text, 11, '0')),
       date '1950-01-01' + (n * 37 % 20000)::int,
       pg_temp.pick(array['Lisbon','Lyon','Leeds','Graz','Turin','Ghent','Aarhus','Malmo','Porto','Utrecht','Galway','Tartu'], n * 5),
       pg_temp.pick(array['PT','FR','GB','AT','IT','BE','DK','SE','NL','IE','EE'], n * 5),
       case when n % 40 = 0 then 'Prefers to be called in the morning' when n % 97 = 0 then 'Asked for an invoice on paper' end,
       timestamptz '2021-01-01 00:00:00+00' + n * interval '3 hours 7 minutes'
from (select n,
             pg_temp.pick(array['Ada','Bela','Carla','Deniz','Edda','Femi','Greta','Hanne','Ines','Jonas','Karim','Lena','Milo','Nadia','Otto','Paula','Rosa','Selma','Timo','Uma'], n) as first,
             pg_temp.pick(array['Almeida','Berg','Costa','Dumont','Eklund','Fischer','Gallo','Holm','Ivanova','Jansen','Keller','Lindqvist','Moreau','Novak','Okafor','Petrov','Quist','Rossi','Silva','Torres'], n / 20) as last
      from generate_series(1, 8000) n) people;

create table products (
  id     int primary key,
  name   text not null,
  price  numeric(10, 2) not null
);

insert into products
select n,
       pg_temp.pick(array['Canvas','Oak','Steel','Linen','Copper','Wool','Glass','Cork'], n) || ' ' ||
       pg_temp.pick(array['lamp','chair','desk','basket','kettle','blanket','shelf','mirror','stool'], n / 8 + n),
       (n * 1.37 + 4.99)::numeric(10, 2)
from generate_series(1, 400) n;

create table orders (
  id           int primary key,
  customer_id  int not null references customers,
  product_id   int not null references products,
  quantity     int not null,
  total        numeric(12, 2) not null,
  status       text not null,
  placed_at    timestamptz not null
);

insert into orders
select n, 1 + n * 7919 % 8000, 1 + n * 31 % 400, 1 + n % 4,
       ((1 + n % 4) * ((1 + n * 31 % 400) * 1.37 + 4.99))::numeric(12, 2),
       pg_temp.pick(array['paid','paid','paid','shipped','shipped','delivered','delivered','delivered','returned','cancelled'], n * 3 + n / 10),
       timestamptz '2023-01-01 00:00:00+00' + n * interval '12 minutes'
from generate_series(1, 120000) n;
create index orders_customer on orders (customer_id);

create table payments (
  id         int primary key,
  order_id   int not null references orders,
  card       text not null,
  amount     numeric(12, 2) not null,
  succeeded  boolean not null,
  paid_at    timestamptz not null
);

insert into payments
select o.id, o.id, c.card, o.total, o.id % 50 <> 0, o.placed_at + interval '4 minutes'
from orders o join customers c on c.id = o.customer_id
where o.id % 3 = 0;

create table employees (
  id         int primary key,
  name       text not null,
  email      text not null,
  title      text not null,
  salary     int not null,
  hired_on   date not null
);

insert into employees
select n, first || ' ' || last, lower(first) || '.' || lower(last) || '@shop.example',
       pg_temp.pick(array['Engineer','Support agent','Buyer','Warehouse lead','Accountant','Designer'], n),
       38000 + (n * 1777 % 61) * 1000,
       date '2015-03-01' + (n * 29 % 3500)::int
from (select n,
             pg_temp.pick(array['Maya','Noel','Olga','Piet','Rania','Sven','Tilda','Viktor','Wanda','Yusuf'], n) as first,
             pg_temp.pick(array['Adler','Bauer','Conti','Devos','Egger','Ferro','Grant','Haas'], n / 10 + n) as last
      from generate_series(1, 120) n) people;

create view order_totals as
  select customer_id, count(*) as orders, sum(total) as total from orders group by customer_id;

analyze;
`;

/** What the demonstration classifies, and as what. */
export const shopClassification: Readonly<Record<string, string>> = {
  'public.customers.email': 'pii.email',
  'public.customers.phone': 'pii.phone',
  'public.customers.ssn': 'pii.ssn',
  'public.customers.birth_date': 'pii.birthdate',
  'public.customers.card': 'pci.card',
  'public.payments.card': 'pci.card',
  'public.employees.email': 'pii.email',
  'public.employees.salary': 'hr.salary',
};
