"""What is asked of targets, each probe a module: it takes a scan, tells what it finds, and answers with what the next
probe needs. None of them knows of jobs or of phases."""
