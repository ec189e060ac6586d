"""What is sent to those who listen: WebSockets and event streams, on a thread of their own."""
