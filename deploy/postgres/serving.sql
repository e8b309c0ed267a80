-- Serving's own role, which reads the receipts and the online store, and nothing else. `serving-role` runs this at each
-- start, so that it reaches databases that exist, and a changed password counts at once.
\getenv password SERVING_PASSWORD
SELECT 'CREATE ROLE serving' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'serving') \gexec
ALTER ROLE serving LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';

-- Every role may do these unless they are taken away.
REVOKE CONNECT ON DATABASE mlflow, postgres FROM PUBLIC;
REVOKE TEMPORARY ON DATABASE churn FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

GRANT SELECT ON receipts, receipt_intent, online_month, online_customers TO serving;
