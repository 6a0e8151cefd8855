"""A simulated plant: rendered parts, the people who label them, its databases, its line."""
