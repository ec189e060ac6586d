"""The export API: `export.es.md`."""
