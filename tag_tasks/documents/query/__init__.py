"""The query language of the documents: text in, a tree of our own, and a condition on the documents' columns out."""
