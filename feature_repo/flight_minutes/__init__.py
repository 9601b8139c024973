"""Feast declarations of the problem `flight-minutes`, and the SQL of its views."""
