//! What is printed, and who else hears of results: default, minimal, oneline, junit, json, profile_tasks.
