"""Play half a year after the first release on one machine: `make loop`."""
