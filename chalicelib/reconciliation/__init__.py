"""Reconciliation: aligns our records with what the exchange says."""
