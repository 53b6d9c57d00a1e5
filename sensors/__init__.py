"""When things run: schedules and sensors. They read one indexed query at most, call no vendor, send nothing."""
