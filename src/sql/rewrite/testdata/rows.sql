insert into people (id, name, ssn, born, salary, feels, zip, tags, profile, seen, nick, grade, secret_note, city)
  select n, 'name ' || n % 7, lpad((n * 7919 % 1000000)::text, 11, '0'), date '1970-03-04' + n * 37, n * 100.25, (array['sad', 'ok', 'happy'])[1 + n % 3]::mood,
    lpad((n * 31)::text, 5, '1'), array['tag ' || n, 'x'], jsonb_build_object('n', n, 'k', 'v' || n % 4), timestamptz '2026-01-01 12:00+00' + n * interval '1 day',
    'nick ' || n, n, 'note ' || n, (array['Graz', 'Lyon', null])[1 + n % 3]
  from generate_series(1, 9) n;
insert into managers (id, name, ssn, salary, grade, city, bonus) values (21, 'boss', '99999999999', 9000, 3, 'Bern', 5), (22, 'name 1', null, null, 4, null, null);
insert into events select n, date '2025-11-01' + n * 20, 1 + n % 9, 'illness ' || n % 4 from generate_series(1, 10) n;
insert into orders select n, 1 + n % 11, 'note ' || n, n * 5, n % 2 = 0 from generate_series(1, 14) n;
insert into "Odd ""Table" values (1, 'odd 1', 5), (2, 'odd 2', 6);
insert into other.people values (1, 'elsewhere', '12345'), (2, 'name 2', '67890');
refresh materialized view copies;
analyze;
