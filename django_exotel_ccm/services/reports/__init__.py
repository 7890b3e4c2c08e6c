"""Reports: the figures of many calls, for the days, people and kinds of calls that somebody asks for."""
