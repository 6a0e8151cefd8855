"""What starts runs: schedules and sensors."""
