"""Jobs on a server that several processes and hosts share."""
