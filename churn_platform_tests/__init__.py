"""The platform's tests: `unit` for functions and single modules, `integration` for assets, jobs, command line and crashes."""
