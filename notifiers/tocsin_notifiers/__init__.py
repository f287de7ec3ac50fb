"""Whom to tell, and how: alerts, routing, templates, delivery, one file per service."""
