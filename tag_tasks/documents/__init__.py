"""The export API's work: documents that a query finds, and collectors that keep them to be read."""
