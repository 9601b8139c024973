"""Feast declarations of the problem `flight-delays`, and the SQL of its views."""
