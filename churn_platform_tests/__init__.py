"""The platform's tests: `unit` for functions and single modules, `integration` for what they do together."""
