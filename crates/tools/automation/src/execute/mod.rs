//! Running plays: strategies, the iterator of tasks, results, handlers, loops, delegation.
