"""What the wheel contains that others wrote: the crates, their licences, their newer versions."""
