"""A campaign: many systems trained on equal terms, measured alike, and one table of all of them."""
