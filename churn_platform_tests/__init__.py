"""The platform's tests: `unit` for functions and single modules, `integration` for all that runs together."""
