"""Reconciliation: what was not reported, reported late or cut off by a crash is asked of Exotel."""
