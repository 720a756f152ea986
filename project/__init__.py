"""A model-first Tornado service: edit a model; the migration, its proof and the API follow."""
