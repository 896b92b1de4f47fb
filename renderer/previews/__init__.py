"""Makes previews of scenes: the client's side."""
