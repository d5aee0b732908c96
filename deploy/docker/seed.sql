-- What `docker compose up` starts with.
create table items (id int generated always as identity primary key, title text not null, done boolean not null default false);
insert into items (title) values ('Read a shape'), ('Change a row'), ('Watch it arrive');
