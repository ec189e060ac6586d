"""The command line: what is asked, and how it is shown. All that it does, it does by the client."""
