"""The warehouse: the dbt project as the platform runs it.

Belongs here: preparing the manifest, pointing dbt at the database, deciding whether there is anything
to build. Does not belong here: models and tests (`dbt_project/`).
"""
