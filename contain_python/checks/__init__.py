"""What verify asks, one question a file: each `check(subject, rules)` returns a CheckResult."""
