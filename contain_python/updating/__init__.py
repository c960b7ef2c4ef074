"""What is newer than what was locked, built or installed, and when it is due."""
