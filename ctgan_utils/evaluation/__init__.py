"""Evaluation: generated images beside real ones, by features, measures and a page of figures."""
