"""Queries: what is asked of PostgreSQL's own catalog about the tables of a database.

Here: the statements. Not here: what is done with their answers (`databases`).
"""

from __future__ import annotations

# So that text means the same in every database, as pg_dump sees to it.
PLAINLY = (
    "SET client_encoding = 'UTF8'",
    "SET datestyle = 'ISO'",
    "SET intervalstyle = 'postgres'",
    "SET extra_float_digits = 1",
)
PLAIN_TABLES = """
    SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND NOT relispartition
"""
ANYTHING = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')"
SEQUENCES = """
    SELECT attname, pg_sequence_last_value(pg_get_serial_sequence(quote_ident(relname), attname)::regclass)
    FROM pg_attribute JOIN pg_class t ON t.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND relname = %s AND attnum > 0 AND NOT attisdropped
      AND pg_get_serial_sequence(quote_ident(relname), attname) IS NOT NULL
"""
FUNCTIONS = """
    SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prokind IN ('f', 'p')
      AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e') ORDER BY oid
"""
TRIGGERS = """
    SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND NOT relispartition AND NOT tgisinternal
    ORDER BY t.oid
"""
CONSTRAINTS = """
    SELECT t.relname, contype::text, count(*) FROM pg_constraint JOIN pg_class t ON t.oid = conrelid
    WHERE t.relnamespace = %(schema)s::regnamespace AND t.relname = ANY(%(tables)s) GROUP BY 1, 2
    UNION ALL
    SELECT t.relname, concat_ws(' ', i.relname, indclass, indoption, indcollation), 1
    FROM pg_index JOIN pg_class t ON t.oid = indrelid JOIN pg_class i ON i.oid = indexrelid
    WHERE t.relnamespace = %(schema)s::regnamespace AND t.relname = ANY(%(tables)s) ORDER BY 1, 2
"""
OTHERS = """
    SELECT relname FROM pg_class WHERE relkind IN ('p', 'v', 'm') AND relnamespace = 'public'::regnamespace
    UNION SELECT 'the schema ' || nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$|public$)'
"""
GRANTED = """
    SELECT DISTINCT grantee FROM information_schema.role_table_grants
    WHERE table_schema = 'public' AND grantee NOT IN (grantor, 'PUBLIC', 'serving') ORDER BY 1
"""
SET_SEQUENCE = "SELECT setval(pg_get_serial_sequence(quote_ident(%s), %s), %s)"
TEXTS = """
    SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND data_type IN ('text', 'character varying')
"""
