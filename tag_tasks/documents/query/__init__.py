"""The language in which documents are asked for: text to a tree, and a tree to a condition on Spark's columns."""
