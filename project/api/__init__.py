"""A model seen as a resource: what of it is served, to whom, and by which statements.

Imports the models and nothing else of the project; opens nothing. What it says to a client's
mistake is a :class:`~project.api.faults.FaultError`; the handlers turn it into an answer.
"""
