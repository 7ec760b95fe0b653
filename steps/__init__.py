"""The steps of the pipelines: one file, one function, one YAML key; each a thin wrapper over the library."""
