"""Scenario and contract files, read strictly; what is wrong with a file is found here."""
