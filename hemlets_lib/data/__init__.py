"""Samples, motion, pictures of people, shards."""
