"""What a core will take: cycles, memory and operations, counted before there is one."""
