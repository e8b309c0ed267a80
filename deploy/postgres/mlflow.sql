-- MLflow's own database; PostgreSQL's image runs this when its volume is new.
CREATE DATABASE mlflow;
