"""What all Delta tables of the service share: files are staged, and come and go by one commit a job."""
